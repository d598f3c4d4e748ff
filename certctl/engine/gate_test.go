package engine_test

import (
	"context"
	"sync"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/issuer/local"
)

// gate is a local CA that can be held at the moment of signing.
type gate struct {
	mu      sync.Mutex
	shut    chan struct{} // nil while open
	entered chan struct{}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.shut)
	g.shut = nil
}

func (g *gate) pass(ctx context.Context) error {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut == nil {
		return nil
	}
	g.entered <- struct{}{}
	select {
	case <-shut:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// kind is the connector "slow".
func (g *gate) kind() connector.Kind[issuer.Issuer] {
	return connector.Define("slow", "Slow CA", func() struct{} { return struct{}{} }, func(ctx context.Context, _ struct{}, env connector.Env) (issuer.Issuer, error) {
		ca, err := local.Kind().Open(ctx, nil, env)
		return slow{ca, g}, err
	})
}

type slow struct {
	issuer.Issuer
	g *gate
}

func (s slow) Unwrap() issuer.Issuer { return s.Issuer }

func (s slow) Issue(ctx context.Context, r *issuer.Request) (*issuer.Issued, error) {
	if err := s.g.pass(ctx); err != nil {
		return nil, err
	}
	return s.Issuer.Issue(ctx, r)
}
