package server_test

import (
	"crypto/x509"
	"testing"

	"github.com/certctl/certctl/certctl/chain"
)

func parse(t *testing.T, text string) []*x509.Certificate {
	t.Helper()
	certs, err := chain.Certificates([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return certs
}
