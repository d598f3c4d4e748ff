package cli_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/cli"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/certctl/server"
	"github.com/certctl/certctl/issuer/local"
	"github.com/certctl/certctl/store/storetest"
	"github.com/certctl/certctl/target"
	"github.com/certctl/certctl/target/files"
	"gopkg.in/yaml.v3"
)

// setup is a server with the data folder that the CLI finds it by.
type setup struct {
	t   *testing.T
	dir string
	pki string // URL of CRL and OCSP
}

func newSetup(t *testing.T) *setup {
	t.Helper()
	st := storetest.Open(t)
	issuers, err := connector.NewRegistry(local.Kind())
	if err != nil {
		t.Fatal(err)
	}
	targets, err := connector.NewRegistry[target.Target](files.Kind())
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := secret.NewSealer(secret.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{
		Store: st, Revocations: st, Issuers: issuers, Targets: targets, Sealer: sealer, Now: time.Now, Listen: "127.0.0.1:0", PKIListen: "127.0.0.1:0",
		APIKeys: []server.APIKey{{Name: "admin", Role: certctl.RoleAdmin, Token: secret.New("admin-key-of-this-test")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	ca, err := s.Engine().IssuerCertificates(t.Context(), server.LocalIssuerID)
	if err != nil {
		t.Fatal(err)
	}
	u := &setup{t, t.TempDir(), s.PKIURL()}
	u.write("ready.json", `{"server_url": "`+s.URL()+`", "pki_url": "`+s.PKIURL()+`"}`)
	u.write("ca.pem", ca)
	u.write("server.url", s.URL()+"\n")
	u.write("admin.key", "admin-key-of-this-test\n")
	return u
}

func (u *setup) write(name, text string) string {
	u.t.Helper()
	path := filepath.Join(u.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		u.t.Fatal(err)
	}
	return path
}

// run runs a command line and returns what it printed and its exit code.
func (u *setup) run(args ...string) (out, errs string, code int) {
	u.t.Helper()
	var o, e bytes.Buffer
	app := cli.New(cli.Options{Out: &o, Err: &e, In: strings.NewReader(""), Version: "test", Now: time.Now})
	err := app.RunContext(u.t.Context(), cli.Arrange(app, append([]string{"certctl-cli", "--data-dir", u.dir}, args...)))
	if err != nil {
		e.WriteString(err.Error())
	}
	return o.String(), e.String(), cli.ExitCode(err)
}

func (u *setup) ok(args ...string) string {
	u.t.Helper()
	out, errs, code := u.run(args...)
	if code != 0 {
		u.t.Fatalf("%v: exit code %d: %s", args, code, errs)
	}
	return out
}

func csr(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func TestLife(t *testing.T) {
	u := newSetup(t)
	file := u.write("csr.pem", csr(t, "api.example.com"))
	out := u.ok("certs", "create", "--id", "mc-api", "--san", "api.example.com", "--csr", file, "--wait", "-o", "json")
	var cert struct {
		ID, Status string
		Generation int
		Serial     string `json:"serial_number"`
	}
	if err := json.Unmarshal([]byte(out), &cert); err != nil || cert.Status != "Active" || cert.Generation != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	if out := u.ok("certs", "list", "--status=Active", "-o", "name"); !slices.Contains(strings.Fields(out), "mc-api") {
		t.Errorf("list: %s", out)
	}
	if out := u.ok("certs", "get", "mc-api"); !strings.Contains(out, cert.Serial) {
		t.Errorf("get: %s", out)
	}
	if out := u.ok("certs", "export", "mc-api"); !strings.HasPrefix(out, "-----BEGIN CERTIFICATE") {
		t.Errorf("export: %s", out)
	}
	next := u.write("next.pem", csr(t, "api.example.com"))
	u.ok("certs", "renew", "mc-api", "--csr", next, "--wait")
	if out := u.ok("certs", "versions", "mc-api", "-o", "name"); len(strings.Fields(out)) != 2 {
		t.Errorf("versions: %s", out)
	}
	if out := u.ok("certs", "revoke", "mc-api", "--reason", "superseded"); !strings.Contains(out, cert.Serial) || !strings.Contains(out, "superseded") {
		t.Errorf("revoke: %s", out)
	}
	out = u.ok("audit", "list", "--action", "certificate_revoked", "-o", "yaml")
	var entries []map[string]any
	if err := yaml.Unmarshal([]byte(out), &entries); err != nil || len(entries) != 2 {
		t.Errorf("audit: %v: %s", err, out)
	}
	if out := u.ok("status"); !strings.Contains(out, "ready: true") || !strings.Contains(out, "Revoked 1") {
		t.Errorf("status: %s", out)
	}
}

func TestEveryNoun(t *testing.T) {
	u := newSetup(t)
	team := u.write("team.yaml", "id: t-web\nname: web\n")
	u.ok("teams", "create", "-f", team)
	u.ok("owners", "create", "--id", "o-ann", "--name", "Ann", "--email", "ann@example.com", "--team-id", "t-web")
	u.ok("profiles", "create", "--id", "prof-web", "--name", "web", "--max-ttl", "720h", "--eku", "serverAuth")
	u.ok("renewal-policies", "create", "--id", "rp-week", "--name", "week", "--window-days", "7")
	u.ok("owners", "update", "o-ann", "--email", "ann@example.org")
	if out := u.ok("owners", "get", "o-ann", "-o", "json"); !strings.Contains(out, "ann@example.org") {
		t.Error(out)
	}
	u.ok("issuers", "create", "--id", "iss-2", "--name", "second", "--type", "GenericCA", "--config", `{"validity_days": 30}`)
	u.ok("issuers", "test", "iss-2")
	u.ok("issuers", "update", "iss-2", "--enabled=false")
	if out := u.ok("issuers", "ca", "iss-2"); !strings.HasPrefix(out, "-----BEGIN") {
		t.Error(out)
	}
	for _, noun := range []string{"certs", "jobs", "agents", "issuers", "targets", "profiles", "renewal-policies", "owners", "teams", "api-keys", "audit", "bulk-revocations"} {
		for _, form := range []string{"table", "json", "yaml", "name"} {
			u.ok(noun, "list", "-o", form)
		}
	}
	u.ok("issuers", "kinds")
	u.ok("targets", "kinds", "-o", "json")
	token := strings.TrimSpace(u.ok("agents", "join-token", "create", "--agent-name", "web1"))
	if !strings.HasPrefix(token, "ccj_") {
		t.Errorf("token %q", token)
	}
	u.ok("agents", "join-token", "list")
	key := strings.TrimSpace(u.ok("api-keys", "create", "--name", "reader", "--role", "viewer"))
	if _, errs, code := u.run("--api-key", key, "teams", "create", "--name", "x"); code != 4 {
		t.Errorf("a viewer created a team: %d %s", code, errs)
	}
	u.ok("--api-key", key, "teams", "list")
	u.ok("issuers", "delete", "iss-2")
	u.ok("owners", "delete", "o-ann")
	u.ok("teams", "delete", "t-web")
	u.ok("version")
}

func TestExitCodes(t *testing.T) {
	u := newSetup(t)
	u.ok("teams", "create", "--id", "t-1", "--name", "one")
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no such thing":     {[]string{"certs", "get", "mc-none"}, 3, "mc-none"},
		"conflict":          {[]string{"teams", "create", "--name", "one"}, 5, "name already"},
		"unknown command":   {[]string{"certificat", "list"}, 2, "certificat"},
		"unknown verb":      {[]string{"certs", "lst"}, 2, "lst"},
		"unknown flag":      {[]string{"certs", "list", "--colour"}, 2, "colour"},
		"too many":          {[]string{"certs", "get", "a", "b"}, 2, "exactly one"},
		"unknown form":      {[]string{"certs", "list", "-o", "xml"}, 2, "xml"},
		"bad key":           {[]string{"--api-key", "cck_no", "certs", "list"}, 4, "API key"},
		"not reachable":     {[]string{"--server", "https://127.0.0.1:1", "--timeout", "2s", "certs", "list"}, 1, "127.0.0.1:1"},
		"bad file":          {[]string{"teams", "create", "-f", u.write("bad.yaml", "nam: x\n")}, 2, "nam"},
		"bad config":        {[]string{"issuers", "create", "--name", "x", "--type", "local", "--config", `{"days": 1}`}, 1, "days"},
		"waits in vain":     {[]string{"certs", "create", "--san", "b.example.com", "--wait", "--timeout", "1s"}, 6, "AwaitingCSR"},
		"missing reference": {[]string{"owners", "create", "--name", "x", "--team-id", "t-none"}, 1, "t-none"},
	} {
		out, errs, code := u.run(c.args...)
		if code != c.code || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("%s: exit code %d (want %d): %q %q", name, code, c.code, out, errs)
		}
	}
}

func TestArrange(t *testing.T) {
	app := cli.New(cli.Options{Now: time.Now})
	for in, want := range map[string]string{
		"p certs renew mc-1 --wait -o json":             "p -o json certs renew --wait mc-1",
		"p certs list --status Active --server https:x": "p --server https:x certs list --status Active",
		"p certs get -- -odd":                           "p certs get -- -odd",
		"p agents join-token create --ttl 5m":           "p agents join-token create --ttl 5m",
		"p certs get list":                              "p certs get list",
	} {
		if got := strings.Join(cli.Arrange(app, strings.Fields(in)), " "); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
