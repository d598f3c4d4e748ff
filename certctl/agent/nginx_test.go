package agent_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/agent"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/internal/peer"
	"github.com/certctl/certctl/target/nginx"
)

// webServer is a real nginx on loopback, with a pair of its own to begin with.
type webServer struct {
	program, dir, address string
	cert, key             string
}

func startNginx(t *testing.T, ca *authority) *webServer {
	t.Helper()
	w := &webServer{program: peer.Need(t, "nginx"), dir: t.TempDir()}
	w.cert, w.key = filepath.Join(w.dir, "cert.pem"), filepath.Join(w.dir, "key.pem")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.MarshalPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := ca.sign(&x509.CertificateRequest{DNSNames: []string{"localhost"}, PublicKey: key.Public()})
	if err := errors.Join(os.WriteFile(w.key, text, 0o600), os.WriteFile(w.cert, []byte(certPEM(leaf)), 0o644)); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.address = free.Addr().String()
	free.Close()
	conf := fmt.Sprintf(`daemon off; pid %[1]s/nginx.pid; error_log %[1]s/error.log;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  server { listen %[2]s ssl; ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem; return 200 "hello\n"; }
}`, w.dir, w.address)
	if err := os.WriteFile(filepath.Join(w.dir, "nginx.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(w.program, w.args()...)
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() })
	w.wait(t, leaf)
	return w
}

func (w *webServer) args(more ...string) []string {
	return append([]string{"-p", w.dir, "-c", filepath.Join(w.dir, "nginx.conf"), "-e", filepath.Join(w.dir, "error.log")}, more...)
}

// served returns what the server shows a client.
func (w *webServer) served() (*x509.Certificate, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 2 * time.Second}, Config: &tls.Config{ServerName: "localhost", InsecureSkipVerify: true}}
	c, err := d.Dial("tcp", w.address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

func (w *webServer) wait(t *testing.T, want *x509.Certificate) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		got, err := w.served()
		if err == nil && got.Equal(want) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("nginx does not serve the certificate: %v", err)
		}
	}
}

// config is that of a target for this server.
func (w *webServer) config(reload []string) map[string]any {
	return map[string]any{
		"cert_path": w.cert, "key_path": w.key,
		"validate_command": append([]string{w.program}, w.args("-t")...), "reload_command": reload,
		"endpoints": []map[string]string{{"address": w.address, "server_name": "localhost"}}, "probe_seconds": 3,
	}
}

// deployedLeaf is that of the newest deployment.
func (f *fixture) deployedLeaf(t *testing.T) *x509.Certificate {
	t.Helper()
	var text string
	f.plane.look(func() { text = f.plane.jobs[len(f.plane.jobs)-1].CertPEM })
	certs, err := chain.Certificates([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return certs[0]
}

func TestARealNginx(t *testing.T) {
	f := newFixture(t)
	w := startNginx(t, f.plane.ca)
	reload := append([]string{w.program}, w.args("-s", "reload")...)
	nowhere := []string{"/bin/true"}
	set := func(reload []string) {
		f.plane.change(func() { f.plane.targets[f.t1] = planeTarget{kind: "nginx", config: w.config(reload)} })
	}
	o := f.options(t)
	registry, err := connector.NewRegistry(nginx.Kind())
	if err != nil {
		t.Fatal(err)
	}
	o.Targets = registry
	a, err := agent.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return errors.Join(<-ended, a.Close()) })
	defer stop()

	set(reload)
	f.plane.issue("mc-web", 1, "", "localhost")
	r := f.plane.reported(t, "mc-web", f.t1, 1)
	if r.Outcome != api.OutcomeDeployed || len(r.Observed) != 1 || !r.Observed[0].Served || !r.Observed[0].ChainOK {
		t.Fatalf("report = %+v", r)
	}
	first := f.deployedLeaf(t)
	w.wait(t, first) // a worker of before may accept a little longer
	files := func() string { return mustRead(t, w.cert) + mustRead(t, w.key) }
	before := files()

	// The same again changes nothing.
	var again api.Work
	f.plane.look(func() { again = f.plane.jobs[len(f.plane.jobs)-1].Work })
	again.JobID, again.Fence, again.LeaseUntil = "job-again", 0, time.Time{}
	if r := f.plane.answer(t, f.plane.add(again)); r.Outcome != api.OutcomeUnchanged {
		t.Errorf("report = %+v, want unchanged", r)
	}

	// A reload that does nothing is found out, and undone byte for byte.
	set(nowhere)
	f.plane.issue("mc-web", 2, "", "localhost")
	if r := f.plane.reported(t, "mc-web", f.t1, 2); r.Outcome != api.OutcomeRolledBack || r.Error == "" {
		t.Errorf("report = %+v, want rolled_back with a reason", r)
	}
	if files() != before {
		t.Error("the files are not what they were")
	}
	if now, err := w.served(); err != nil || !now.Equal(first) {
		t.Errorf("another certificate is served, or none: %v", err)
	}
	if f.key(t, "mc-web.key") != mustRead(t, w.key) {
		t.Error("the key in use is not the one that is served")
	}

	set(reload)
	f.plane.issue("mc-web", 3, "", "localhost")
	if r := f.plane.reported(t, "mc-web", f.t1, 3); r.Outcome != api.OutcomeDeployed {
		t.Errorf("report = %+v, want deployed", r)
	}
	w.wait(t, f.deployedLeaf(t))
	if err := stop(); err != nil {
		t.Error(err)
	}
}
