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
	var leaf *x509.Certificate
	for _, c := range certs {
		if signsNone(c, certs) {
			if leaf != nil {
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
		next := issuerOf(out[len(out)-1], rest)
		if next == nil {
			return nil, fmt.Errorf("%q does not belong to the chain of %q", rest[0].Subject, leaf.Subject)
		}
		out, rest = append(out, next), without(rest, next)
	}
	return &Bundle{out}, nil
}

func signsNone(c *x509.Certificate, all []*x509.Certificate) bool {
	for _, other := range all {
		if !other.Equal(c) && issued(c, other) {
			return false
		}
	}
	return true
}

func issued(ca, c *x509.Certificate) bool {
	return bytes.Equal(ca.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(ca) == nil
}

func issuerOf(c *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
	for _, ca := range among {
		if !ca.Equal(c) && issued(ca, c) {
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
	var out []*x509.Certificate
	for c := leaf; len(out) < MaxCertificates; {
		next := issuerOf(c, without(candidates, c))
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
func SelfSigned(c *x509.Certificate) bool { return issued(c, c) }

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
