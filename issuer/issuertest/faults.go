package issuertest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/issuer"
)

// fault is what becomes of an HTTP request: an error, or an answer.
type fault struct {
	name string
	// lost: the request reaches the CA, and only its answer is lost.
	lost    bool
	hanging bool // until nobody waits any more
	endless bool // an answer without an end
	err     error
	status  int
	kind    string // content type
	body    string
}

// retryAfter is what the suite's 429 and 503 ask for.
const retryAfter = 1234 * time.Second

// patience is how long after its deadline a call may end: a machine that runs
// tests is busy, and a call that has none would not end at all.
const patience = 30 * time.Second

func faults() []fault {
	list := []fault{
		{name: "no connection", err: errors.New("connection reset by peer")},
		{name: "answer lost", lost: true, err: io.ErrUnexpectedEOF},
		{name: "answer lost behind a proxy", lost: true, status: 502, kind: "text/html", body: "<html>Bad Gateway</html>"},
		{name: "HTML", status: 200, kind: "text/html", body: "<!doctype html><title>Sign in</title>"},
		{name: "nothing", status: 200, kind: "application/json"},
		{name: "null", status: 200, kind: "application/json", body: "null"},
		{name: "truncated PEM", status: 200, kind: "application/pem-certificate-chain", body: "-----BEGIN CERTIFICATE-----\nMIIB"},
		{name: "endless", status: 200, kind: "application/json", endless: true},
		{name: "hanging", hanging: true},
	}
	for _, status := range []int{301, 400, 401, 403, 404, 405, 409, 410, 413, 418, 422, 429, 500, 501, 502, 503, 504, 599} {
		list = append(list, fault{name: fmt.Sprint("status ", status), status: status, kind: "text/plain", body: "no"})
	}
	return list
}

// endless is a body without an end.
type endless struct{ ctx context.Context }

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'A'
	}
	return len(p), e.ctx.Err()
}

func (f *fault) roundTrip(r *http.Request) (*http.Response, error) {
	if f.hanging {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if f.err != nil {
		return nil, f.err
	}
	res := &http.Response{
		StatusCode: f.status, Status: fmt.Sprintf("%d %s", f.status, http.StatusText(f.status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {f.kind}}, Body: io.NopCloser(strings.NewReader(f.body)), ContentLength: int64(len(f.body)), Request: r,
	}
	if f.status == 429 || f.status == 503 {
		res.Header.Set("Retry-After", fmt.Sprint(int(retryAfter.Seconds())))
	}
	if f.endless {
		res.Body, res.ContentLength = io.NopCloser(endless{r.Context()}), -1
	}
	return res, nil
}

// breaker is a transport that breaks the n-th request and every one after it.
type breaker struct {
	under http.RoundTripper
	mu    *sync.Mutex
	seen  *int
	at    int
	fault *fault
}

func (b *breaker) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	*b.seen++
	broken := b.fault != nil && *b.seen >= b.at
	b.mu.Unlock()
	if !broken {
		return b.under.RoundTrip(r)
	}
	if b.fault.lost {
		res, err := b.under.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, issuer.MaxAnswer))
		_ = res.Body.Close()
	} else if r.Body != nil {
		_ = r.Body.Close()
	}
	return b.fault.roundTrip(r)
}

// WithTLS gives the transport below its settings.
func (b *breaker) WithTLS(config *tls.Config) (http.RoundTripper, error) {
	own, err := issuer.WithTLS(&http.Client{Transport: b.under}, config)
	if err != nil {
		return nil, err
	}
	out := *b
	out.under = own.Transport
	return &out, nil
}

// broken is the subject's Env with a transport that breaks requests from the
// at-th on, and counts them.
func (s *suite) broken(at int, f *fault) (connector.Env, *int) {
	n := new(int)
	env, client := s.Env, *s.Env.HTTP
	client.Transport = &breaker{under: s.Env.HTTP.Transport, mu: &sync.Mutex{}, seen: n, at: at, fault: f}
	env.HTTP = &client
	return env, n
}

