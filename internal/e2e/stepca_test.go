package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/internal/peer"
)

const ocspSigning = `{"subject": {{ toJson .Subject }}, "keyUsage": ["digitalSignature"], "extKeyUsage": ["ocspSigning"],
	"extensions": [{"id": "1.3.6.1.5.5.7.48.1.5", "value": "BQA="}]}`

// TestResponderForStepCA: a real step-ca, which has no OCSP, gets it from its
// CRL over HTTP. Its list names a distribution point and is still the only one,
// which the operator has to say.
func TestResponderForStepCA(t *testing.T) {
	stepCA, step := peer.Need(t, "step-ca"), peer.Need(t, "step")
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	t.Setenv("STEPPATH", dir)
	t.Setenv("HOME", dir)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(in(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	addrs := addresses(t, 4)
	caURL, crlURL := "https://"+addrs[0], "http://"+addrs[1]+"/1.0/crl"
	write("password", "only for a test")
	must(t, "step", "ca", "init", "--name", "Step", "--dns", "127.0.0.1", "--address", addrs[0], "--provisioner", "admin", "--deployment-type", "standalone",
		"--password-file", in("password"), "--provisioner-password-file", in("password"))
	config, err := os.ReadFile(in("config/ca.json"))
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]any{}
	if err := json.Unmarshal(config, &settings); err != nil {
		t.Fatal(err)
	}
	settings["insecureAddress"] = addrs[1]
	settings["crl"] = map[string]any{"enabled": true, "generateOnRevoke": true, "cacheDuration": "1h"}
	if config, err = json.Marshal(settings); err != nil {
		t.Fatal(err)
	}
	write("config/ca.json", string(config))
	ca := start(t, stepCA, []string{"STEPPATH=" + dir}, in("config/ca.json"), "--password-file", in("password"))
	until(t, "step-ca serves its CRL", 30*time.Second, func() bool { code, _ := get(t, crlURL); return code == 200 })

	root, issuing := in("certs/root_ca.crt"), in("certs/intermediate_ca.crt")
	at := []string{"--ca-url", caURL, "--root", root}
	issue := func(name string) {
		t.Helper()
		token := strings.TrimSpace(must(t, "sh", append([]string{"-c", `exec "$0" "$@" 2>/dev/null`, step, "ca", "token", name, "--provisioner", "admin", "--password-file", in("password")}, at...)...))
		must(t, "step", append([]string{"ca", "certificate", name, in(name + ".pem"), in(name + ".key"), "--token", token}, at...)...)
	}
	issue("good")
	issue("bad")
	write("ocsp.tpl", ocspSigning)
	must(t, "step", "certificate", "create", "ocsp", in("delegate.pem"), in("delegate.key"), "--template", in("ocsp.tpl"), "--ca", issuing, "--ca-key", in("secrets/intermediate_ca_key"),
		"--ca-password-file", in("password"), "--no-password", "--insecure", "--not-after", "24h")

	url := "http://" + addrs[2] + "/.well-known/pki/ocsp/step"
	launch(t, nil, "certctl-responder", "crl", "--listen", addrs[2], "--admin-listen", addrs[3], "--name", "step", "--ca", issuing, "--crl", crlURL, "--only-crl", "--complete", "--refetch", "1s",
		"--cert", in("delegate.pem"), "--key", in("delegate.key"))
	until(t, "the responder is ready", 20*time.Second, func() bool { code, _ := get(t, "http://"+addrs[3]+"/ready"); return code == 200 })
	says := func(name string) string {
		t.Helper()
		return must(t, "openssl", "ocsp", "-issuer", issuing, "-CAfile", root, "-verify_other", issuing, "-url", url, "-cert", in(name+".pem"))
	}
	for _, name := range []string{"good", "bad"} {
		if out := says(name); !strings.Contains(out, name+".pem: good") || !strings.Contains(out, "Response verify OK") {
			t.Errorf("before the revocation: %s", out)
		}
	}
	must(t, "step", append([]string{"ca", "revoke", "--cert", in("bad.pem"), "--key", in("bad.key"), "--reasonCode", "keyCompromise"}, at...)...)
	until(t, "the revocation is told", 60*time.Second, func() bool { return strings.Contains(says("bad"), "Reason: keyCompromise") })
	if out := says("good"); !strings.Contains(out, "good.pem: good") {
		t.Errorf("the other one: %s", out)
	}
	ca.interrupt(t)
	if out := says("bad"); !strings.Contains(out, "Reason: keyCompromise") {
		t.Errorf("while the CA is away: %s", out)
	}
}
