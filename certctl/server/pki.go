package server

import (
	"context"
	"math/big"
	"net/http"
	"sync"
	"time"

	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/responder"
)

// pkiMaxAge is how long HTTP caches may keep CRLs and OCSP answers: short, so
// that a revocation is seen soon even behind a cache.
const pkiMaxAge = time.Minute

// pkiHandler serves what relying parties ask for: CRLs, OCSP, CA certificates.
func (s *Server) pkiHandler() (http.Handler, error) {
	responders := &ocspResponders{s: s, m: map[string]*ocsp.Responder{}}
	return responder.New(responder.Options{
		OCSP: responders.get,
		CRL: func(ctx context.Context, id responder.CRLID) (*responder.CRL, error) {
			c, err := s.engine.CRL(ctx, id.Issuer)
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
// gets its signer from the engine at every request, which keeps and rotates it.
type ocspResponders struct {
	s  *Server
	mu sync.Mutex
	m  map[string]*ocsp.Responder
}

func (o *ocspResponders) get(ctx context.Context, issuer string) (*ocsp.Responder, error) {
	if _, err := o.s.engine.OCSPIssuer(ctx, issuer); err != nil {
		return nil, err // so that unknown issuers fill no memory
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if r, ok := o.m[issuer]; ok {
		return r, nil
	}
	r, err := ocsp.New(ocsp.Options{
		Source: o.s.o.Revocations, Now: o.s.o.Now,
		Issuers: func(ctx context.Context) ([]*ocsp.Issuer, error) {
			i, err := o.s.engine.OCSPIssuer(ctx, issuer)
			if err != nil {
				return nil, err
			}
			return []*ocsp.Issuer{i}, nil
		},
	})
	if err != nil {
		return nil, err
	}
	o.m[issuer] = r
	return r, nil
}
