package ocsp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/internal/der"
	"github.com/certctl/certctl/revocation/internal/signing"
)

// Credentials are what answers about the certificates of one CA are signed
// with.
type Credentials struct {
	CA *x509.Certificate
	// Cert is a delegated responder certificate that CA issued (RFC 6960
	// section 4.2.2.2). Nil, or CA itself: the CA signs.
	Cert   *x509.Certificate
	Signer crypto.Signer       // the key of Cert; safe for concurrent use
	Chain  []*x509.Certificate // sent after Cert; needed by no common client
}

// Issuer is a checked set of Credentials, made by NewIssuer. It does not
// change and may be used concurrently.
type Issuer struct {
	ca, cert    *x509.Certificate
	signer      crypto.Signer
	algorithm   signing.Algorithm
	keyID       string
	ids         [len(hashes)]issuerHash
	responderID []byte // DER: byKey
	certs       []byte // DER of the response's certs field; empty when the CA signs
	archive     []byte // DER of singleExtensions with the archive cutoff
	room        int    // octets that a response takes besides its answers, at most
}

type issuerHash struct{ name, key []byte }

// NewIssuer checks credentials and makes what can be made ahead of requests.
// It fails when Signer is not the key of Cert, and when Cert is neither CA nor
// a certificate that CA issued for OCSP signing: relying parties would refuse
// its answers. Whether Cert is in its validity period is judged at each answer.
func NewIssuer(c Credentials) (*Issuer, error) {
	if c.CA == nil || c.Signer == nil {
		return nil, errors.New("ocsp: Credentials.CA and Credentials.Signer are required")
	}
	i := &Issuer{ca: c.CA, cert: c.Cert, signer: c.Signer, keyID: revocation.KeyID(c.CA)}
	if i.cert == nil {
		i.cert = c.CA
	}
	if err := authorised(i.cert, i.ca); err != nil {
		return nil, fmt.Errorf("ocsp: %w", err)
	}
	var err error
	if err = signing.Belongs(i.cert, i.signer); err != nil {
		return nil, fmt.Errorf("ocsp: %w", err)
	}
	if i.algorithm, err = signing.ForKey(i.cert.PublicKey); err != nil {
		return nil, fmt.Errorf("ocsp: %w", err)
	}
	if err := i.hashCA(i.ca); err != nil {
		return nil, err
	}
	signerKey, err := keyBits(i.cert.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, err
	}
	i.responderID = der.Wrap(der.Append(nil, der.OctetString, sum(crypto.SHA1, signerKey)), 0, der.Context(2))
	i.certs = encodeCerts(i, c.Chain)
	i.archive = appendArchive(nil, i.ca.NotBefore)
	i.room = 416 + MaxNonce + len(i.certs)
	if k, ok := i.cert.PublicKey.(interface{ Size() int }); ok { // RSA
		i.room += k.Size()
	}
	return i, nil
}

// hashCA makes what CertIDs of a CA's certificates hold, for each algorithm.
func (i *Issuer) hashCA(ca *x509.Certificate) error {
	key, err := keyBits(ca.RawSubjectPublicKeyInfo)
	if err != nil {
		return err
	}
	for n, h := range hashes {
		i.ids[n] = issuerHash{sum(h.hash, ca.RawSubject), sum(h.hash, key)}
	}
	return nil
}

// authorised says why a certificate may not sign for a CA (RFC 6960 section
// 4.2.2.2), if so.
func authorised(cert, ca *x509.Certificate) error {
	if cert.Equal(ca) {
		return nil
	}
	if err := cert.CheckSignatureFrom(ca); err != nil {
		return fmt.Errorf("the responder certificate was not issued by %s: %w", ca.Subject, err)
	}
	if !bytes.Equal(cert.RawIssuer, ca.RawSubject) {
		return fmt.Errorf("the responder certificate names %s as its issuer, not %s", cert.Issuer, ca.Subject)
	}
	if !slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
		return errors.New("the responder certificate lacks the extended key usage id-kp-OCSPSigning")
	}
	if cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return errors.New("the responder certificate lacks the key usage digitalSignature")
	}
	return nil
}

func encodeCerts(i *Issuer, chain []*x509.Certificate) []byte {
	if i.cert.Equal(i.ca) {
		return nil
	}
	b := slices.Clone(i.cert.Raw)
	for _, c := range chain {
		if !c.Equal(i.cert) {
			b = append(b, c.Raw...)
		}
	}
	b = der.Wrap(b, 0, der.Sequence)
	return der.Wrap(b, 0, der.Context(0))
}

// CA is the certificate of the CA that is answered for.
func (i *Issuer) CA() *x509.Certificate { return i.ca }

// Certificate is the one whose key signs; the CA's own when there is no
// delegate.
func (i *Issuer) Certificate() *x509.Certificate { return i.cert }

// matches reports whether a CertID names this CA.
func (i *Issuer) matches(id *CertID) bool {
	for n := range hashes {
		if hashes[n].hash == id.Hash {
			return bytes.Equal(i.ids[n].key, id.KeyHash) && bytes.Equal(i.ids[n].name, id.NameHash)
		}
	}
	return false
}

// sameCA reports whether two Issuers answer for one name and key.
func (i *Issuer) sameCA(o *Issuer) bool {
	return i == o || i.keyID == o.keyID && bytes.Equal(i.ca.RawSubject, o.ca.RawSubject)
}

// until is the time to which the certificate that signs, and the CA above it,
// are valid; zero when one is not valid at now.
func (i *Issuer) until(now time.Time) time.Time {
	end := i.cert.NotAfter
	if i.ca.NotAfter.Before(end) {
		end = i.ca.NotAfter
	}
	if now.Before(i.cert.NotBefore) || !now.Before(end) {
		return time.Time{}
	}
	return end
}

// Fixed is an Options.Issuers that always returns these.
func Fixed(issuers ...*Issuer) func(context.Context) ([]*Issuer, error) {
	return func(context.Context) ([]*Issuer, error) { return issuers, nil }
}
