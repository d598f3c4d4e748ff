package stepca_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/internal/peer"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/issuer/stepca"
)

// Passwords that must not be seen anywhere.
const (
	caPassword     = "canary-of-the-intermediate"
	keyPassword    = "canary-of-the-provisioner"
	secondPassword = "canary-of-the-other-one"
)

// realCA is a running step-ca with the provisioners admin (JWK, its key kept by
// the CA), other (JWK, whose key the CA does not keep), rsa and okp (JWK, not
// encrypted), x5c, and on the pages before them more than a hundred of type ACME.
type realCA struct {
	dir, url string
	root     *x509.Certificate
	cmd      *exec.Cmd
	done     chan struct{}
}

// in is a file of the CA's folder.
func (c *realCA) in(name string) string { return filepath.Join(c.dir, name) }

// config is a configuration of this CA as JSON; pairs of field and value change
// it, and the value nil takes the field away.
func (c *realCA) config(pairs ...any) json.RawMessage {
	m := map[string]any{"ca_url": c.url, "root_cert_path": c.in("certs/root_ca.crt"), "provisioner_name": "admin", "provisioner_password": keyPassword}
	for i := 0; i < len(pairs); i += 2 {
		if m[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(m, pairs[i].(string))
		}
	}
	out, _ := json.Marshal(m)
	return out
}

// x5c is the configuration for the X5C provisioner.
func (c *realCA) x5c(pairs ...any) json.RawMessage {
	return c.config(append([]any{"provisioner_name", "x5c", "provisioner_type", "X5C", "provisioner_password", nil, "provisioner_key_path", c.in("x5c.key"), "x5c_cert_path", c.in("x5c.pem")}, pairs...)...)
}

// startCA makes and starts one; crl says whether it makes CRLs.
func startCA(t *testing.T, crl bool) *realCA {
	t.Helper()
	program := peer.Need(t, "step-ca")
	port, err := peer.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	c := &realCA{dir: t.TempDir(), url: "https://" + address, done: make(chan struct{})}
	c.write(t, "password", caPassword)
	c.write(t, "key-password", keyPassword)
	c.write(t, "other-password", secondPassword)
	c.step(t, "ca", "init", "--name", "Step", "--dns", "127.0.0.1", "--address", address, "--provisioner", "admin", "--deployment-type", "standalone",
		"--password-file", c.in("password"), "--provisioner-password-file", c.in("key-password"))
	c.step(t, "crypto", "jwk", "create", c.in("other.pub"), c.in("other.json"), "--kty", "EC", "--crv", "P-384", "--use", "sig", "--password-file", c.in("other-password"))
	c.step(t, "crypto", "jwk", "create", c.in("rsa.pub"), c.in("rsa.json"), "--kty", "RSA", "--size", "2048", "--use", "sig", "--no-password", "--insecure")
	c.step(t, "crypto", "jwk", "create", c.in("okp.pub"), c.in("okp.json"), "--kty", "OKP", "--crv", "Ed25519", "--use", "sig", "--no-password", "--insecure")
	c.makeX5C(t)
	c.configure(t, crl)

	var log bytes.Buffer
	c.cmd = exec.Command(program, c.in("config/ca.json"), "--password-file", c.in("password"))
	c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr = c.env(), &log, &log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait() // told by done
	}()
	t.Cleanup(func() {
		c.stop()
		if t.Failed() {
			for line := range strings.Lines(log.String()) {
				if !strings.Contains(line, "level=info") {
					t.Logf("step-ca: %.400s", line)
				}
			}
		}
	})
	roots := readPEM(t, c.in("certs/root_ca.crt"))
	c.root = roots[0]
	c.await(t, address)
	return c
}

// await returns when the CA accepts connections.
func (c *realCA) await(t *testing.T, address string) {
	t.Helper()
	end := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-c.done:
			t.Fatal("step-ca ended")
		case <-end:
			t.Fatal(err)
		}
	}
}

func (c *realCA) stop() {
	_ = c.cmd.Process.Kill() // it may have ended
	<-c.done
}

func (c *realCA) env() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "STEPPATH=" + c.dir}
}

