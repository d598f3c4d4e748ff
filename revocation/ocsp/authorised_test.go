package ocsp_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/revocationtest"
)

// signerOf makes a certificate that may have the right to sign OCSP, and its
// key.
func signerOf(t *testing.T, ca *revocationtest.CA, usage x509.KeyUsage, extended ...x509.ExtKeyUsage) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key := revocationtest.NewKey(t, "p256")
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(8), Subject: pkix.Name{CommonName: "signer"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: usage, ExtKeyUsage: extended,
	}, ca.Cert, key.Public(), ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	return revocationtest.Parse(t, raw), key
}

// TestWhoMaySign: the responder refuses to begin with credentials that relying
// parties must refuse, and Verify refuses what is signed with them. RFC 6960
// section 4.2.2.2.
func TestWhoMaySign(t *testing.T) {
	b := newBench(t, "p256", "")
	// Of the same name, and with the same key identifier: only the signature
	// tells it from the CA.
	double := revocationtest.NewCAFrom(t, "p256", &x509.Certificate{
		RawSubject: b.ca.Cert.RawSubject, SubjectKeyId: b.ca.Cert.SubjectKeyId, NotBefore: b.ca.Cert.NotBefore, NotAfter: b.ca.Cert.NotAfter,
		KeyUsage: b.ca.Cert.KeyUsage, IsCA: true, BasicConstraintsValid: true,
	})
	const digital = x509.KeyUsageDigitalSignature
	for name, c := range map[string]struct {
		ca       *revocationtest.CA
		usage    x509.KeyUsage
		extended []x509.ExtKeyUsage
		ok       bool
	}{
		"delegate":                       {b.ca, digital, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, true},
		"without key usage":              {b.ca, 0, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, true},
		"for a server":                   {b.ca, digital, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, false},
		"for any purpose":                {b.ca, digital, []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, false},
		"for nothing that is said":       {b.ca, digital, nil, false},
		"for encryption only":            {b.ca, x509.KeyUsageKeyEncipherment, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, false},
		"delegate of the CA's double":    {double, digital, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, false},
		"certificate of the CA's double": {double, 0, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			cert, key := signerOf(t, c.ca, c.usage, c.extended...)
			if name == "certificate of the CA's double" {
				cert, key = double.Cert, double.Key
			}
			if _, err := ocsp.NewIssuer(ocsp.Credentials{CA: b.ca.Cert, Cert: cert, Signer: key}); (err == nil) != c.ok {
				t.Errorf("NewIssuer: %v", err)
			}
			v, err := ocsp.Verify(forge(t, b, cert, key), ocsp.VerifyOptions{CA: b.ca.Cert, Now: now})
			if (err == nil) != c.ok || err != nil && !errors.Is(err, ocsp.ErrUntrusted) {
				t.Errorf("Verify: %+v, %v", v, err)
			}
		})
	}
}
