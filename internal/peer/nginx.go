package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// NginxServer is a running nginx with one HTTPS site on loopback, which begins
// with a self-signed certificate for localhost.
type NginxServer struct {
	Address   string // host:port of the site
	Conf      string // its configuration file
	Cert, Key string // the PEM files that it serves
	program   string
	dir       string
}

// Nginx starts one for a test.
func Nginx(t testing.TB) *NginxServer {
	t.Helper()
	dir := t.TempDir()
	n := &NginxServer{
		program: Need(t, "nginx"), dir: dir, Conf: filepath.Join(dir, "nginx.conf"),
		Cert: filepath.Join(dir, "site.pem"), Key: filepath.Join(dir, "site.key"),
	}
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	n.Address = fmt.Sprintf("127.0.0.1:%d", port)
	if err := errors.Join(n.configure(), selfSigned(n.Cert, n.Key)); err != nil {
		t.Fatal(err)
	}
	serve(t, syscall.SIGTERM, func() error { _, err := n.Served(); return err }, exec.Command(n.program, n.args()...)) // the master ends its workers then
	return n
}

func (n *NginxServer) configure() error {
	return os.WriteFile(n.Conf, fmt.Appendf(nil, `daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log %[1]s/error.log;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  server { listen %[2]s ssl; ssl_certificate %[3]s; ssl_certificate_key %[4]s; return 200 "hello\n"; }
}
`, n.dir, n.Address, n.Cert, n.Key), 0o600)
}

func (n *NginxServer) args(more ...string) []string {
	return append([]string{"-p", n.dir, "-c", n.Conf, "-e", filepath.Join(n.dir, "error.log")}, more...)
}

// Command returns a command line that tells something to this server: "-t"
// checks its configuration, "-s", "reload" makes it read its files.
func (n *NginxServer) Command(args ...string) []string {
	return append([]string{n.program}, n.args(args...)...)
}

// Served returns the certificate that a client of localhost sees.
func (n *NginxServer) Served() (*x509.Certificate, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 2 * time.Second}, "tcp", n.Address, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true}) // seen, not judged
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

func selfSigned(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644))
}
