package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/internal/peer"
)

// plane is a control plane as one runs it in earnest: Postgres, no demo.
type plane struct {
	dev
	database *peer.PostgresServer
}

func newPlane(t *testing.T) *plane {
	t.Helper()
	p := &plane{database: peer.Postgres(t)}
	p.t, p.dir, p.addrs = t, filepath.Join(t.TempDir(), "data"), addresses(t, 2)
	p.process = launch(t, []string{
		"CERTCTL_DATABASE_URL=" + p.database.DSN("postgres"), "CERTCTL_CONFIG_ENCRYPTION_KEY=0123456789abcdef0123456789abcdef",
	}, "certctl-server", "--data-dir", p.dir, "--listen", p.addrs[0], "--pki-listen", p.addrs[1], "--pki-url", "http://"+p.addrs[1])
	until(t, "the server answers", time.Minute, func() bool {
		select {
		case <-p.done:
			t.Fatal("it has ended: " + p.text())
		default:
		}
		_, err := p.cli("status")
		return err == nil
	})
	return p
}

// token makes a join token by the command line.
func (d *dev) token(name string) string {
	d.t.Helper()
	var made struct{ Token string }
	d.object(&made, "agents", "join-token", "create", "--agent-name", name)
	if made.Token == "" {
		d.t.Fatal("no token was shown")
	}
	return made.Token
}

// agent joins a new agent, by a token in a file, and returns its ID and folder.
func (d *dev) agent(name string) (id, dir string) {
	d.t.Helper()
	dir = filepath.Join(d.t.TempDir(), name)
	launch(d.t, nil, "certctl-agent", "--server", "https://"+d.addrs[0], "--ca-file", d.path("ca.pem"), "--data-dir", dir,
		"--join-token-file", file(d.t, "token", d.token(name)+"\n"))
	until(d.t, "the agent joins and is online", 30*time.Second, func() bool {
		var agents []struct{ ID, Name, Status string }
		d.object(&agents, "agents", "list")
		for _, a := range agents {
			if a.Name == name && a.Status == "Online" {
				id = a.ID
			}
		}
		return id != ""
	})
	return id, dir
}

// job is what the tests read of one.
type job struct {
	ID, Type, Status string
	CertificateID    string `json:"certificate_id"`
	Generation       int
	LastError        string `json:"last_error"`
	Output           string
}

func (d *dev) jobs(args ...string) (found []job) {
	d.t.Helper()
	d.object(&found, append([]string{"jobs", "list", "--limit", "0"}, args...)...)
	return found
}

// pair is the files of a site, byte for byte.
func pair(t *testing.T, n *peer.NginxServer) string {
	t.Helper()
	cert, err := os.ReadFile(n.Cert)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(n.Key)
	if err != nil {
		t.Fatal(err)
	}
	return string(cert) + string(key)
}

// shown is the serial that nginx serves.
func shown(t *testing.T, n *peer.NginxServer) string {
	t.Helper()
	c, err := n.Served()
	if err != nil {
		t.Fatal(err)
	}
	return c.SerialNumber.Text(16)
}

