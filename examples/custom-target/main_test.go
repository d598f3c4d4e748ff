package main

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/target"
	"github.com/certctl/certctl/target/targettest"
)

// server is the stranger's server: it reads its file when it is told to.
type server struct {
	path string
	pair atomic.Pointer[tls.Certificate]
}

func (s *server) reload() error {
	text, err := os.ReadFile(s.path)
	if os.IsNotExist(err) {
		s.pair.Store(nil)
		return nil
	}
	if err != nil {
		return err
	}
	key, certs, err := cut(text)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(certs, key)
	if err == nil {
		s.pair.Store(&pair)
	}
	return err
}

// served adds to the connector where its result can be seen.
type served struct {
	*single
	address string
}

func (s served) Endpoints() []target.Endpoint { return []target.Endpoint{{Address: s.address}} }

func open(t *testing.T, dir string) target.Target {
	t.Helper()
	s := &server{path: filepath.Join(dir, "site.pem")}
	if err := s.reload(); err != nil {
		t.Fatal(err)
	}
	kind := Kind(s.reload)
	tgt, err := kind.Open(t.Context(), []byte(`{"path": "`+s.path+`"}`), connector.Env{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	config := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.pair.Load(), nil }}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = tls.Server(c, config).Handshake() // the probe says what came of it
			}()
		}
	}()
	return served{tgt.(*single), l.Addr().String()}
}

func TestContract(t *testing.T) {
	targettest.Run(t, targettest.Config{Open: open})
}
