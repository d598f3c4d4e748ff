// Package targettest is the contract of target.Target as a suite, for the
// kinds of this module and for those of others.
//
//	targettest.Run(t, targettest.Config{Open: func(t *testing.T, dir string) target.Target { … }})
package targettest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/target"
)

// CA is a certificate authority for tests.
type CA struct {
	Cert *x509.Certificate
	key  crypto.Signer
}

// NewCA makes one.
func NewCA(t testing.TB) *CA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "targettest CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	return &CA{sign(t, tmpl, tmpl, key.Public(), key), key}
}

func sign(t testing.TB, tmpl, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Bundle issues a certificate for names, localhost when there are none.
func (ca *CA) Bundle(t testing.TB, names ...string) *target.Bundle {
	return ca.BundleUntil(t, time.Now().Add(time.Hour), names...)
}

// BundleUntil issues one that ends at notAfter.
func (ca *CA) BundleUntil(t testing.TB, notAfter time.Time, names ...string) *target.Bundle {
	t.Helper()
	if len(names) == 0 {
		names = []string{"localhost"}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	leaf := sign(t, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: notAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca.Cert, key.Public(), ca.key)
	text, err := keys.MarshalPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	return &target.Bundle{Leaf: leaf, Key: key, KeyPEM: text, Roots: []*x509.Certificate{ca.Cert}, CertificateID: "mc-test", Names: names}
}
