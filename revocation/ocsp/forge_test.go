package ocsp_test

import (
	"crypto"
	"crypto/x509"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"
)

// forge signs "good" for a revoked serial of b's CA with any certificate.
func forge(t *testing.T, b *bench, cert *x509.Certificate, key crypto.Signer) []byte {
	t.Helper()
	der, err := xocsp.CreateResponse(b.ca.Cert, cert, xocsp.Response{
		Status: xocsp.Good, SerialNumber: badSerial, ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour), Certificate: cert,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