func (c *realCA) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(c.in(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// step runs the client of step-ca.
func (c *realCA) step(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, peer.Need(t, "step"), args...)
	cmd.Env = c.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("step %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// makeX5C makes a CA that step-ca will trust, and a certificate of it that
// signs tokens: x5c-root.pem, x5c.pem, x5c.key.
func (c *realCA) makeX5C(t *testing.T) {
	t.Helper()
	root, rootKey := certificate(t, "X5C root", nil, nil)
	leaf, key := certificate(t, "certctl", root, rootKey)
	c.write(t, "x5c-root.pem", string(chain.EncodePEM(root)))
	c.write(t, "x5c.pem", string(chain.EncodePEM(leaf)))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, "x5c.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// configure completes the file that "step ca init" wrote.
func (c *realCA) configure(t *testing.T, crl bool) {
	t.Helper()
	read := func(name string) []byte {
		t.Helper()
		text, err := os.ReadFile(c.in(name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	settings := map[string]any{}
	if err := json.Unmarshal(read("config/ca.json"), &settings); err != nil {
		t.Fatal(err)
	}
	if crl {
		settings["crl"] = map[string]any{"enabled": true, "generateOnRevoke": true, "cacheDuration": "1h"}
	}
	authority := settings["authority"].(map[string]any)
	authority["claims"] = map[string]any{"maxTLSCertDuration": "720h"}
	var list []any
	for i := range 120 {
		list = append(list, map[string]any{"type": "ACME", "name": fmt.Sprintf("acme-%d", i)})
	}
	list = append(list, authority["provisioners"].([]any)...)
	for _, name := range []string{"other", "rsa", "okp"} {
		list = append(list, map[string]any{"type": "JWK", "name": name, "key": json.RawMessage(read(name + ".pub"))})
	}
	authority["provisioners"] = append(list, map[string]any{"type": "X5C", "name": "x5c", "roots": read("x5c-root.pem")})
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, "config/ca.json", string(text))
}

func readPEM(t *testing.T, path string) []*x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := chain.Certificates(text)
	if err != nil {
		t.Fatal(err)
	}
	return certs
}

// certificate makes a CA, or a client certificate below one.
func certificate(t testing.TB, name string, parent *x509.Certificate, by crypto.Signer) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key := newKey(t)
	c := &x509.Certificate{
		SerialNumber: issuer.NewSerial(), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100 * 24 * time.Hour),
		BasicConstraintsValid: true, IsCA: parent == nil, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent, by = c, key
	} else {
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out, key
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// csr makes one with the names of a request, which it returns with it.
func csr(t testing.TB, req issuer.Request) *issuer.Request {
	t.Helper()
	tmpl := &x509.CertificateRequest{Subject: pkix.Name{CommonName: req.CommonName}, DNSNames: req.DNSNames, EmailAddresses: req.Emails}
	for _, s := range req.IPs {
		tmpl.IPAddresses = append(tmpl.IPAddresses, net.ParseIP(s))
	}
	for _, s := range req.URIs {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		tmpl.URIs = append(tmpl.URIs, u)
	}
	req.CSR = sign(t, tmpl)
	return &req
}

func sign(t testing.TB, tmpl *x509.CertificateRequest) *x509.CertificateRequest {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, tmpl, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func environment(t testing.TB) connector.Env {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	t.Cleanup(tr.CloseIdleConnections)
	return connector.Env{ID: "iss-1", HTTP: &http.Client{Transport: tr}, Now: time.Now}
}

func open(t testing.TB, config json.RawMessage) *stepca.CA {
	t.Helper()
	i, err := stepca.Kind().Open(t.Context(), config, environment(t))
	if err != nil {
		t.Fatal(err)
	}
	return i.(*stepca.CA)
}

// issue wants a certificate that its judge accepts, and that leads to a root.
func issue(t testing.TB, ca *stepca.CA, req *issuer.Request, root *x509.Certificate) *issuer.Issued {
	t.Helper()
	got, err := ca.Issue(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if err := issuer.Judge(req, got, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := chain.Verify(got.Leaf, got.Chain, []*x509.Certificate{root}, nil, got.Leaf.NotBefore.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return got
}

func serial(n int64) *x509.Certificate { return &x509.Certificate{SerialNumber: big.NewInt(n)} }
