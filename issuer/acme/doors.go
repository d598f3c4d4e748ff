package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"github.com/miekg/dns"
)

func doorAddress(ip string, port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }

// doors are the listeners of this process, by address: shared by all orders of
// all issuers that answer there, and open only while one has something to answer.
var doors = struct {
	mu sync.Mutex
	m  map[string]*door
}{m: map[string]*door{}}

type door struct {
	ln    net.Listener
	users int

	mu      sync.Mutex
	tokens  map[string]string           // http-01: token → key authorization
	answers map[string]*tls.Certificate // tls-alpn-01: server name → certificate
}

// enter opens the door of an address, or joins those who use it.
func enter(ctx context.Context, kind, address string, serve func(*door)) (*door, error) {
	doors.mu.Lock()
	defer doors.mu.Unlock()
	key := kind + " " + address
	d := doors.m[key]
	if d == nil {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("the port for %s cannot be opened: %w; set another port, or let whoever has it show a webroot", kind, err)
		}
		d = &door{ln: ln, tokens: map[string]string{}, answers: map[string]*tls.Certificate{}}
		doors.m[key] = d
		go serve(d)
	}
	d.users++
	return d, nil
}

func leave(kind, address string, d *door) {
	doors.mu.Lock()
	defer doors.mu.Unlock()
	if d.users--; d.users == 0 {
		delete(doors.m, kind+" "+address)
		_ = d.ln.Close()
	}
}

const challengePath = "/.well-known/acme-challenge/"

// httpSolver answers http-01 (RFC 8555 section 8.3).
type httpSolver struct{ address string }

func (s *httpSolver) present(ctx context.Context, tasks []task) (func(), error) {
	for _, t := range tasks {
		if !goodToken(t.Token) {
			return func() {}, errBadToken
		}
	}
	d, err := enter(ctx, http01, s.address, (*door).serveHTTP)
	if err != nil {
		return func() {}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range tasks {
		d.tokens[t.Token] = t.KeyAuthorization
	}
	return func() {
		d.mu.Lock()
		for _, t := range tasks {
			delete(d.tokens, t.Token)
		}
		d.mu.Unlock()
		leave(http01, s.address, d)
	}, nil
}

func (d *door) serveHTTP() {
	srv := &http.Server{
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, ok := strings.CutPrefix(r.URL.Path, challengePath)
			d.mu.Lock()
			answer, known := d.tokens[token]
			d.mu.Unlock()
			if !ok || !known {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = w.Write([]byte(answer))
		}),
	}
	_ = srv.Serve(d.ln) // ends when the door closes
	_ = srv.Close()
}

// webroot answers http-01 by files that another web server shows.
type webroot string

func (w webroot) present(_ context.Context, tasks []task) (func(), error) {
	dir := filepath.Join(string(w), filepath.FromSlash(challengePath))
	var made []string
	cleanup := func() {
		for _, name := range made {
			_ = os.Remove(name)
		}
	}
	if _, err := os.Stat(string(w)); err != nil {
		return cleanup, fmt.Errorf("webroot: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // a web server of another user reads it
		return cleanup, fmt.Errorf("webroot: %w", err)
	}
	for _, t := range tasks {
		if !goodToken(t.Token) {
			return cleanup, errBadToken
		}
		name := filepath.Join(dir, t.Token)
		if err := os.WriteFile(name, []byte(t.KeyAuthorization), 0o644); err != nil { //nolint:gosec // likewise
			return cleanup, fmt.Errorf("webroot: %w", err)
		}
		made = append(made, name)
	}
	return cleanup, nil
}

// alpnSolver answers tls-alpn-01 (RFC 8737).
type alpnSolver struct{ address string }

func (s *alpnSolver) present(ctx context.Context, tasks []task) (func(), error) {
	certs := map[string]*tls.Certificate{}
	for _, t := range tasks {
		cert, err := acmez.TLSALPN01ChallengeCert(t.Challenge)
		if err != nil {
			return func() {}, err
		}
		certs[serverName(t.Identifier)] = cert
	}
	d, err := enter(ctx, tlsALPN01, s.address, (*door).serveALPN)
	if err != nil {
		return func() {}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, cert := range certs {
		d.answers[name] = cert
	}
	return func() {
		d.mu.Lock()
		for name, cert := range certs {
			if d.answers[name] == cert { // not the one of a later order
				delete(d.answers, name)
			}
		}
		d.mu.Unlock()
		leave(tlsALPN01, s.address, d)
	}, nil
}

// serverName is what the CA sends as SNI; for an address the name of its reverse
// record (RFC 8738 section 6).
func serverName(id acme.Identifier) string {
	if id.Type == "ip" {
		if name, err := dns.ReverseAddr(id.Value); err == nil {
			return strings.TrimSuffix(name, ".")
		}
	}
	return id.Value
}

func (d *door) serveALPN() {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{acmez.ACMETLS1Protocol},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if cert := d.answers[fold(hello.ServerName)]; cert != nil {
				return cert, nil
			}
			return nil, errors.New("no challenge for this name")
		},
	}
	visitors := make(chan struct{}, 64)
	for {
		conn, err := d.ln.Accept()
		if err != nil {
			return
		}
		visitors <- struct{}{}
		go func() {
			defer func() { <-visitors }()
			defer conn.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_ = tls.Server(conn, config).HandshakeContext(ctx)
		}()
	}
}
