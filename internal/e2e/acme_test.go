package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/internal/peer"
)

// acmeFleet is a fleet with a Pebble, which every name leads to.
type acmeFleet struct {
	*fleet
	pebble *peer.PebbleServer
}

func (f *acmeFleet) create(id string, more map[string]any) {
	f.t.Helper()
	c := map[string]any{
		"directory_url": f.pebble.Directory, "ca_cert_path": f.pebble.CACert, "http_port": f.pebble.HTTPPort, "tls_port": f.pebble.TLSPort,
		"listen_address": "127.0.0.1", "dns_resolvers": []string{f.pebble.DNS}, "dns_check_servers": []string{f.pebble.DNS},
	}
	for k, v := range more {
		c[k] = v
	}
	text, err := json.Marshal(c)
	if err != nil {
		f.t.Fatal(err)
	}
	f.mustCLI("issuers", "create", "--id", id, "--name", id, "--type", "acme", "--config", string(text))
}

// seen is the serial that nginx serves, with a chain to Pebble's root.
func (f *acmeFleet) seen(name string) string {
	f.t.Helper()
	root, err := f.pebble.Manage("/roots/0")
	if err != nil {
		f.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(root)
	conn, err := tls.Dial("tcp", f.nginx.Address, &tls.Config{RootCAs: pool, ServerName: name, MinVersion: tls.VersionTLS12})
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Text(16)
}

// status is what Pebble itself says of a certificate.
func (f *acmeFleet) status(serial string) string {
	f.t.Helper()
	text, err := f.pebble.Manage("/cert-status-by-serial/" + serial)
	if err != nil {
		f.t.Fatal(err)
	}
	var s struct{ Status string }
	if err := json.Unmarshal(text, &s); err != nil {
		f.t.Fatal(err)
	}
	return s.Status
}

func (f *acmeFleet) certificate(id string) (c certificate) {
	f.t.Helper()
	f.object(&c, "certs", "get", id)
	return c
}

// TestACME is the walk with a CA that is not ours, by each way to validate: issued
// by a real Pebble, deployed by the agent, served by nginx, renewed and revoked,
// as the CA itself says.
func TestACME(t *testing.T) {
	f := &acmeFleet{newFleet(t), peer.Pebble(t, peer.PebbleOptions{Env: []string{"PEBBLE_WFE_NONCEREJECT=20"}})}
	bind := peer.Bind(t, "example.org")
	dns := peer.Pebble(t, peer.PebbleOptions{DNS: bind.Address})
	hook := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(hook, []byte(`#!/bin/sh
exec curl -sf -d "{\"host\":\"$CERTCTL_FQDN\",\"value\":\"$CERTCTL_VALUE\"}" "$1"
`), 0o700); err != nil {
		t.Fatal(err)
	}
	f.create("iss-http", map[string]any{"profile": "shortlived"})
	f.create("iss-alpn", map[string]any{"challenge_type": "tls-alpn-01"})
	f.create("iss-dns", map[string]any{"challenge_type": "dns-01", "dns_present_script": []string{hook, f.pebble.DNSManagement() + "/set-txt"}})
	f.create("iss-persist", map[string]any{"challenge_type": "dns-persist-01", "dns_present_script": []string{hook, f.pebble.DNSManagement() + "/set-txt"}})
	f.create("iss-bind", map[string]any{
		"challenge_type": "dns-01", "directory_url": dns.Directory, "ca_cert_path": dns.CACert, "dns_resolvers": []string{bind.Address},
		"dns_check_servers": []string{bind.Address}, "dns_update": map[string]any{
			"server": bind.Address, "tsig_name": bind.KeyName, "tsig_key": bind.KeyText, "tsig_algorithm": "hmac-sha256"},
	})
	f.mustCLI("targets", "create", "--id", "tgt-web1", "--name", "nginx", "--type", "nginx", "--agent-id", f.agentID, "--config", f.config(""))
	walk := func(issuer, name, server string, ca *peer.PebbleServer) {
		f := &acmeFleet{f.fleet, ca}
		id, target := "mc-"+strings.TrimPrefix(issuer, "iss-"), "tgt-web1"
		config := strings.Replace(f.config(""), `"server_name":"localhost"`, fmt.Sprintf(`"server_name":%q`, server), 1)
		f.mustCLI("targets", "update", target, "--config", config)
		f.mustCLI("certs", "create", "--id", id, "--san", name, "--issuer-id", issuer)
		f.mustCLI("certs", "bind", id, "--target-id", target)
		until(t, "nginx serves it", 60*time.Second, func() bool {
			return strings.Contains(f.mustCLI("certs", "bindings", id, "-o", "json"), `"InSync"`)
		})
		first := f.seen(server)
		if first != f.certificate(id).Serial || f.status(first) != "Valid" {
			t.Errorf("serial %s is served, %s is current, the CA says %s", first, f.certificate(id).Serial, f.status(first))
		}
		f.mustCLI("certs", "renew", id, "--wait")
		second := f.seen(server)
		if second == first || second != f.certificate(id).Serial {
			t.Errorf("serial %s, then %s; %s is current", first, second, f.certificate(id).Serial)
		}
		f.mustCLI("certs", "revoke", id, "--reason", "superseded")
		until(t, "the CA has revoked both", 30*time.Second, func() bool {
			return f.status(first) == "Revoked" && f.status(second) == "Revoked"
		})
		f.mustCLI("certs", "unbind", id, "--target-id", target)
	}
	for _, c := range []struct {
		issuer, name, server string
		ca                   *peer.PebbleServer
	}{
		{"iss-http", "www.example.com", "www.example.com", f.pebble},
		{"iss-alpn", "alpn.example.com", "alpn.example.com", f.pebble},
		{"iss-dns", "*.wild.example.com", "any.wild.example.com", f.pebble},
		{"iss-persist", "persist.example.com", "persist.example.com", f.pebble},
		{"iss-bind", "*.example.org", "some.example.org", dns},
	} {
		t.Log(c.issuer)
		walk(c.issuer, c.name, c.server, c.ca)
	}
}
