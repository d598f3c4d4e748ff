package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/responder"
)

// site is one issuer that is answered for.
type site struct {
	name    string
	ca      *x509.Certificate
	answers *ocsp.Responder
	crl     func(context.Context, responder.CRLID) (*responder.CRL, error)
	watch   func(context.Context) error // runs beside it, until its context ends; nil for none
	state   func() state
}

// state is how a site does, for /ready and /metrics.
type state struct {
	problem    error // why it is not ready
	number     float64
	thisUpdate time.Time
	nextUpdate time.Time
	entries    int
	issued     int
	rejected   map[string]int
}

// sites are those of one configuration; they end together.
type sites struct {
	m      map[string]*site
	cancel context.CancelFunc
	group  sync.WaitGroup
	close  func()
}

func (s *sites) end() {
	s.cancel()
	s.group.Wait()
	if s.close != nil {
		s.close()
	}
}

// opened are sites that do not run yet, and what ends with them.
type opened struct {
	sites   []*site
	close   func()
	changed func(context.Context) bool // there are other sites now; nil: never
}

// registry has the sites that are served now.
type registry struct {
	now atomic.Pointer[sites]
	log *slog.Logger
}

// start runs what was opened, and serves it from now on in place of what was
// served before, which ends.
func (r *registry) start(ctx context.Context, o *opened) {
	ctx, cancel := context.WithCancel(ctx)
	next := &sites{m: map[string]*site{}, cancel: cancel, close: o.close}
	for _, one := range o.sites {
		next.m[one.name] = one
		next.group.Go(func() { _ = one.answers.Follow(ctx) }) // ends with ctx, or at once without a cache
		if one.watch != nil {
			next.group.Go(func() { _ = one.watch(ctx) }) // ends with ctx; state tells how it does
		}
		r.log.InfoContext(ctx, "answering", "issuer", one.name, "ca", one.ca.Subject.String())
	}
	if old := r.now.Swap(next); old != nil {
		old.end()
	}
}

func (r *registry) end() {
	if s := r.now.Load(); s != nil {
		s.end()
	}
}

func (r *registry) get(name string) (*site, error) {
	if s := r.now.Load().m[name]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%w: no issuer %.130s", revocation.ErrUnknownIssuer, name)
}

// handler serves what is in the registry.
func (r *registry) handler(maxAge, body time.Duration, now func() time.Time) (*responder.Handler, error) {
	return responder.New(responder.Options{
		OCSP: func(_ context.Context, name string) (*ocsp.Responder, error) {
			s, err := r.get(name)
			if err != nil {
				return nil, err
			}
			return s.answers, nil
		},
		CRL: func(ctx context.Context, id responder.CRLID) (*responder.CRL, error) {
			s, err := r.get(id.Issuer)
			if err != nil {
				return nil, err
			}
			return s.crl(ctx, id)
		},
		CACert: func(_ context.Context, name string) ([]byte, error) {
			s, err := r.get(name)
			if err != nil {
				return nil, err
			}
			return s.ca.Raw, nil
		},
		Now: now, Logger: r.log, Limits: responder.Limits{MaxAge: maxAge, Body: body},
	})
}

// problems are why the sites are not ready; nil when all are.
func (r *registry) problems() error {
	if len(r.now.Load().m) == 0 {
		return errors.New("there is no issuer yet; a certctl-server on this database makes the first")
	}
	var all []error
	for name, s := range r.now.Load().m {
		if err := s.state().problem; err != nil {
			all = append(all, fmt.Errorf("issuer %s: %w", name, err))
		}
	}
	return errors.Join(all...)
}
