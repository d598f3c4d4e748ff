package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// certificate is what the tests read of one.
type certificate struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Status     string `json:"status"`
	Generation int    `json:"generation"`
	Serial     string `json:"serial_number"`
}

func (d *dev) demo() (c certificate) {
	d.t.Helper()
	d.object(&c, "certs", "get", "mc-demo")
	return c
}

// served is the certificate that an address serves to those who trust root.
func served(t *testing.T, address, root string) (*x509.Certificate, error) {
	t.Helper()
	text, err := os.ReadFile(root)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := (&tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: "localhost"}}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

func (d *dev) served() string {
	d.t.Helper()
	c, err := served(d.t, d.addrs[2], d.path("ca.pem"))
	if err != nil {
		d.t.Fatal(err)
	}
	return c.SerialNumber.Text(16)
}

func TestFirstRun(t *testing.T) {
	begun := time.Now()
	d := newDev(t)
	t.Logf("ready after %s", time.Since(begun))
	keys := slices.Sorted(maps.Keys(d.ready))
	if want := []string{"admin_key_file", "agent_id", "ca_file", "certificate_id", "issuer_id", "pki_url", "server_url", "site_url"}; !slices.Equal(keys, want) {
		t.Errorf("ready.json has %v", keys)
	}
	ca := d.ready["ca_file"]
	if out := must(t, "curl", "-sS", "--noproxy", "*", "--cacert", ca, d.ready["site_url"]); !strings.Contains(out, "It works") {
		t.Errorf("curl: %s", out)
	}
	out := must(t, "openssl", "s_client", "-connect", d.addrs[2], "-servername", "localhost", "-CAfile", ca, "-verify_return_error", "-verify_hostname", "demo.localhost")
	if !strings.Contains(out, "Verify return code: 0 (ok)") {
		t.Errorf("openssl: %s", out)
	}
	leaf := filepath.Join(t.TempDir(), "leaf.pem")
	d.mustCLI("certs", "export", "mc-demo", "--part", "cert", "--out", leaf)
	must(t, "openssl", "verify", "-x509_strict", "-CAfile", ca, leaf)
	must(t, "certtool", "--verify", "--load-ca-certificate", ca, "--verify-hostname", "localhost", "--infile", leaf)
	nss := t.TempDir()
	must(t, "certutil", "-N", "-d", "sql:"+nss, "--empty-password")
	must(t, "certutil", "-A", "-d", "sql:"+nss, "-n", "root", "-t", "CT,C,C", "-i", ca)
	must(t, "certutil", "-A", "-d", "sql:"+nss, "-n", "leaf", "-t", ",,", "-i", leaf)
	must(t, "certutil", "-V", "-u", "V", "-d", "sql:"+nss, "-n", "leaf")
	if out := must(t, "vfychain", "-d", "sql:"+nss, "-pp", "-u", "1", "-a", leaf); !strings.Contains(out, "Chain is good") {
		t.Errorf("NSS: %s", out)
	}

	info, err := os.Stat(d.ready["admin_key_file"])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("admin key: %v, %v", info.Mode(), err)
	}
	d.noSecrets()
}

