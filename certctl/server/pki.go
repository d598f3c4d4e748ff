package server

import (
	"context"
	"math/big"
	"net/http"
	"sync"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/responder"
)

// pkiMaxAge is how long HTTP caches may keep CRLs and OCSP answers: short, so
// that a revocation is seen soon even behind a cache.
const pkiMaxAge = time.Minute

// ocspCache bounds the signed answers that are kept for each issuer.
const ocspCache = 64 << 20

// pkiHandler serves what relying parties ask for: CRLs, OCSP, CA certificates.
func (s *Server) pkiHandler(run context.Context) (http.Handler, error) {
	responders := &ocspResponders{s: s, run: run, m: map[string]*ocsp.Responder{}}
	return responder.New(responder.Options{
		OCSP: responders.get,
		CRL: func(ctx context.Context, id responder.CRLID) (*responder.CRL, error) {
			c, err := s.engine.CRLOf(ctx, id.Issuer, engine.Scope{Shard: id.Shard, Delta: id.Delta})
			if err != nil {
				return nil, err
			}
			return &responder.CRL{DER: c.DER, Number: big.NewInt(c.Number), ThisUpdate: c.ThisUpdate, NextUpdate: c.NextUpdate}, nil
		},
		CACert: s.engine.CACertificate,
		Now:    s.o.Now, Logger: s.log, Limits: responder.Limits{MaxAge: pkiMaxAge},
	})
}

// ocspResponders has one responder for each issuer that was asked about. Each
// gets its signer from the engine, which keeps and rotates it, and follows the
// revocations until the server stops.
type ocspResponders struct {
	s   *Server
	run context.Context
	mu  sync.RWMutex
	m   map[string]*ocsp.Responder
}

func (o *ocspResponders) get(ctx context.Context, issuer string) (*ocsp.Responder, error) {
	o.mu.RLock()
	r := o.m[issuer]
	o.mu.RUnlock()
	if r != nil {
		return r, nil
	}
	if _, err := o.s.engine.OCSPIssuer(ctx, issuer); err != nil {
		return nil, err // so that unknown issuers fill no memory
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if r, ok := o.m[issuer]; ok {
		return r, nil
	}
	r, err := o.start(issuer)
	if err != nil {
		return nil, err
	}
	o.m[issuer] = r
	return r, nil
}

func (o *ocspResponders) start(issuer string) (*ocsp.Responder, error) {
	options := ocsp.Options{
		Source: o.s.o.Revocations, Now: o.s.o.Now, Archive: true,
		Issuers: func(ctx context.Context) ([]*ocsp.Issuer, error) {
			i, err := o.s.engine.OCSPIssuer(ctx, issuer)
			if err != nil {
				return nil, err
			}
			return []*ocsp.Issuer{i}, nil
		},
	}
	if _, tells := options.Source.(revocation.Feed); !tells {
		return ocsp.New(options)
	}
	var err error
	options.CacheSize = ocspCache
	if options.Changed, err = o.s.o.Store.Watch(o.run, certctl.TopicRevocations); err != nil {
		return nil, err
	}
	r, err := ocsp.New(options)
	if err == nil {
		o.s.group.Go(func() { _ = r.Follow(o.run) }) // ends with run alone
	}
	return r, err
}
