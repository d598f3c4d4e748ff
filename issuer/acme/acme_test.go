package acme_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/internal/peer"
	"github.com/certctl/certctl/issuer/acme"
	"github.com/certctl/certctl/issuer/issuertest"
	"github.com/certctl/certctl/revocation"
)

// config is one that works with a Pebble.
func config(t testing.TB, p *peer.PebbleServer, more map[string]any) json.RawMessage {
	t.Helper()
	c := map[string]any{
		"directory_url": p.Directory, "ca_cert_path": p.CACert, "http_port": p.HTTPPort, "tls_port": p.TLSPort, "listen_address": "127.0.0.1",
		"dns_resolvers": []string{p.DNS}, "dns_check_servers": []string{p.DNS}, "dns_propagation_wait": 20,
	}
	for k, v := range more {
		c[k] = v
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func env(t testing.TB) connector.Env {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return connector.Env{
		HTTP: &http.Client{Transport: transport, Timeout: 30 * time.Second}, Now: time.Now,
		Vault: connector.DirVault(filepath.Join(t.TempDir(), "vault")),
	}
}

// revoked asks Pebble's management interface.
func revoked(p *peer.PebbleServer) func(context.Context, *x509.Certificate) (bool, revocation.Reason, error) {
	return func(_ context.Context, c *x509.Certificate) (bool, revocation.Reason, error) {
		text, err := p.Manage("/cert-status-by-serial/" + c.SerialNumber.Text(16))
		if err != nil {
			return false, 0, err
		}
		var s struct {
			Status string
			Reason int
		}
		err = json.Unmarshal(text, &s)
		return s.Status == "Revoked", revocation.Reason(s.Reason), err
	}
}

var names atomic.Int64

func name() string { return fmt.Sprintf("n%d.example.com", names.Add(1)) }

func subject(t testing.TB, p *peer.PebbleServer) issuertest.Subject {
	return issuertest.Subject{
		Kind: acme.Kind(), Config: config(t, p, nil), Env: env(t), Name: name, Revoked: revoked(p),
		Unsupported: []issuertest.Feature{
			issuertest.Finding, issuertest.Authorities, issuertest.CommonNames, issuertest.Wildcards,
		},
		BadConfigs: map[string][]string{
			`{"directory_url":"http://x","email":"a b","eab_kid":"k","challenge_type":"dns-01","http_port":0,"dns_resolvers":["x"],"webroot":"w"}`: {
				"directory_url", "email", "eab_hmac", "dns_present_script", "http_port", "dns_resolvers", "webroot"},
			`{"directory_url":"https://x/dir","challenge_type":"dns-01","dns_update":{"server":"x","tsig_key":"!"},"dns_present_script":["p"]}`: {
				"dns_update", "dns_present_script"},
		},
		Down: map[string]json.RawMessage{
			"nobody listens":  config(t, p, map[string]any{"directory_url": "https://127.0.0.1:1/dir"}),
			"no directory":    config(t, p, map[string]any{"directory_url": p.Directory + "x"}),
			"an unknown root": config(t, p, map[string]any{"ca_cert_path": ""}),
			"no such profile": config(t, p, map[string]any{"profile": "no-such"}),
			"no such root":    config(t, p, map[string]any{"ca_cert_path": "/no/such"}),
			"another host":    config(t, p, map[string]any{"directory_url": strings.Replace(p.Directory, "localhost", "127.0.0.2", 1)}),
		},
	}
}

// TestSuite: the contract of every issuer, on a Pebble that refuses a
// nonce now and then.
func TestSuite(t *testing.T) {
	p := peer.Pebble(t, peer.PebbleOptions{Env: []string{"PEBBLE_WFE_NONCEREJECT=5", "PEBBLE_CHAIN_LENGTH=3"}})
	issuertest.Run(t, subject(t, p))
}
