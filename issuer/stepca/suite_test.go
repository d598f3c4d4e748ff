package stepca_test

import (
	"encoding/json"
	"testing"

	"github.com/certctl/certctl/issuer/issuertest"
	"github.com/certctl/certctl/issuer/stepca"
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
		Revoked: issuertest.ListedBy(open(t, ca.config()).CRL),
	})
}
