package peer

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// PebbleOptions say how a Pebble behaves.
type PebbleOptions struct {
	// Env of the process, such as PEBBLE_WFE_NONCEREJECT=50. Its validations do
	// not sleep unless PEBBLE_VA_NOSLEEP is set to 0 here.
	Env []string
	// EAB are the key identifiers and MAC keys (base64url) of external account
	// bindings; with any, an account needs one.
	EAB map[string]string
	// RetryAfter is the patience that it asks for where an authorization or an
	// order is in the making, in seconds.
	RetryAfter int
	// DNS is the server that it asks; a challtestsrv of its own when empty.
	DNS string
}

// PebbleServer is a running Pebble, an ACME server for tests, whose DNS is a
// challtestsrv: every name has the address 127.0.0.1.
type PebbleServer struct {
	Directory         string // URL
	CACert            string // PEM file that its own TLS is verified with
	HTTPPort, TLSPort int    // where it validates http-01 and tls-alpn-01
	DNS               string // address of the DNS server
	manage, dnsManage string
	client            *http.Client
}

// Pebble starts one for a test.
func Pebble(t testing.TB, o PebbleOptions) *PebbleServer {
	t.Helper()
	pebble, dns := Need(t, "pebble"), Need(t, "pebble-challtestsrv")
	dir := t.TempDir()
	var ports [6]int
	for n := range ports {
		var err error
		if ports[n], err = FreePort(); err != nil {
			t.Fatal(err)
		}
	}
	local := func(n int) string { return fmt.Sprintf("127.0.0.1:%d", ports[n]) }
	p := &PebbleServer{
		Directory: fmt.Sprintf("https://localhost:%d/dir", ports[0]), CACert: filepath.Join(dir, "tls.pem"),
		HTTPPort: ports[2], TLSPort: ports[3], DNS: local(4),
		manage: fmt.Sprintf("https://localhost:%d", ports[1]), dnsManage: "http://" + local(5),
	}
	key := filepath.Join(dir, "tls.key")
	if err := selfSigned(p.CACert, key); err != nil {
		t.Fatal(err)
	}
	config := map[string]any{"pebble": map[string]any{
		"listenAddress": local(0), "managementListenAddress": local(1), "certificate": p.CACert, "privateKey": key,
		"httpPort": p.HTTPPort, "tlsPort": p.TLSPort, "externalAccountBindingRequired": len(o.EAB) > 0, "externalAccountMACKeys": o.EAB,
		"domainBlocklist": []string{"blocked-domain.example"}, "retryAfter": map[string]int{"authz": o.RetryAfter, "order": o.RetryAfter}, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{
			"default":    map[string]any{"description": "as usual", "validityPeriod": 7776000},
			"shortlived": map[string]any{"description": "short", "validityPeriod": 518400},
		},
	}}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(p.CACert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	p.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	t.Cleanup(p.client.CloseIdleConnections)
	serve(t, syscall.SIGKILL, func() error { return p.DNSCall("set-default-ipv4", map[string]string{"ip": "127.0.0.1"}) },
		exec.Command(dns, "-management", local(5), "-dnsserver", p.DNS, "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""))
	if o.DNS != "" {
		p.DNS = o.DNS
	}
	cmd := exec.Command(pebble, "-config", file, "-dnsserver", p.DNS, "-strict")
	cmd.Env = append(append(os.Environ(), "PEBBLE_VA_NOSLEEP=1"), o.Env...)
	serve(t, syscall.SIGKILL, func() error { _, err := p.Manage("/roots/0"); return err }, cmd)
	return p
}

// Manage asks Pebble's management interface: "/roots/0", "/intermediates/0",
// "/cert-status-by-serial/<hex>".
func (p *PebbleServer) Manage(path string) ([]byte, error) {
	return p.read(p.client.Get(p.manage + path))
}

// Post sends JSON to the management interface.
func (p *PebbleServer) Post(path, body string) ([]byte, error) {
	return p.read(p.client.Post(p.manage+path, "application/json", strings.NewReader(body)))
}

// DNSCall tells the DNS server something: "set-txt" with host and value,
// "clear-txt" with host, "set-cname" with host and target.
func (p *PebbleServer) DNSCall(what string, body map[string]string) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	_, err = p.read(http.Post(p.dnsManage+"/"+what, "application/json", bytes.NewReader(text))) //nolint:gosec // loopback
	return err
}

// TLS are settings that its certificate is verified with.
func (p *PebbleServer) TLS() *tls.Config {
	return p.client.Transport.(*http.Transport).TLSClientConfig.Clone()
}

// DNSManagement is the URL of the DNS server's management interface.
func (p *PebbleServer) DNSManagement() string { return p.dnsManage }

func (p *PebbleServer) read(res *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", res.StatusCode, body)
	}
	return body, err
}
