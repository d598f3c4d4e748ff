package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/server"
)

// issue makes a certificate and returns its serial.
func (u *setup) issue(id string) string {
	u.t.Helper()
	out := u.ok("certs", "create", "--id", id, "--san", id+".example.com", "--csr", u.write(id+".csr", csr(u.t, id+".example.com")), "--wait", "-o", "json")
	var cert struct {
		Serial string `json:"serial_number"`
	}
	if err := json.Unmarshal([]byte(out), &cert); err != nil || cert.Serial == "" {
		u.t.Fatalf("%v: %s", err, out)
	}
	return cert.Serial
}

// verdict asks for the status of a serial.
type verdict struct {
	Verdict, Why string
	Says         []struct {
		Source, State, Reason, Signer, Problem string
		Since                                  time.Time
		InvalidSince                           time.Time `json:"invalid_since"`
	}
	code int
}

func (u *setup) status(serial string, more ...string) (v verdict) {
	u.t.Helper()
	out, errs, code := u.run(append([]string{"revocation", "status", serial, "--issuer", server.LocalIssuerID, "-o", "json"}, more...)...)
	if err := json.Unmarshal([]byte(out), &v); err != nil || len(v.Says) != 2 {
		u.t.Fatalf("%v: %s %s", err, out, errs)
	}
	v.code = code
	return v
}

func (u *setup) wants(serial, state string, code int, more ...string) verdict {
	u.t.Helper()
	v := u.status(serial, more...)
	if v.Verdict != state || v.code != code {
		u.t.Errorf("exit code %d, want %d and %s: %+v", v.code, code, state, v)
	}
	return v
}

func TestRevocationStatus(t *testing.T) {
	u := newSetup(t)
	serial := u.issue("mc-a")
	if v := u.wants(serial, "good", 0); v.Says[0].Signer == v.Says[1].Signer || v.Says[0].Source != "OCSP" || v.Says[1].Source != "CRL" {
		t.Errorf("%+v", v)
	}
	u.wants("0"+strings.ToUpper(serial), "good", 0, "--pki-url", u.pki+"/", "--issuer-file", u.dir+"/ca.pem")
	u.ok("certs", "hold", "mc-a")
	if v := u.wants(serial, "revoked", 8); v.Says[0].Reason != "certificateHold" || v.Says[1].Reason != "certificateHold" || !v.Says[0].Since.Equal(v.Says[1].Since) {
		t.Errorf("%+v", v)
	}
	if out := u.ok("certs", "release", "mc-a"); !strings.Contains(out, serial) {
		t.Error(out)
	}
	u.wants(serial, "good", 0)
	if _, errs, code := u.run("certs", "release", "mc-a"); code == 0 || !strings.Contains(errs, "not on hold") {
		t.Errorf("%d %s", code, errs)
	}
	u.ok("certs", "revoke", "mc-a", "--reason", "keyCompromise", "--invalid-since", "2026-01-31T00:00:00Z")
	if v := u.wants(serial, "revoked", 8); v.Says[1].Reason != "keyCompromise" || !v.Says[1].InvalidSince.Equal(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", v)
	}
	u.wants("123456789abcdef", "unknown", 9)
	out, errs, code := u.run("revocation", "status", serial, "--issuer", server.LocalIssuerID)
	if code != 8 || !strings.Contains(out, "keyCompromise") || !strings.Contains(out, "Verdict  revoked") || !strings.Contains(errs, "is revoked") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"no serial": {[]string{"revocation", "status", "xyz", "--issuer", "iss-local"}, 2},
		"no issuer": {[]string{"revocation", "status", serial}, 1},
		"no URL":    {[]string{"revocation", "status", serial, "--issuer", "iss-local", "--pki-url", "ldap://x"}, 2},
		"none":      {[]string{"revocation", "status", serial, "--issuer", "iss-none"}, 1},
		"away":      {[]string{"revocation", "status", serial, "--issuer", "iss-local", "--pki-url", "http://127.0.0.1:1"}, 1},
	} {
		if out, errs, code := u.run(c.args...); code != c.code {
			t.Errorf("%s: exit code %d, want %d: %s %s", name, code, c.code, out, errs)
		}
	}
}

// stale answers some paths with what the real listener said earlier.
type stale struct {
	keep map[string][]byte // by a part of the path
	real *httputil.ReverseProxy
}

func (s *stale) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for part, body := range s.keep {
		if strings.Contains(r.URL.Path, part) {
			_, _ = w.Write(body)
			return
		}
	}
	s.real.ServeHTTP(w, r)
}

