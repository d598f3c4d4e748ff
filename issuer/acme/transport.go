package acme

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/certctl/certctl/issuer"
)

// manners is a transport that does not ask a CA again before the time that it
// asked for is over, and reads no more than it should. The client above it
// repeats requests that failed; with this none of them leaves the house.
type manners struct {
	under http.RoundTripper
	now   func() time.Time

	mu    sync.Mutex
	until time.Time
}

// patience is the error of a request that was not sent.
type patience struct{ after time.Duration }

func (p *patience) Error() string {
	return fmt.Sprintf("the CA asked to be left alone for another %v (Retry-After)", p.after.Round(time.Second))
}

// left is how long the CA wants to be left alone.
func (m *manners) left() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(m.until.Sub(m.now()), 0)
}

// RoundTrip sends a request unless the CA wants to be left alone.
func (m *manners) RoundTrip(r *http.Request) (*http.Response, error) {
	if left := m.left(); left > 0 {
		return nil, &patience{left}
	}
	res, err := m.under.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	after := issuer.RetryAfter(res.Header, m.now())
	if h, ok := r.Context().Value(heardKey{}).(*heard); ok {
		h.mu.Lock()
		h.after = after
		h.mu.Unlock()
	}
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
		m.mu.Lock()
		if until := m.now().Add(after); until.After(m.until) {
			m.until = until
		}
		m.mu.Unlock()
	}
	res.Body = &bounded{res.Body, issuer.MaxAnswer}
	return res, nil
}

// heard is the Retry-After of the last answer to a call, which for an order or an
// authorization that is in the making says when to look again (RFC 8555 sections
// 7.4 and 7.5.1).
type heard struct {
	mu    sync.Mutex
	after time.Duration
}

type heardKey struct{}

func listen(ctx context.Context) (context.Context, *heard) {
	h := &heard{}
	return context.WithValue(ctx, heardKey{}, h), h
}

func (h *heard) pause(least time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(h.after, least)
}

var errTooLong = errors.New("the CA's answer is too long")

// bounded is a body of limited length.
type bounded struct {
	io.ReadCloser
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
