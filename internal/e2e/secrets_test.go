package e2e

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// secret is what a text must not have in clear: a name and the secret itself.
type secret struct{ name, text string }

// absent greps texts, by where they are, for secrets and for private keys.
func absent(t *testing.T, texts map[string]string, secrets ...secret) {
	t.Helper()
	for _, s := range secrets {
		if len(s.text) < 16 {
			t.Fatalf("the %s was not found: %d octets", s.name, len(s.text))
		}
	}
	for place, text := range texts {
		if len(text) < 20 {
			t.Fatalf("there is nothing in: %s", place)
		}
		for _, s := range secrets {
			if strings.Contains(text, s.text) {
				t.Errorf("the %s is in clear in: %s", s.name, place)
			}
		}
		if strings.Contains(text, "PRIVATE KEY-----") {
			t.Errorf("a private key is in clear in: %s", place)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// credential is that of an agent, from its folder.
func credential(t *testing.T, dir string) string {
	t.Helper()
	var identity struct{ Credential string }
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "identity.json"))), &identity); err != nil {
		t.Fatal(err)
	}
	return identity.Credential
}

// answers is every list of the API, with all that the command line can show.
func (d *dev) answers() string {
	d.t.Helper()
	var b strings.Builder
	b.WriteString(d.state())
	for _, noun := range []string{"audit", "agents", "api-keys"} {
		b.WriteString(d.mustCLI(noun, "list", "--limit", "0", "-o", "json"))
	}
	b.WriteString(d.mustCLI("agents", "join-token", "list", "--limit", "0", "-o", "json"))
	return b.String()
}

// TestSecretsStayWhereTheyBelong makes every kind of secret that there is and
// looks for them in logs, answers, audit, and a dump of the database.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	f := newFleet(t)
	f.mustCLI("targets", "create", "--id", "tgt-web1", "--name", "nginx", "--type", "nginx", "--agent-id", f.agentID, "--config", f.config(""))
	f.mustCLI("certs", "create", "--id", "mc-www", "--san", "localhost", "--target-id", "tgt-web1", "--wait")
	var key, turned struct{ ID, Key string }
	f.object(&key, "api-keys", "create", "--name", "looker", "--role", "viewer")
	f.object(&turned, "api-keys", "rotate", "--overlap", "0s", key.ID)
	_, token := f.token("unused")
	joined := f.join("other")
	fresh, err := f.with(joined.Credential).RotateCredential(t.Context(), joined.AgentID)
	if err != nil {
		t.Fatal(err)
	}
	// Wrong ones are no reason to write them down either.
	f.refused(key.Key, 4, "", "certs", "list")
	f.refused(token, 4, "", "certs", "list")

	texts := map[string]string{
		"log of the server": f.text(), "answers": f.answers(),
		"database": must(t, "pg_dump", "--inserts", "-d", f.database.DSN("postgres")),
	}
	if !strings.Contains(texts["database"], "mc-www") {
		t.Fatal("the dump lacks the certificate")
	}
	absent(t, texts,
		secret{"admin key", read(t, f.path("admin.key"))}, secret{"viewer's key", key.Key}, secret{"viewer's new key", turned.Key},
		secret{"join token", token}, secret{"agent's first credential", joined.Credential}, secret{"agent's new credential", fresh.Credential},
		secret{"encryption key", encryptionKey}, secret{"key of the site", keyBody(t, read(t, f.nginx.Key))},
	)
}

// keyBody is the first line of a PEM file's base64.
func keyBody(t *testing.T, pem string) string {
	t.Helper()
	found := regexp.MustCompile(`PRIVATE KEY-----\n([A-Za-z0-9+/]{64})\n`).FindStringSubmatch(pem)
	if found == nil {
		t.Fatal("no private key")
	}
	return found[1]
}

// TestFilesAreTheirOwnersAlone looks at what the first run leaves in its folder.
func TestFilesAreTheirOwnersAlone(t *testing.T) {
	d := newDev(t)
	secrets := []secret{
		{"admin key", read(t, d.path("admin.key"))}, {"encryption key", read(t, d.path("encryption.key"))}, {"agent's credential", credential(t, d.path("agent"))},
	}
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		private := strings.Contains(string(text), "PRIVATE KEY-----")
		for _, s := range secrets {
			private = private || strings.Contains(string(text), s.text)
		}
		if private && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s holds a secret, and its mode is %s", path, info.Mode())
		}
		if private && strings.HasPrefix(e.Name(), "certctl.db") {
			t.Errorf("%s holds a secret in clear", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(d.dir); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the data folder: %v, %v", info.Mode(), err)
	}
	absent(t, map[string]string{"output": d.text(), "answers": d.answers()}, secrets...)
}
