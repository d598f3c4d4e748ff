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

// fleet is a server on Postgres, an agent, and nginx, each a process.
type fleet struct {
	dev
	agentID  string
	agentDir string
	agent    *process
	nginx    *peer.NginxServer
	database *peer.PostgresServer
}

// encryptionKey seals the secrets in the database.
const encryptionKey = "5cadd7d2cd30d6c0a9c6cd4e0d4f3f5a5cadd7d2cd30d6c0a9c6cd4e0d4f3f5a"

func newFleet(t *testing.T) *fleet {
	t.Helper()
	db := peer.Postgres(t)
	f := &fleet{database: db, dev: dev{t: t, dir: filepath.Join(t.TempDir(), "server"), addrs: addresses(t, 2)}}
	env := []string{"CERTCTL_OUTBOUND_ALLOW=127.0.0.0/8", "CERTCTL_DATABASE_URL=" + db.DSN("postgres"), "CERTCTL_CONFIG_ENCRYPTION_KEY=" + encryptionKey}
	f.process = launch(t, env, "certctl-server", "--data-dir", f.dir, "--listen", f.addrs[0], "--pki-listen", f.addrs[1], "--log-format", "text")
	until(t, "the server answers", 60*time.Second, func() bool { _, err := f.cli("status"); return err == nil })
	f.agentDir = filepath.Join(t.TempDir(), "agent")
	_, token := f.token("web1")
	f.startAgent("--join-token-file", file(t, "token", token+"\n"))
	until(t, "the agent has joined", 30*time.Second, func() bool {
		f.agentID = strings.TrimSpace(f.mustCLI("agents", "list", "-o", "name"))
		return f.agentID != ""
	})
	f.nginx = peer.Nginx(t)
	return f
}

// startAgent starts the agent, who has joined before or does so now.
func (f *fleet) startAgent(more ...string) {
	f.t.Helper()
	f.agent = launch(f.t, nil, "certctl-agent", append([]string{"--server", "https://" + f.addrs[0], "--ca-file", f.path("ca.pem"), "--data-dir", f.agentDir}, more...)...)
}

// live is the bytes of what nginx serves from.
func (f *fleet) live() []byte {
	f.t.Helper()
	cert, err := os.ReadFile(f.nginx.Cert)
	if err != nil {
		f.t.Fatal(err)
	}
	key, err := os.ReadFile(f.nginx.Key)
	if err != nil {
		f.t.Fatal(err)
	}
	return append(cert, key...)
}

func (f *fleet) config(reload string) string {
	c := map[string]any{
		"cert_path": f.nginx.Cert, "key_path": f.nginx.Key, "validate_command": f.nginx.Command("-t"),
		"reload_command": f.nginx.Command("-s", "reload"), "probe_seconds": 3,
		"endpoints": []map[string]string{{"address": f.nginx.Address, "server_name": "localhost"}},
	}
	if reload != "" {
		c["reload_command"] = []string{reload}
	}
	text, err := json.Marshal(c)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}

func (f *fleet) serial() string {
	f.t.Helper()
	c, err := served(f.t, f.nginx.Address, f.path("ca.pem"))
	if err != nil {
		f.t.Fatal(err)
	}
	return c.SerialNumber.Text(16)
}

// TestPostgresAgentNginx is the walk that operators take: request, bind, deploy,
// renew, and two ways in which a deployment goes wrong.
func TestPostgresAgentNginx(t *testing.T) {
	f := newFleet(t)
	f.mustCLI("targets", "create", "--id", "tgt-web1", "--name", "nginx", "--type", "nginx", "--agent-id", f.agentID, "--config", f.config(""))
	f.mustCLI("certs", "create", "--id", "mc-www", "--san", "localhost")
	if c := f.www(); c.Status != "Pending" { // nobody can make its key yet
		t.Errorf("%+v", c)
	}
	f.mustCLI("certs", "bind", "mc-www", "--target-id", "tgt-web1")
	// For a moment after a reload its previous workers still answer.
	until(t, "nginx serves it", 30*time.Second, func() bool {
		return strings.Contains(f.mustCLI("certs", "bindings", "mc-www", "-o", "json"), `"InSync"`)
	})
	if f.serial() != f.www().Serial {
		t.Fatal("another certificate is served")
	}
	first := f.serial()
	f.mustCLI("certs", "renew", "mc-www", "--wait")
	if second := f.serial(); second == first || second != f.www().Serial {
		t.Fatalf("serial %s, then %s", first, second)
	}

	t.Run("broken configuration", func(t *testing.T) {
		before, serial := f.live(), f.serial()
		good, err := os.ReadFile(f.nginx.Conf)
		if err != nil {
			t.Fatal(err)
		}
		f.configure(t, append(good, "no_such_directive on;\n"...))
		f.fails(t, "no_such_directive", before, serial)
		f.configure(t, good)
	})
	t.Run("reload that does nothing", func(t *testing.T) {
		before, serial := f.live(), f.serial()
		f.mustCLI("targets", "update", "tgt-web1", "--config", f.config("true"))
		f.fails(t, "serves another certificate", before, serial)
		f.mustCLI("targets", "update", "tgt-web1", "--config", f.config(""))
	})
	f.mustCLI("certs", "deploy", "mc-www", "--wait")
	if f.serial() != f.www().Serial {
		t.Error("after mending, the newest is not served")
	}
}

func (f *fleet) configure(t *testing.T, text []byte) {
	t.Helper()
	if err := os.WriteFile(f.nginx.Conf, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// fails renews, and expects the deployment to fail for a reason that is said,
// with nothing changed on the web server.
func (f *fleet) fails(t *testing.T, why string, before []byte, serial string) {
	t.Helper()
	out, err := f.cli("certs", "renew", "mc-www", "--wait", "--timeout", "60s")
	if err == nil || !strings.Contains(out, why) {
		t.Errorf("%v: %s", err, out)
	}
	if !bytes.Equal(before, f.live()) {
		t.Error("the files are not byte for byte as before")
	}
	if now := f.serial(); now != serial {
		t.Errorf("serial %s is served instead of %s", now, serial)
	}
	var jobs []struct {
		Status string `json:"status"`
		Error  string `json:"last_error"`
	}
	f.object(&jobs, "jobs", "list", "--type", "Deployment", "--limit", "1")
	if len(jobs) != 1 || jobs[0].Status != "Failed" || !strings.Contains(jobs[0].Error, why) {
		t.Errorf("the job says %+v", jobs)
	}
}

func (f *fleet) www() (c certificate) {
	f.t.Helper()
	f.object(&c, "certs", "get", "mc-www")
	return c
}
