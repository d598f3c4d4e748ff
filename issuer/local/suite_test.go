package local_test

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/issuer/issuertest"
	"github.com/certctl/certctl/issuer/local"
)

// TestSuite: the contract of every issuer. The list of a local CA is made by the
// engine from its store, so it has no revoker of its own.
func TestSuite(t *testing.T) {
	issuertest.Run(t, issuertest.Subject{
		Kind: local.Kind(), Config: json.RawMessage(`{}`),
		Env:         connector.Env{Now: time.Now, Vault: connector.DirVault(filepath.Join(t.TempDir(), "vault"))},
		Unsupported: []issuertest.Feature{issuertest.Finding},
		BadConfigs: map[string][]string{
			`{"ca_validity_days":0,"key_algorithm":"DSA","ca_cert_path":"/x","crl_shards":-1}`: {"ca_validity_days", "key_algorithm", "ca_key_path", "crl_shards"},
		},
		Down: map[string]json.RawMessage{"no such file": json.RawMessage(`{"ca_cert_path":"/no/such/ca.pem","ca_key_path":"/no/such/ca.key"}`)},
	})
}