func (p *plane) config(n *peer.NginxServer, reload []string) string {
	text, err := json.Marshal(map[string]any{
		"cert_path": n.Cert, "key_path": n.Key, "validate_command": n.Command("-t"), "reload_command": reload,
		"endpoints": []any{map[string]any{"address": n.Address, "server_name": "localhost"}}, "probe_seconds": 2,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// fails renews and expects that the deployment fails for a reason that a person
// understands, and that the site is as it was.
func (p *plane) fails(n *peer.NginxServer, reasons ...string) {
	t := p.t
	t.Helper()
	before, serial := pair(t, n), shown(t, n)
	out, err := p.cli("certs", "renew", "mc-www", "--wait")
	if err == nil {
		t.Fatalf("the renewal succeeded: %s", out)
	}
	var failed *job
	for _, j := range p.jobs("--certificate-id", "mc-www", "--status", "Failed") {
		if failed == nil || j.Generation > failed.Generation {
			failed = &j
		}
	}
	if failed == nil {
		t.Fatalf("no job is Failed: %+v; the command said: %s", p.jobs(), out)
	}
	t.Logf("%s job: %s", failed.Type, failed.LastError)
	for _, reason := range reasons {
		if !strings.Contains(failed.LastError+failed.Output, reason) || !strings.Contains(out, reason) {
			t.Errorf("the reason lacks %q. Job: %s %s\nCommand: %s", reason, failed.LastError, failed.Output, out)
		}
	}
	if pair(t, n) != before {
		t.Error("the files are not what they were")
	}
	if now := shown(t, n); now != serial {
		t.Errorf("nginx serves %s instead of %s", now, serial)
	}
}

func TestPostgresAndNginx(t *testing.T) {
	n, p := peer.Nginx(t), newPlane(t)
	agent, folder := p.agent("web1")
	p.mustCLI("targets", "create", "--id", "tgt-web1", "--name", "nginx on web1", "--type", "nginx", "--agent-id", agent,
		"--config", p.config(n, n.Command("-s", "reload")))
	p.mustCLI("certs", "create", "--id", "mc-www", "--san", "localhost", "--target-id", "tgt-web1", "--wait")
	current := func() string {
		var c certificate
		p.object(&c, "certs", "get", "mc-www")
		return c.Serial
	}
	// A worker of before the reload may accept one connection more.
	serves := func(serial string) {
		t.Helper()
		until(t, "nginx serves "+serial, 5*time.Second, func() bool { return shown(t, n) == serial })
	}
	first := current()
	serves(first)
	must(t, "curl", "-sS", "--noproxy", "*", "--cacert", p.path("ca.pem"), "https://localhost:"+port(t, n.Address)+"/")
	p.mustCLI("certs", "renew", "mc-www", "--wait")
	second := current()
	if second == first {
		t.Fatal("the renewal issued nothing")
	}
	serves(second)

	// Broken configuration: found before anything is touched.
	good, err := os.ReadFile(n.Conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(n.Conf, bytes.Replace(good, []byte("ssl_certificate "), []byte("ssl_certificat "), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	p.fails(n, "validate_command", "ssl_certificat")
	if err := os.WriteFile(n.Conf, good, 0o600); err != nil {
		t.Fatal(err)
	}
	p.mustCLI("certs", "renew", "mc-www", "--wait")
	serves(current())

	// A reload that does nothing: found by the probe, undone.
	p.mustCLI("targets", "update", "tgt-web1", "--config", p.config(n, []string{"true"}))
	p.fails(n, "serves another certificate")
	p.mustCLI("targets", "update", "tgt-web1", "--config", p.config(n, n.Command("-s", "reload")))
	p.mustCLI("certs", "renew", "mc-www", "--wait")
	serves(current())

	// Nothing was told by anyone that should be in the agent's folder alone.
	keys := filepath.Join(folder, "keys")
	entries, err := os.ReadDir(keys)
	if err != nil || len(entries) == 0 {
		t.Fatalf("keys: %d, %v", len(entries), err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
	p.noSecretsInPostgres(folder)
	if code := p.interrupt(t); code != 0 {
		t.Errorf("the server's exit code is %d", code)
	}
}

// noSecretsInPostgres greps a dump of the database.
func (p *plane) noSecretsInPostgres(agentDir string) {
	t := p.t
	t.Helper()
	dump := must(t, "pg_dump", "--inserts", "-d", p.database.DSN("postgres"))
	if !strings.Contains(dump, "mc-www") {
		t.Fatal("the dump is empty")
	}
	admin, err := os.ReadFile(p.path("admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	identity, err := os.ReadFile(filepath.Join(agentDir, "identity.json"))
	if err != nil {
		t.Fatal(err)
	}
	var own struct{ Credential string }
	if err := json.Unmarshal(identity, &own); err != nil || own.Credential == "" {
		t.Fatalf("identity: %v", err)
	}
	for place, text := range map[string]string{"database": dump, "log": p.text()} {
		for name, canary := range map[string]string{
			"admin key": strings.TrimSpace(string(admin)), "agent credential": own.Credential,
			"encryption key": "0123456789abcdef0123456789abcdef", "private key": "PRIVATE KEY-----",
		} {
			if strings.Contains(text, canary) {
				t.Errorf("the %s is in clear in: %s", name, place)
			}
		}
	}
}
