package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/certctl/certctl/internal/peer"
)

// opensslCA is a CA of "openssl ca", with its database.
type opensslCA struct {
	t   *testing.T
	dir string
}

func (o *opensslCA) path(name string) string { return filepath.Join(o.dir, name) }

func newOpensslCA(t *testing.T) *opensslCA {
	t.Helper()
	o := &opensslCA{t, t.TempDir()}
	config := `[ca]
default_ca = own
[own]
database = ` + o.path("index.txt") + `
new_certs_dir = ` + o.dir + `
certificate = ` + o.path("ca.pem") + `
private_key = ` + o.path("ca.key") + `
serial = ` + o.path("serial") + `
crlnumber = ` + o.path("crlnumber") + `
default_md = sha256
default_days = 30
default_crl_days = 1
policy = any
copy_extensions = none
crl_extensions = crl
[any]
commonName = supplied
[crl]
authorityKeyIdentifier = keyid
[leaf]
basicConstraints = CA:FALSE
subjectAltName = DNS:localhost
authorityInfoAccess = OCSP;${ENV::OCSP}
[delegate]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = OCSPSigning
noCheck = ignored
`
	for name, text := range map[string]string{"openssl.cnf": config, "index.txt": "", "serial": "1000\n", "crlnumber": "01\n"} {
		if err := os.WriteFile(o.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", o.path("ca.key"), "-out", o.path("ca.pem"), "-subj", "/CN=OpenSSL CA", "-days", "30",
		"-addext", "keyUsage=critical,keyCertSign,cRLSign")
	return o
}

// issue makes a certificate with the extensions of a section.
func (o *opensslCA) issue(name, section, ocspURL string) {
	o.t.Helper()
	must(o.t, "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", o.path(name+".key"), "-out", o.path(name+".csr"), "-subj", "/CN="+name)
	o.t.Setenv("OCSP", ocspURL)
	o.ca("-in", o.path(name+".csr"), "-out", o.path(name+".pem"), "-extensions", section, "-notext")
	if err := os.Chmod(o.path(name+".key"), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

func (o *opensslCA) ca(args ...string) {
	o.t.Helper()
	if os.Getenv("OCSP") == "" {
		o.t.Setenv("OCSP", "URI:http://unused.example/")
	}
	must(o.t, "openssl", append([]string{"ca", "-batch", "-config", o.path("openssl.cnf")}, args...)...)
}

func (o *opensslCA) crl() { o.t.Helper(); o.ca("-gencrl", "-out", o.path("crl.pem")) }

// says asks over the wire, as a relying party.
func (o *opensslCA) says(url, name string, more ...string) string {
	o.t.Helper()
	return must(o.t, "openssl", append([]string{"ocsp", "-issuer", o.path("ca.pem"), "-CAfile", o.path("ca.pem"), "-url", url, "-cert", o.path(name + ".pem")}, more...)...)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

func opensslWithout(t *testing.T, config string) {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, bytes.ReplaceAll(text, []byte("noCheck = ignored\n"), []byte("noCheck = ignored\n1.3.6.1.5.5.7.48.1.5 = ASN1:NULL\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestResponderForAnOpenSSLCA: a CA that knows nothing of us gets OCSP from its
// files; its revocations are told when it publishes them; bad CRLs are kept out
// and told; a reload drops no request; nginx staples what we answer.
func TestResponderForAnOpenSSLCA(t *testing.T) {
	o := newOpensslCA(t)
	opensslWithout(t, o.path("openssl.cnf"))
	addrs := addresses(t, 2)
	url := "http://" + addrs[0] + "/.well-known/pki/ocsp/own"
	for _, name := range []string{"good", "bad", "later"} {
		o.issue(name, "leaf", "URI:"+url)
	}
	o.issue("delegate", "delegate", "URI:"+url)
	o.ca("-revoke", o.path("bad.pem"), "-crl_reason", "keyCompromise")
	o.crl()
	p := launch(t, nil, "certctl-responder", "crl", "--listen", addrs[0], "--admin-listen", addrs[1], "--name", "own", "--ca", o.path("ca.pem"), "--crl", o.path("crl.pem"),
		"--index", o.path("index.txt"), "--cert", o.path("delegate.pem"), "--key", o.path("delegate.key"), "--log-format", "text", "--access-log", "1")
	ready := func() bool { code, _ := get(t, "http://"+addrs[1]+"/ready"); return code == 200 }
	until(t, "the responder is ready", 20*time.Second, ready)
	expect := func(name, words string) {
		t.Helper()
		if out := o.says(url, name); !strings.Contains(out, name+".pem: "+words) || !strings.Contains(out, "Response verify OK") {
			t.Errorf("%s: %s", name, out)
		}
	}
	expect("good", "good")
	expect("bad", "revoked")
	if out := o.says(url, "bad"); !strings.Contains(out, "Reason: keyCompromise") {
		t.Error(out)
	}
	if out := must(t, "openssl", "ocsp", "-sha256", "-issuer", o.path("ca.pem"), "-CAfile", o.path("ca.pem"), "-url", url, "-serial", "0x4711"); !strings.Contains(out, "0x4711: unknown") {
		t.Errorf("a serial that was never issued: %s", out)
	}
	must(t, "ocsptool", "--ask="+url, "--load-cert", o.path("good.pem"), "--load-issuer", o.path("ca.pem"), "--load-trust", o.path("ca.pem"))
	list := filepath.Join(t.TempDir(), "crl.der")
	must(t, "curl", "-sS", "--noproxy", "*", "-o", list, "http://"+addrs[0]+"/.well-known/pki/crl/own")
	must(t, "openssl", "crl", "-inform", "DER", "-in", list, "-noout", "-CAfile", o.path("ca.pem"))

	// While clients ask on and on: a revocation, and a reload.
	var asked, failed atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			asked.Add(1)
			if code, body := get(t, "http://"+addrs[0]+"/.well-known/pki/ca/own"); code != 200 {
				failed.Add(1)
				t.Logf("%d %.200s", code, body)
			}
		}
	}()
	o.ca("-revoke", o.path("later.pem"), "-crl_reason", "superseded")
	until(t, "the index tells it before the CRL does", 10*time.Second, func() bool { return strings.Contains(o.says(url, "later"), "Reason: superseded") })
	o.crl()
	until(t, "the CRL has it", 10*time.Second, func() bool {
		_, m := get(t, "http://"+addrs[1]+"/metrics")
		return strings.Contains(m, `crl_entries{issuer="own"} 2`)
	})
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, "it has reloaded", 10*time.Second, func() bool { return strings.Contains(p.text(), "msg=reloaded") })
	expect("later", "revoked")

	good, err := os.ReadFile(o.path("crl.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{"<html>moved</html>", string(good[:len(good)/2])} {
		if err := os.WriteFile(o.path("crl.pem"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		until(t, "the bad CRL is told", 10*time.Second, func() bool {
			_, m := get(t, "http://"+addrs[1]+"/metrics")
			return !ready() && strings.Contains(m, fmt.Sprintf(`rejected_total{issuer="own",reason="unreadable"} %d`, i+1))
		})
		expect("bad", "revoked")
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, "the reload is refused", 10*time.Second, func() bool { return strings.Contains(p.text(), "the configuration was not reloaded") })
	expect("good", "good")
	if err := os.WriteFile(o.path("crl.pem"), good, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "all is well again", 10*time.Second, ready)
	stop()
	<-done
	if failed.Load() > 0 || asked.Load() < 10 {
		t.Errorf("%d of %d requests failed", failed.Load(), asked.Load())
	}
	o.staples()
	if code := p.interrupt(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// staples has a real nginx staple what the responder answers, and curl insist
// on it.
func (o *opensslCA) staples() {
	t := o.t
	t.Helper()
	n := peer.Nginx(t)
	conf, err := os.ReadFile(n.Conf)
	if err != nil {
		t.Fatal(err)
	}
	chain := filepath.Join(t.TempDir(), "chain.pem")
	leaf, err := os.ReadFile(o.path("good.pem"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(o.path("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(chain, append(leaf, ca...), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(n.Cert, chain, n.Key, o.path("good.key")).Replace(string(conf))
	text = strings.Replace(text, "ssl_certificate_key", "ssl_stapling on; ssl_stapling_verify on; ssl_trusted_certificate "+o.path("ca.pem")+"; ssl_certificate_key", 1)
	if err := os.WriteFile(n.Conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reload := n.Command("-s", "reload")
	must(t, reload[0], reload[1:]...)
	_, port, _ := strings.Cut(n.Address, ":")
	out := ""
	until(t, "nginx staples", 30*time.Second, func() bool { // it does from about the second handshake on
		out, err = run(t, peer.Need(t, "curl"), "-sS", "--noproxy", "*", "--cert-status", "--cacert", o.path("ca.pem"), "-o", os.DevNull, "--resolve", "localhost:"+port+":127.0.0.1", "https://localhost:"+port+"/")
		return err == nil
	})
	until(t, "OpenSSL sees it too", 30*time.Second, func() bool { // the workers from before the reload staple nothing
		out, err = run(t, peer.Need(t, "openssl"), "s_client", "-connect", n.Address, "-servername", "localhost", "-status", "-CAfile", o.path("ca.pem"), "-verify_return_error")
		return err == nil && strings.Contains(out, "Cert Status: good")
	})
}

// TestResponderBesideAServer: the mode store answers from the server's database,
// and tells a revocation within a second.
func TestResponderBesideAServer(t *testing.T) {
	d := newDev(t)
	addrs := addresses(t, 2)
	launch(t, nil, "certctl-responder", "store", "--data-dir", d.dir, "--listen", addrs[0], "--admin-listen", addrs[1])
	until(t, "the responder is ready", 20*time.Second, func() bool { code, _ := get(t, "http://"+addrs[1]+"/ready"); return code == 200 })
	ca, leaf := d.ready["ca_file"], filepath.Join(t.TempDir(), "leaf.pem")
	d.mustCLI("certs", "export", "mc-demo", "--part", "cert", "--out", leaf)
	ask := func() string {
		return must(t, "openssl", "ocsp", "-issuer", ca, "-CAfile", ca, "-url", "http://"+addrs[0]+"/.well-known/pki/ocsp/iss-local", "-cert", leaf, "-no_nonce")
	}
	if out := ask(); !strings.Contains(out, "leaf.pem: good") || !strings.Contains(out, "Response verify OK") {
		t.Fatal(out)
	}
	d.mustCLI("certs", "revoke", "mc-demo", "--reason", "superseded")
	begun := time.Now()
	until(t, "the revocation is told", 10*time.Second, func() bool { return strings.Contains(ask(), "Reason: superseded") })
	if took := time.Since(begun); took > time.Second {
		t.Errorf("it took %s", took)
	}
	list := filepath.Join(t.TempDir(), "crl.der")
	until(t, "the CRL has it", 10*time.Second, func() bool {
		must(t, "curl", "-sS", "--noproxy", "*", "-o", list, "http://"+addrs[0]+"/.well-known/pki/crl/iss-local")
		return strings.Contains(must(t, "openssl", "crl", "-inform", "DER", "-in", list, "-noout", "-text", "-CAfile", ca), "Superseded")
	})
}

func TestResponderRefusesToStart(t *testing.T) {
	o := newOpensslCA(t)
	o.crl()
	for words, args := range map[string][]string{
		"ca, crl and key are required":    {"crl", "--ca", o.path("ca.pem")},
		"no issuer is configured":         {"crl"},
		"no such file":                    {"crl", "--ca", o.path("ca.pem"), "--key", o.path("ca.key"), "--crl", o.path("none")},
		"this is no CRL":                  {"crl", "--ca", o.path("ca.pem"), "--key", o.path("ca.key"), "--crl", o.path("ca.pem")},
		"the encryption key":              {"store", "--data-dir", t.TempDir()},
		"unknown command":                 {"serve"},
		"--cache-mib -1":                  {"crl", "--cache-mib", "-1"},
		"is not debug, info, warn or err": {"crl", "--log-level", "loud"},
	} {
		p := launch(t, nil, "certctl-responder", append(args, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")...)
		if args[0] == "serve" {
			p = launch(t, nil, "certctl-responder", "serve")
		}
		select {
		case <-p.done:
		case <-time.After(20 * time.Second):
			t.Fatalf("%v goes on", args)
		}
		if code := p.cmd.ProcessState.ExitCode(); code == 0 || !strings.Contains(p.text(), words) || strings.Count(strings.TrimSpace(p.text()), "\n") > 0 {
			t.Errorf("%v: exit code %d, %s, want %q in one line", args, code, p.text(), words)
		}
	}
}