// faults breaks each request of an issuance in every way.
func (s *suite) faults(t *testing.T) {
	if s.Env.HTTP == nil {
		t.Skip("the kind does not speak HTTP")
	}
	env, count := s.broken(0, nil)
	i, err := s.Kind.Open(t.Context(), s.Config, env)
	if err != nil {
		t.Fatal(err)
	}
	s.drive(t, i, s.request(t))
	calls := *count
	if s.Calls > 0 {
		calls = min(calls, s.Calls)
	}
	at := make(chan struct{}, 16) // they mostly wait
	if s.Issued != nil {          // what one issues must not be taken for another's
		at = make(chan struct{}, 1)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for n := 1; n <= calls; n++ {
		for _, f := range faults() {
			req := s.request(t)
			at <- struct{}{}
			wg.Go(func() {
				defer func() { <-at }()
				s.underFault(t, fmt.Sprintf("request %d, %s", n, f.name), n, f, req)
			})
		}
	}
}

func (s *suite) underFault(t *testing.T, name string, at int, f fault, req *issuer.Request) {
	before := s.serials(t)
	limit := s.Within
	if f.name == "hanging" || f.name == "endless" {
		limit = 2 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	env, _ := s.broken(at, &f)
	begun := time.Now()
	i, err := s.Kind.Open(ctx, s.Config, env)
	var got *issuer.Issued
	if err == nil {
		got, err = s.issueWith(ctx, i, req, nil)
	}
	if took := time.Since(begun); took > limit+patience {
		t.Errorf("%s: took %v, the deadline was %v", name, took, limit)
	}
	if err == nil {
		if err := issuer.Judge(req, got, nil, s.now()); err != nil {
			t.Errorf("%s: returned what is not what was asked for: %v", name, err)
		}
		return // it found a way round
	}
	s.silent(t, name, err.Error())
	var e *issuer.Error
	if !errors.As(err, &e) {
		return // it may have happened
	}
	if strings.HasSuffix(f.name, "429") && (!errors.Is(e, issuer.ErrNotDone) || e.After > retryAfter || e.After < retryAfter-10*time.Second) {
		t.Errorf("%s: a 429 with Retry-After %v became %v after %v: %v", name, retryAfter, e.Kind, e.After, err)
	}
	if s.Issued == nil || errors.Is(e, issuer.ErrUnknown) {
		return
	}
	if after := s.serials(t); len(after) > len(before) { // it says that nothing happened
		if whole, err := s.Kind.Open(t.Context(), s.Config, s.Env); err == nil {
			if f, ok := issuer.As[issuer.Finder](whole); ok {
				if found, err := f.Find(t.Context(), req); err == nil && found != nil {
					return
				}
			}
		}
		t.Errorf("%s: the CA issued, and the error says that it did not (%v): %v", name, e.Kind, err)
	}
}

func (s *suite) serials(t testing.TB) []*big.Int {
	t.Helper()
	if s.Issued == nil {
		return nil
	}
	out, err := s.Issued(t.Context())
	if err != nil {
		t.Errorf("what the CA issued: %v", err)
	}
	return out
}

// cancel: a call that is cut off ends, at any moment, and does not say that
// nothing happened when something did.
func (s *suite) cancel(t *testing.T) {
	i := s.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.issueWith(ctx, i, s.request(t), nil); err == nil {
		t.Error("issued although nobody waits")
	}
	begun := time.Now()
	s.drive(t, i, s.request(t))
	whole := time.Since(begun)
	for part := range 5 {
		req, before := s.request(t), s.serials(t)
		ctx, cancel := context.WithTimeout(t.Context(), whole*time.Duration(part+1)/6)
		_, err := s.issueWith(ctx, i, req, nil)
		over := time.Now()
		if end, _ := ctx.Deadline(); over.Sub(end) > patience {
			t.Errorf("ended %v after its deadline", over.Sub(end))
		}
		cancel()
		if err == nil || s.Issued == nil {
			continue
		}
		after := s.serials(t)
		issued := slices.ContainsFunc(after, func(n *big.Int) bool {
			return !slices.ContainsFunc(before, func(m *big.Int) bool { return n.Cmp(m) == 0 })
		})
		var e *issuer.Error
		if issued && errors.As(err, &e) && !errors.Is(e, issuer.ErrUnknown) {
			t.Errorf("the CA issued, and the error says that it did not (%v): %v", e.Kind, err)
		}
	}
}
