package acme_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/internal/peer"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/issuer/acme"
)

func request(t testing.TB, dnsNames ...string) *issuer.Request {
	t.Helper()
	key, err := keys.Generate(keys.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{}, DNSNames: dnsNames}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer.Request{CSR: csr, DNSNames: dnsNames}
}

func open(t testing.TB, c json.RawMessage, e connector.Env) *acme.CA {
	t.Helper()
	i, err := acme.Kind().Open(t.Context(), c, e)
	if err != nil {
		t.Fatal(err)
	}
	return i.(*acme.CA)
}

func issue(t testing.TB, ca issuer.Issuer, req *issuer.Request) (*issuer.Issued, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	got, err := ca.Issue(ctx, req)
	if err == nil {
		err = issuer.Judge(req, got, nil, time.Now())
	}
	return got, err
}

// hook is a DNS script that speaks to Pebble's DNS server.
func hook(t testing.TB, p *peer.PebbleServer) (present, cleanup []string) {
	t.Helper()
	curl, dir := peer.Need(t, "curl"), t.TempDir()
	write := func(name, body string) []string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\nset -eu\n"+body), 0o700); err != nil {
			t.Fatal(err)
		}
		return []string{path, p.DNSManagement()}
	}
	return write("present", fmt.Sprintf(`%s -sf -d "{\"host\":\"$CERTCTL_FQDN\",\"value\":\"$CERTCTL_VALUE\"}" "$1/set-txt"; echo "$CERTCTL_FQDN" >> %s/made`, curl, dir)),
		write("cleanup", fmt.Sprintf(`%s -sf -d "{\"host\":\"$CERTCTL_FQDN\"}" "$1/clear-txt"; echo "$CERTCTL_FQDN" >> %s/removed`, curl, dir))
}

// TestChallenges: each way to validate, a wildcard where DNS does it, and nothing
// left afterwards.
func TestChallenges(t *testing.T) {
	p := peer.Pebble(t, peer.PebbleOptions{Env: []string{"PEBBLE_AUTHZREUSE=0"}})
	present, cleanup := hook(t, p)
	webroot := t.TempDir()
	web := httptest.NewUnstartedServer(http.FileServer(http.Dir(webroot)))
	for what, c := range map[string]struct {
		config map[string]any
		names  []string
	}{
		"http-01":        {nil, []string{name(), name()}},
		"tls-alpn-01":    {map[string]any{"challenge_type": "tls-alpn-01"}, []string{name(), name()}},
		"dns-01":         {map[string]any{"challenge_type": "dns-01", "dns_present_script": present, "dns_cleanup_script": cleanup}, []string{name()}},
		"dns-persist-01": {map[string]any{"challenge_type": "dns-persist-01", "dns_present_script": present, "dns_cleanup_script": cleanup}, []string{name()}},
		"wildcard":       {map[string]any{"challenge_type": "dns-01", "dns_present_script": present, "dns_cleanup_script": cleanup}, []string{"*." + name()}},
	} {
		t.Run(what, func(t *testing.T) {
			ca := open(t, config(t, p, c.config), env(t))
			if _, err := issue(t, ca, request(t, c.names...)); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("webroot", func(t *testing.T) {
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", p.HTTPPort))
		if err != nil {
			t.Fatal(err)
		}
		_ = web.Listener.Close()
		web.Listener = ln
		web.Start()
		defer web.Close()
		if _, err := issue(t, open(t, config(t, p, map[string]any{"webroot": webroot}), env(t)), request(t, name())); err != nil {
			t.Fatal(err)
		}
		left, err := filepath.Glob(filepath.Join(webroot, ".well-known", "acme-challenge", "*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	made, _ := os.ReadFile(filepath.Join(filepath.Dir(present[0]), "made"))
	removed, _ := os.ReadFile(filepath.Join(filepath.Dir(present[0]), "removed"))
	if n, m := strings.Count(string(made), "_acme-challenge."), strings.Count(string(removed), "_acme-challenge."); n != 2 || m != 2 {
		t.Errorf("records made:\n%sremoved:\n%s", made, removed)
	}
	if strings.Count(string(made), "_validation-persist.") != 1 || strings.Contains(string(removed), "_validation-persist.") {
		t.Errorf("the record that stays: made:\n%sremoved:\n%s", made, removed)
	}
}

// TestDelegation: the record is made where an alias of _acme-challenge leads.
func TestDelegation(t *testing.T) {
	p := peer.Pebble(t, peer.PebbleOptions{})
	present, cleanup := hook(t, p)
	site := name()
	if err := p.DNSCall("set-cname", map[string]string{"host": "_acme-challenge." + site, "target": "validations.example.net"}); err != nil {
		t.Fatal(err)
	}
	c := map[string]any{"challenge_type": "dns-01", "dns_present_script": present, "dns_cleanup_script": cleanup}
	if _, err := issue(t, open(t, config(t, p, c), env(t)), request(t, site)); err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadFile(filepath.Join(filepath.Dir(present[0]), "made"))
	if err != nil || string(made) != "validations.example.net.\n" {
		t.Errorf("made %q, %v", made, err)
	}
}

// TestRefusals: what the CA refuses and what cannot be done is said with what to
// do about it, and is final or not.
func TestRefusals(t *testing.T) {
	p := peer.Pebble(t, peer.PebbleOptions{})
	failing := filepath.Join(t.TempDir(), "failing")
	if err := os.WriteFile(failing, []byte("#!/bin/sh\necho the zone is locked >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	wrong := request(t, name())
	wrong.DNSNames = append(wrong.DNSNames, name())
	mail := request(t, name())
	mail.Emails = []string{"a@example.com"}
	for what, c := range map[string]struct {
		config map[string]any
		req    *issuer.Request
		kind   error
		says   string
	}{
		"blocked name":       {nil, request(t, "blocked-domain.example"), issuer.ErrRefused, "does not issue for this name"},
		"wrong answer":       {map[string]any{"challenge_type": "dns-01", "dns_present_script": []string{"/bin/true"}, "dns_propagation_wait": 1}, request(t, name()), issuer.ErrNotDone, "is not seen after 1 s"},
		"script fails":       {map[string]any{"challenge_type": "dns-01", "dns_present_script": []string{failing}}, request(t, name()), issuer.ErrNotDone, "the zone is locked"},
		"wildcard by http":   {nil, request(t, "*."+name()), issuer.ErrConfig, "challenge_type is http-01"},
		"CSR of other names": {nil, wrong, issuer.ErrRefused, "they must be the same"},
		"mail address":       {nil, mail, issuer.ErrRefused, "not for e-mail"},
		"profile":            {map[string]any{"profile": "gold"}, request(t, name()), issuer.ErrConfig, "but default, shortlived"},
		"nobody at the port": {map[string]any{"webroot": t.TempDir()}, request(t, name()), issuer.ErrRefused, "could not reach the server"},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := issue(t, open(t, config(t, p, c.config), env(t)), c.req)
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %v with %q", err, c.kind, c.says)
			}
		})
	}
}
