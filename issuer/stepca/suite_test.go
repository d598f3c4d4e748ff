package stepca_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"testing"

	"github.com/certctl/certctl/issuer/issuertest"
	"github.com/certctl/certctl/issuer/stepca"
	"github.com/certctl/certctl/revocation"
)

// TestSuite: the contract of every issuer, on a real step-ca.
func TestSuite(t *testing.T) {
	ca := startCA(t, true)
	issuertest.Run(t, issuertest.Subject{
		Kind: stepca.Kind(), Config: ca.config(), Env: environment(t), Secrets: []string{keyPassword, caPassword, secondPassword},
		Unsupported: []issuertest.Feature{issuertest.Finding},
		BadConfigs: map[string][]string{
			`{"ca_url":"http://x","provisioner_name":"a","provisioner_type":"X5C","root_fingerprint":"zz","validity_days":-1}`: {
				"ca_url", "provisioner_key_path", "x5c_cert_path", "root_fingerprint", "validity_days"},
		},
		Down: map[string]json.RawMessage{
			"nobody listens": ca.config("ca_url", "https://127.0.0.1:1"), "wrong password": ca.config("provisioner_password", secondPassword),
			"no such provisioner": ca.config("provisioner_name", "nobody"), "no such root": ca.config("root_cert_path", "/no/such"),
		},
		Revoked: func(ctx context.Context, c *x509.Certificate) (bool, revocation.Reason, error) {
			der, err := open(t, ca.config()).CRL(ctx)
			if err != nil {
				return false, 0, err
			}
			list, err := x509.ParseRevocationList(der)
			if err != nil {
				return false, 0, err
			}
			for _, e := range list.RevokedCertificateEntries {
				if e.SerialNumber.Cmp(c.SerialNumber) == 0 {
					return true, revocation.Reason(e.ReasonCode), nil
				}
			}
			return false, 0, nil
		},
	})
}