// noSecrets greps everything that was written but the places of the secrets
// themselves.
func (d *dev) noSecrets() {
	t := d.t
	t.Helper()
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	admin := bytes.TrimSpace(read(d.path("admin.key")))
	identity := string(read(d.path("agent/identity.json")))
	_, credential, _ := strings.Cut(identity, `"cca_`)
	credential, _, _ = strings.Cut(credential, `"`)
	if credential == "" {
		t.Fatal("the agent's credential was not found in its identity")
	}
	canaries := map[string][]byte{"admin key": admin, "agent credential": []byte("cca_" + credential), "encryption key": bytes.TrimSpace(read(d.path("encryption.key")))}
	where := map[string][]byte{"output": []byte(d.text()), "audit": []byte(d.mustCLI("audit", "list", "--limit", "0", "-o", "json")), "issuers": []byte(d.mustCLI("issuers", "list", "-o", "json"))}
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(e.Name(), "certctl.db") {
			where[e.Name()] = read(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(where["certctl.db"])+len(where["certctl.db-wal"]) < 10000 {
		t.Fatal("the database was not found")
	}
	for place, text := range where {
		for name, canary := range canaries {
			if bytes.Contains(text, canary) {
				t.Errorf("the %s is in clear in: %s", name, place)
			}
		}
		if bytes.Contains(text, []byte("PRIVATE KEY-----")) {
			t.Errorf("a private key is in clear in: %s", place)
		}
	}
}

func TestRenewWithoutAGap(t *testing.T) {
	d := newDev(t)
	before := d.served()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var asked, failed atomic.Int64
	for range 2 {
		group.Go(func() {
			for ctx.Err() == nil {
				asked.Add(1)
				if _, err := served(t, d.addrs[2], d.path("ca.pem")); err != nil && ctx.Err() == nil {
					failed.Add(1)
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		d.mustCLI("certs", "renew", "mc-demo", "--wait")
	}
	cancel()
	group.Wait()
	if asked.Load() < 20 || failed.Load() > 0 {
		t.Errorf("%d of %d handshakes failed", failed.Load(), asked.Load())
	}
	if after := d.served(); after == before || after != d.demo().Serial {
		t.Errorf("served: %s, then %s", before, after)
	}
}

func TestRevocationIsSeenOutside(t *testing.T) {
	d := newDev(t)
	ca, dir := d.ready["ca_file"], t.TempDir()
	leaf := filepath.Join(dir, "leaf.pem")
	d.mustCLI("certs", "export", "mc-demo", "--part", "cert", "--out", leaf)
	serial, base := d.demo().Serial, d.ready["pki_url"]+"/.well-known/pki/"
	ask := func(args ...string) string {
		return must(t, "openssl", append([]string{"ocsp", "-issuer", ca, "-CAfile", ca, "-url", base + "ocsp/iss-local"}, args...)...)
	}
	if out := ask("-cert", leaf); !strings.Contains(out, "leaf.pem: good") || !strings.Contains(out, "Response verify OK") {
		t.Fatalf("before: %s", out)
	}
	begun := time.Now()
	d.mustCLI("certs", "revoke", "mc-demo", "--reason", "keyCompromise")
	revoked := time.Now()
	if out := ask("-cert", leaf); !strings.Contains(out, "leaf.pem: revoked") || !strings.Contains(out, "Reason: keyCompromise") {
		t.Errorf("POST: %s", out)
	}
	if took := time.Since(revoked); took > time.Second {
		t.Errorf("OCSP told it after %s", took)
	}
	if out := ask("-serial", "0x4711"); !strings.Contains(out, "0x4711: unknown") {
		t.Errorf("a serial that was never issued: %s", out)
	}
	list := filepath.Join(dir, "crl.der")
	must(t, "curl", "-sS", "--noproxy", "*", "-o", list, base+"crl/iss-local")
	if out := must(t, "openssl", "crl", "-inform", "DER", "-in", list, "-noout", "-text", "-CAfile", ca); !strings.Contains(strings.ToLower(out), serial) || !strings.Contains(out, "Key Compromise") {
		t.Errorf("CRL: %s", out)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("all of it took %s", took)
	}
	// GET, as RFC 6960 appendix A.1 has it: the request in base64 in the path.
	request, response := filepath.Join(dir, "req.der"), filepath.Join(dir, "res.der")
	must(t, "openssl", "ocsp", "-issuer", ca, "-cert", leaf, "-no_nonce", "-reqout", request)
	path := strings.TrimSpace(must(t, "openssl", "base64", "-A", "-in", request))
	path = strings.NewReplacer("/", "%2F", "+", "%2B", "=", "%3D").Replace(path)
	must(t, "curl", "-sS", "--noproxy", "*", "-o", response, base+"ocsp/iss-local/"+path)
	if out := must(t, "openssl", "ocsp", "-issuer", ca, "-cert", leaf, "-CAfile", ca, "-respin", response); !strings.Contains(out, "leaf.pem: revoked") || !strings.Contains(out, "Reason: keyCompromise") {
		t.Errorf("GET: %s", out)
	}
	must(t, "curl", "-sS", "--noproxy", "*", "-o", response, base+"ocsp/iss-local/"+serial)
	if out := must(t, "openssl", "ocsp", "-issuer", ca, "-cert", leaf, "-CAfile", ca, "-respin", response); !strings.Contains(out, "leaf.pem: revoked") {
		t.Errorf("GET by serial: %s", out)
	}
	must(t, "ocsptool", "--ask="+base+"ocsp/iss-local", "--load-cert", leaf, "--load-issuer", ca, "--load-trust", ca)
}

func TestSecondStart(t *testing.T) {
	d := newDev(t)
	ca, err := os.ReadFile(d.path("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	serial, jobs := d.served(), d.mustCLI("jobs", "list", "-o", "name")
	if code := d.interrupt(t); code != 0 {
		t.Errorf("Ctrl-C: exit code %d", code)
	}
	if strings.Contains(d.text(), "level=ERROR") {
		t.Errorf("a clean stop is no error: %s", d.text())
	}
	d.start()
	again, err := os.ReadFile(d.path("ca.pem"))
	if err != nil || !bytes.Equal(ca, again) {
		t.Errorf("another CA, or none: %v", err)
	}
	if d.served() != serial || d.mustCLI("jobs", "list", "-o", "name") != jobs {
		t.Error("something was issued at the second start")
	}
}

func TestRefusedStarts(t *testing.T) {
	taken := newDev(t)
	for name, c := range map[string]struct {
		dir  string
		env  []string
		args []string
		want string
	}{
		"taken port":       {"", nil, []string{"--listen", taken.addrs[0]}, "cannot listen on " + taken.addrs[0]},
		"taken site port":  {"", nil, []string{"--site-listen", taken.addrs[2]}, "cannot listen on " + taken.addrs[2]},
		"folder in use":    {taken.dir, nil, nil, "another certctl-server is running with it"},
		"a file in place":  {file(t, "data", "x"), nil, nil, "cannot be made"},
		"foreign folder":   {filepath.Dir(file(t, "precious.txt", "x")), nil, nil, "is not empty and is no data folder"},
		"another version":  {filepath.Dir(file(t, "format", "certctl data folder, format 99\n")), nil, nil, "is a data folder of another version"},
		"no key, Postgres": {"", []string{"CERTCTL_DATABASE_URL=postgres://u@127.0.0.1:1/x"}, nil, "set CERTCTL_CONFIG_ENCRYPTION_KEY"},
		"no database":      {"", []string{"CERTCTL_DATABASE_URL=postgres://u@127.0.0.1:1/x", "CERTCTL_CONFIG_ENCRYPTION_KEY=0123456789abcdef0123"}, nil, "cannot be reached"},
		"unknown flag":     {"", nil, []string{"--colour"}, "colour"},
		"unknown word":     {"", nil, []string{"now"}, "now"},
	} {
		t.Run(name, func(t *testing.T) {
			free := addresses(t, 3)
			dir := c.dir
			if dir == "" {
				dir = filepath.Join(t.TempDir(), "data")
			}
			before := tree(t, dir)
			args := append([]string{"dev", "--data-dir", dir, "--listen", free[0], "--pki-listen", free[1], "--site-listen", free[2]}, c.args...)
			p := launch(t, c.env, "certctl-server", args...)
			select {
			case <-p.done:
			case <-time.After(30 * time.Second):
				t.Fatal("it goes on")
			}
			text := strings.TrimSpace(p.text())
			if p.err == nil || !strings.Contains(text, c.want) || strings.Contains(text, "goroutine") || strings.Count(text, "\n") > 2 {
				t.Errorf("%v: %s", p.err, text)
			}
			if c.dir != "" && c.dir != taken.dir && tree(t, dir) != before {
				t.Errorf("the folder was changed: %s, then %s", before, tree(t, dir))
			}
		})
	}
	must(t, "curl", "-sSf", "--noproxy", "*", "-o", "/dev/null", taken.ready["pki_url"]+"/.well-known/pki/crl/iss-local") // it was not disturbed
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tree is the names and bytes of a folder, but for locks.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || e.Name() == "lock" {
			return nil
		}
		if err == nil && e.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b.WriteString(path + ": " + string(text) + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
