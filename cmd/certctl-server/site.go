package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// site is the demonstration web server: HTTPS with the two files that the
// agent deploys, as any web server would have them.
type site struct {
	cert, key string
	last      atomic.Pointer[tls.Certificate]
	listener  net.Listener
	http      *http.Server
}

// newSite listens; before the first deployment it answers no handshake.
func newSite(address, cert, key string) (*site, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s for the demonstration site: %w", address, err)
	}
	s := &site{cert: cert, key: key, listener: l}
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.page), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, ErrorLog: silentLog(),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificate},
	}
	return s, nil
}

func (s *site) address() string { return s.listener.Addr().String() }

func (s *site) serve() error {
	err := s.http.ServeTLS(s.listener, "", "")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("the demonstration site has stopped: %w", err)
}

// certificate reads the files anew for each handshake. Between the two renames
// of a swap they do not match; then the pair before is served.
func (s *site) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(s.cert, s.key)
	if err == nil {
		s.last.Store(&pair)
		return &pair, nil
	}
	if last := s.last.Load(); last != nil {
		return last, nil
	}
	return nil, errors.New("nothing has been deployed yet")
}

func (s *site) page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if pair := s.last.Load(); pair != nil && pair.Leaf != nil {
		fmt.Fprintf(w, "It works. This page is served with certificate %x, valid until %s.\n",
			pair.Leaf.SerialNumber, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
}
