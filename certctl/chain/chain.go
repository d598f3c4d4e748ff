// Package chain reads, sorts, builds and verifies certificate chains.
package chain

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Limits of what is read from outside.
const (
	MaxBytes        = 1 << 20
	MaxCertificates = 100
)

// Bundle is a leaf and the certificates above it, in the order of signing. The
// last one may be a root.
type Bundle struct{ Certificates []*x509.Certificate }

// Leaf is the first certificate.
func (b *Bundle) Leaf() *x509.Certificate { return b.Certificates[0] }

// Issuers are the certificates above the leaf.
func (b *Bundle) Issuers() []*x509.Certificate { return b.Certificates[1:] }

// ErrNoCertificate is returned for input without a certificate.
var ErrNoCertificate = errors.New("there is no certificate in it")

// Certificates reads every certificate of a PEM text, in its order. Blocks of
// another type are refused, so that a key never passes unnoticed.
func Certificates(text []byte) ([]*x509.Certificate, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("a PEM bundle of %d octets is too large; the limit is %d", len(text), MaxBytes)
	}
	var out []*x509.Certificate
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if len(bytes.TrimSpace(rest)) > 0 && bytes.Contains(rest, []byte("-----BEGIN")) {
				return nil, fmt.Errorf("PEM block %d is broken or cut off", len(out)+1)
			}
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("PEM block %d is a %.40q, not a CERTIFICATE", len(out)+1, block.Type)
		}
		if len(out) == MaxCertificates {
			return nil, fmt.Errorf("a PEM bundle of more than %d certificates is refused", MaxCertificates)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %w", len(out)+1, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, ErrNoCertificate
	}
	return out, nil
}

// Parse reads a PEM bundle in any order and sorts it leaf first. What does not
// belong to the leaf's chain is an error.
func Parse(text []byte) (*Bundle, error) {
	certs, err := Certificates(text)
	if err != nil {
		return nil, err
	}
	return Sort(certs)
}

// Sort orders certificates leaf first. The leaf is the one that signed none of
// the others.
func Sort(certs []*x509.Certificate) (*Bundle, error) {
	if len(certs) == 0 {
		return nil, ErrNoCertificate
	}
	if len(certs) > MaxCertificates {
		return nil, fmt.Errorf("a bundle of more than %d certificates is refused", MaxCertificates)
	}
	s := &search{left: maxSignatures}
	var leaf *x509.Certificate
	for _, c := range certs {
		if s.signsNone(c, certs) {
			if leaf != nil && s.left > 0 {
				return nil, fmt.Errorf("the bundle has two leaves: %q and %q", leaf.Subject, c.Subject)
			}
			leaf = c
		}
	}
	if leaf == nil { // a lone self-signed certificate
		leaf = certs[0]
	}
	out, rest := []*x509.Certificate{leaf}, without(certs, leaf)
	for len(rest) > 0 {
		next := s.issuerOf(out[len(out)-1], rest)
		switch {
		case next != nil:
			out, rest = append(out, next), without(rest, next)
		case s.left == 0:
			return nil, errors.New("the bundle is refused: too many of its certificates have the same name")
		default:
			return nil, fmt.Errorf("%q does not belong to the chain of %q", rest[0].Subject, leaf.Subject)
		}
	}
	return &Bundle{out}, nil
}

// maxSignatures bounds the checks of one search: two for each certificate of
// the longest honest chain, and some. Certificates that all bear one name would
// otherwise cost the square of their number.
const maxSignatures = 3 * MaxCertificates

// search looks for issuers while signature checks are left.
type search struct{ left int }

// issued reports whether ca signed c. Names and key identifiers (RFC 5280
// section 4.2.1.1) are compared first: they cost nothing.
func (s *search) issued(ca, c *x509.Certificate) bool {
	if !bytes.Equal(ca.RawSubject, c.RawIssuer) ||
		len(ca.SubjectKeyId) > 0 && len(c.AuthorityKeyId) > 0 && !bytes.Equal(ca.SubjectKeyId, c.AuthorityKeyId) ||
		s.left == 0 {
		return false
	}
	s.left--
	return c.CheckSignatureFrom(ca) == nil
}

func (s *search) signsNone(c *x509.Certificate, all []*x509.Certificate) bool {
	for _, other := range all {
		if !other.Equal(c) && s.issued(c, other) {
			return false
		}
	}
	return true
}

func (s *search) issuerOf(c *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
	for _, ca := range among {
		if !ca.Equal(c) && s.issued(ca, c) {
			return ca
		}
	}
	return nil
}

func without(certs []*x509.Certificate, c *x509.Certificate) []*x509.Certificate {
	var out []*x509.Certificate
	for _, other := range certs {
		if !other.Equal(c) {
			out = append(out, other)
		}
	}
	return out
}

// Build finds the issuers of a leaf among candidates, up to a self-signed one,
// which is included, or as far as they reach.
func Build(leaf *x509.Certificate, candidates []*x509.Certificate) []*x509.Certificate {
	s := &search{left: maxSignatures}
	var out []*x509.Certificate
	for c := leaf; len(out) < MaxCertificates; {
		next := s.issuerOf(c, without(candidates, c))
		if next == nil || contains(out, next) {
			break
		}
		out = append(out, next)
		c = next
	}
	return out
}

func contains(certs []*x509.Certificate, c *x509.Certificate) bool {
	return len(without(certs, c)) < len(certs)
}

// SelfSigned reports whether a certificate names and signs itself.
func SelfSigned(c *x509.Certificate) bool {
	return (&search{left: 1}).issued(c, c)
}

// Match reports whether a certificate is for a key.
func Match(c *x509.Certificate, key crypto.Signer) bool {
	pub, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(key.Public())
}

// EncodePEM writes certificates as PEM.
func EncodePEM(certs ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.Bytes()
}

// Fingerprint is the lower-case hex SHA-256 of a certificate.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// Verify judges a leaf as a relying party would that trusts roots alone and
// got the given issuers with it (RFC 5280 section 6): signatures, dates,
// constraints, and each of names.
func Verify(leaf *x509.Certificate, issuers, roots []*x509.Certificate, names []string, now time.Time) error {
	o := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, c := range roots {
		o.Roots.AddCert(c)
	}
	for _, c := range issuers {
		o.Intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(o); err != nil {
		return err
	}
	for _, n := range names {
		if err := leaf.VerifyHostname(n); err != nil {
			return err
		}
	}
	return nil
}
