package revocationtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation/ocsp"
)

// KeyKinds are the kinds of keys that CAs and delegates have.
var KeyKinds = []string{"rsa2048", "p256", "p384", "ed25519"}

// CA is a certificate authority with its key.
type CA struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// NewKey makes a key of one of KeyKinds, or "p521".
func NewKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa2048":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "p521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no key kind %q", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// NewCA makes a CA that is valid for a year around now.
func NewCA(t testing.TB, kind, name string, now time.Time) *CA {
	t.Helper()
	return NewCAFrom(t, kind, &x509.Certificate{
		Subject:   pkix.Name{CommonName: name, Organization: []string{"Example"}, Country: []string{"DE"}},
		NotBefore: now.AddDate(0, -6, 0), NotAfter: now.AddDate(0, 6, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true,
	})
}

// NewCAFrom makes a self-signed certificate of a template, whose serial number
// it sets.
func NewCAFrom(t testing.TB, kind string, template *x509.Certificate) *CA {
	t.Helper()
	key := NewKey(t, kind)
	template.SerialNumber = big.NewInt(0x7a5b11c9)
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &CA{Cert: Parse(t, raw), Key: key}
}

// Parse reads a certificate.
func Parse(t testing.TB, raw []byte) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// Issue signs a leaf with a serial.
func (ca *CA) Issue(t testing.TB, serial *big.Int, now time.Time) *x509.Certificate {
	t.Helper()
	key := NewKey(t, "p256")
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "leaf.example"}, DNSNames: []string{"leaf.example"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 1, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca.Cert, key.Public(), ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(t, raw)
}

// Delegate makes an OCSP responder's credentials with a key of a kind.
func (ca *CA) Delegate(t testing.TB, kind string, notBefore, notAfter time.Time) ocsp.Credentials {
	t.Helper()
	key := NewKey(t, kind)
	raw, err := ocsp.NewDelegate(ca.Cert, ca.Key, key.Public(), ocsp.DelegateOptions{
		Serial: big.NewInt(0x0c5b), NotBefore: notBefore, NotAfter: notAfter,
	})
	if err != nil {
		t.Fatal(err)
	}
	return ocsp.Credentials{CA: ca.Cert, Cert: Parse(t, raw), Signer: key}
}

// Issuer is ocsp.NewIssuer without an error.
func Issuer(t testing.TB, c ocsp.Credentials) *ocsp.Issuer {
	t.Helper()
	issuer, err := ocsp.NewIssuer(c)
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

// File writes a file into a temporary folder and returns its path.
func File(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// PEM writes a certificate to a file.
func PEM(t testing.TB, cert *x509.Certificate) string {
	t.Helper()
	return File(t, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}
