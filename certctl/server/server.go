package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/engine"
)

// Server is a control plane. Start and Stop may be called once each.
type Server struct {
	o      Options
	log    *slog.Logger
	engine *engine.Engine

	control, pki       net.Listener
	controlHTTP, pkiHT *http.Server
	tls                *certificateKeeper
	cancel             context.CancelFunc
	group              sync.WaitGroup
	failed             chan error
}

// New takes the listeners, so that a taken port is known before anything is
// written, and makes the engine.
func New(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, log: o.Logger, failed: make(chan error, 4)}
	if s.control, err = listen("the control plane", o.Listen); err != nil {
		return nil, err
	}
	if s.pki, err = listen("CRL and OCSP", o.PKIListen); err != nil {
		s.control.Close()
		return nil, err
	}
	if o.PKIURL == "" {
		s.o.PKIURL = "http://" + s.pki.Addr().String()
	}
	s.engine, err = engine.New(engine.Options{
		Store: o.Store, Revocations: o.Revocations, Issuers: o.Issuers, Targets: o.Targets, Sealer: o.Sealer,
		HTTP: o.HTTP, Logger: o.Logger, Now: o.Now, PKIURL: s.o.PKIURL, Exclusive: o.Exclusive, Concurrency: o.Concurrency, Timing: o.Timing,
	})
	if err != nil {
		s.control.Close()
		s.pki.Close()
		return nil, err
	}
	return s, nil
}

func listen(what, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s for %s: %w", address, what, err)
	}
	return l, nil
}

// Engine gives the use cases to programs that embed the server.
func (s *Server) Engine() *engine.Engine { return s.engine }

// URL is the base URL of the control plane.
func (s *Server) URL() string {
	if s.o.Insecure {
		return "http://" + s.control.Addr().String()
	}
	return "https://" + s.control.Addr().String()
}

// PKIURL is the base URL of CRLs and OCSP, as certificates carry it.
func (s *Server) PKIURL() string { return s.o.PKIURL }

// Start prepares what a first start needs (policy, CA, keys, the server's own
// certificate) and serves. It returns when both listeners answer.
func (s *Server) Start(ctx context.Context) error {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	if err := s.start(ctx, run); err != nil {
		cancel()
		s.control.Close()
		s.pki.Close()
		s.group.Wait()
		return err
	}
	return nil
}

func (s *Server) start(ctx, run context.Context) error {
	if err := s.engine.EnsureDefaults(ctx); err != nil {
		return fmt.Errorf("the database cannot be prepared: %w", err)
	}
	if err := s.ensureIssuers(ctx); err != nil {
		return err
	}
	for _, k := range s.o.APIKeys {
		if err := s.engine.EnsureAPIKey(ctx, k.Name, k.Role, k.Token.Reveal()); err != nil {
			return fmt.Errorf("the API key %q cannot be set up: %w", k.Name, err)
		}
	}
	pki, err := s.pkiHandler(run)
	if err != nil {
		return err
	}
	s.pkiHT = s.httpServer(pki)
	s.serve("the PKI listener", s.pkiHT, s.pki)
	s.group.Go(func() { _ = s.engine.Run(run) }) // ends with run alone

	if s.o.Insecure {
		s.log.WarnContext(ctx, "the control plane is served over plain HTTP")
	} else if s.tls, err = s.keepCertificate(ctx, run); err != nil {
		return fmt.Errorf("the server has no TLS certificate of its own: %w", err)
	}
	api, err := s.apiHandler(run.Done())
	if err != nil {
		return err
	}
	s.controlHTTP = s.httpServer(api)
	control := s.control
	if s.tls != nil {
		s.controlHTTP.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.tls.get, Time: s.o.Now, NextProtos: []string{"h2", "http/1.1"}}
		control = tls.NewListener(control, s.controlHTTP.TLSConfig)
	}
	s.serve("the control plane", s.controlHTTP, control)
	return nil
}

// httpServer sets the limits that keep slow and greedy clients from the others.
// Writes have no limit here: long polls end by their own.
func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) serve(what string, h *http.Server, l net.Listener) {
	s.group.Go(func() {
		if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("%s has stopped: %w", what, err)
		}
	})
}

// ensureIssuers makes the server's own CA at the first start, and the issuers
// that are configured beside it. An outside CA may be away; ours may not.
func (s *Server) ensureIssuers(ctx context.Context) error {
	own := engine.ConnectorInput{ID: LocalIssuerID, Name: "Local CA", Type: "local", Config: s.o.LocalIssuer}
	row, err := s.ensureIssuer(ctx, own)
	if err != nil {
		return fmt.Errorf("the local CA cannot be set up: %w", err)
	}
	if row != nil && row.TestStatus == certctl.TestFailed {
		return fmt.Errorf("the local CA cannot be used: %s", row.TestMessage)
	}
	for _, in := range s.o.Seeds {
		row, err := s.ensureIssuer(ctx, in)
		if err != nil {
			return fmt.Errorf("the issuer %s cannot be set up: %w", in.ID, err)
		}
		if row != nil && row.TestStatus == certctl.TestFailed {
			s.log.WarnContext(ctx, "an issuer cannot be used", "issuer", in.ID, "error", row.TestMessage)
		}
	}
	return nil
}

// ensureIssuer returns the issuer if it made it, nil where it was there.
func (s *Server) ensureIssuer(ctx context.Context, in engine.ConnectorInput) (*certctl.Issuer, error) {
	err := s.engine.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		_, err := r.Issuers().Get(ctx, in.ID)
		return err
	})
	if !errors.Is(err, certctl.ErrNotFound) {
		return nil, err
	}
	row, err := s.engine.CreateIssuer(ctx, in)
	if errors.Is(err, certctl.ErrConflict) { // another replica was first
		return nil, nil
	}
	return row, err
}

// Stop drains: no new connections, requests and steps under way may end, until
// ctx or DrainTimeout ends.
func (s *Server) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.DrainTimeout)
	defer cancel()
	s.cancel() // the worker claims nothing more; long polls of agents end
	failed := errors.Join(s.controlHTTP.Shutdown(ctx), s.pkiHT.Shutdown(ctx))
	if failed != nil {
		failed = errors.Join(failed, s.controlHTTP.Close(), s.pkiHT.Close())
	}
	s.group.Wait()
	return failed
}

// Run starts, serves until ctx ends or a listener fails, and stops.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Start(ctx); err != nil {
		return err
	}
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-s.failed:
	}
	return errors.Join(failed, s.Stop(context.WithoutCancel(ctx)))
}