func (u *setup) behind() (*stale, string) {
	u.t.Helper()
	target, err := url.Parse(u.pki)
	if err != nil {
		u.t.Fatal(err)
	}
	s := &stale{map[string][]byte{}, httputil.NewSingleHostReverseProxy(target)}
	h := httptest.NewServer(s)
	u.t.Cleanup(h.Close)
	return s, h.URL
}

func (u *setup) get(path string) []byte {
	u.t.Helper()
	res, err := http.Get(u.pki + path)
	if err != nil {
		u.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil || res.StatusCode != http.StatusOK {
		u.t.Fatalf("%v, %s", err, res.Status)
	}
	return text
}

// TestRevocationStatusIsNotFooled asks through somebody who serves what was
// true once, or never.
func TestRevocationStatusIsNotFooled(t *testing.T) {
	u := newSetup(t)
	serial := u.issue("mc-a")
	old, pki := u.behind()
	crl := "/.well-known/pki/crl/" + server.LocalIssuerID
	u.ok("certs", "hold", "mc-a")
	held := u.get(crl)
	u.ok("certs", "release", "mc-a")
	old.keep["/crl/"] = held
	if v := u.wants(serial, "disagree", 9, "--pki-url", pki); !strings.Contains(v.Why, "the CRL says revoked") {
		t.Errorf("%+v", v)
	}
	for name, body := range map[string]string{"HTML": "<html>", "nothing": "", "a certificate": string(u.get("/.well-known/pki/ca/" + server.LocalIssuerID))} {
		old.keep["/crl/"] = []byte(body)
		if v := u.wants(serial, "untrusted", 9, "--pki-url", pki); v.Says[0].State != "good" || v.Says[1].Problem == "" {
			t.Errorf("%s as a CRL: %+v", name, v)
		}
	}
	delete(old.keep, "/crl/")
	u.ok("issuers", "create", "--id", "iss-2", "--name", "second", "--type", "local")
	other := u.write("other.pem", u.ok("issuers", "ca", "iss-2"))
	if v := u.wants(serial, "untrusted", 9, "--issuer-file", other); v.Says[0].Problem == "" || v.Says[1].Problem == "" {
		t.Errorf("another CA: %+v", v)
	}
	old.keep["/ocsp/"] = []byte{0x30, 0x03, 0x0a, 0x01, 0x03} // tryLater
	if v := u.wants(serial, "untrusted", 9, "--pki-url", pki); v.Says[0].Problem == "" || v.Says[1].State != "good" {
		t.Errorf("an OCSP error: %+v", v)
	}
}

func TestBulkRevoke(t *testing.T) {
	u := newSetup(t)
	serial := u.issue("mc-a")
	u.issue("mc-b")
	if out := u.ok("certs", "bulk-revoke", "--issuer-id", server.LocalIssuerID, "--dry-run", "-o", "name"); strings.TrimSpace(out) != "3" { // the server has one, too
		t.Errorf("dry run: %q", out)
	}
	if _, errs, code := u.run("certs", "bulk-revoke", "mc-a"); code != 2 || !strings.Contains(errs, "Revoke 1 certificates") || !strings.Contains(errs, "--yes") {
		t.Errorf("without --yes: %d %s", code, errs)
	}
	u.wants(serial, "good", 0)
	out, errs, code := u.run("certs", "bulk-revoke", "mc-a", "mc-none", "mc-b", "--reason", "superseded", "--yes", "--wait")
	if code != 7 || !strings.Contains(out, "3 affected: 2 revoked, 0 skipped (nothing to revoke), 1 failed") || !strings.Contains(out, "mc-none") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	u.wants(serial, "revoked", 8)
	out = u.ok("certs", "bulk-revoke", "mc-a", "--yes", "--wait", "-o", "json")
	var b struct {
		ID       string
		Skipped  int `json:"skipped_count"`
		Failures []any
	}
	if err := json.Unmarshal([]byte(out), &b); err != nil || b.Skipped != 1 || b.Failures == nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out := u.ok("bulk-revocations", "items", b.ID, "--status", "skipped"); !strings.Contains(out, "mc-a") {
		t.Error(out)
	}
	if out := u.ok("bulk-revocations", "get", b.ID); !strings.Contains(out, "Completed") {
		t.Error(out)
	}
	if _, errs, code := u.run("certs", "bulk-revoke", "--team-id", "t-none", "--yes"); code != 1 || !strings.Contains(errs, "t-none") {
		t.Errorf("unknown team: %d %s", code, errs)
	}
	u.get("/.well-known/pki/crl/" + server.LocalIssuerID)
	if out := u.ok("admin", "crl-cache"); !strings.Contains(out, server.LocalIssuerID) {
		t.Error(out)
	}
}
