package acme_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/internal/peer"
	"github.com/certctl/certctl/issuer"
)

// watched counts requests by path.
type watched struct {
	http.RoundTripper
	mu    sync.Mutex
	calls map[string]int
}

func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.calls[strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 2)[0]]++
	w.mu.Unlock()
	return w.RoundTripper.RoundTrip(r)
}

func (w *watched) count(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[path]
}

// watch counts what goes out through an Env whose TLS is set up by hand.
func watch(t testing.TB, p *peer.PebbleServer, e connector.Env) (connector.Env, *watched) {
	t.Helper()
	client, err := issuer.WithTLS(e.HTTP, p.TLS())
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{RoundTripper: client.Transport, calls: map[string]int{}}
	client.Transport = w
	e.HTTP = client
	return e, w
}

// TestOneAccount: replicas that share a vault, and start at once, have one
// account, bound to the operator's account at the CA.
func TestOneAccount(t *testing.T) {
	const hmac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	p := peer.Pebble(t, peer.PebbleOptions{EAB: map[string]string{"kid-1": hmac}})
	_, err := issue(t, open(t, config(t, p, nil), env(t)), request(t, name()))
	if !errors.Is(err, issuer.ErrConfig) || !strings.Contains(err.Error(), "set eab_kid and eab_hmac") {
		t.Errorf("without a binding: %v", err)
	}
	_, err = issue(t, open(t, config(t, p, map[string]any{"eab_kid": "kid-1", "eab_hmac": strings.Repeat("A", 64)}), env(t)), request(t, name()))
	if err == nil || strings.Contains(err.Error(), "AAAA") {
		t.Errorf("with a wrong key: %v", err)
	}
	e, w := watch(t, p, env(t))
	c := config(t, p, map[string]any{"eab_kid": "kid-1", "eab_hmac": hmac, "ca_cert_path": "", "email": "ops@example.com"})
	var wg sync.WaitGroup
	accounts, errs := make([]string, 6), make([]error, 6)
	for n := range accounts {
		ca := open(t, c, e)
		wg.Go(func() {
			if errs[n] = ca.Check(t.Context()); errs[n] == nil {
				text, err := e.Vault.Get(t.Context(), "account-url")
				accounts[n], errs[n] = string(text), err
			}
		})
	}
	wg.Wait()
	for n := range accounts {
		if errs[n] != nil || accounts[n] == "" || accounts[n] != accounts[0] {
			t.Errorf("replica %d: %s, %v; the first: %s", n, accounts[n], errs[n], accounts[0])
		}
	}
	if _, err := issue(t, open(t, c, e), request(t, name())); err != nil {
		t.Error(err)
	}
	if n := w.count("order-plz"); n != 1 {
		t.Errorf("%d orders", n)
	}
}

// TestResume: an order goes on in a process that knows its URL alone; there is no
// second one.
func TestResume(t *testing.T) {
	p := peer.Pebble(t, peer.PebbleOptions{Env: []string{"PEBBLE_WFE_NONCEREJECT=0"}})
	e, w := watch(t, p, env(t))
	c, req := config(t, p, map[string]any{"ca_cert_path": ""}), request(t, name())
	o, err := open(t, c, e).Begin(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; o.Issued == nil; n++ {
		if n > 20 {
			t.Fatal("the order does not end")
		}
		if o, err = open(t, c, e).Poll(t.Context(), &issuer.Order{Request: req, State: o.State}); err != nil {
			t.Fatal(err)
		}
	}
	if again, err := open(t, c, e).Poll(t.Context(), &issuer.Order{Request: req, State: o.State}); err != nil || !again.Issued.Leaf.Equal(o.Issued.Leaf) {
		t.Errorf("looked at again after the end: %+v, %v", again, err)
	}
	if orders, finals := w.count("order-plz"), w.count("finalize-order"); orders != 1 || finals != 1 {
		t.Errorf("%d orders, finalized %d times", orders, finals)
	}
	_, err = open(t, c, e).Poll(t.Context(), &issuer.Order{Request: req, State: json.RawMessage(fmt.Sprintf(`{"order":%q}`, strings.Replace(p.Directory, "/dir", "/my-order/none", 1)))})
	if err == nil {
		t.Error("an order that does not exist")
	}
}

// TestProfileAndChain: the CA's profile, and the chain that is preferred.
func TestProfileAndChain(t *testing.T) {
	p := peer.Pebble(t, peer.PebbleOptions{Env: []string{"PEBBLE_ALTERNATE_ROOTS=2", "PEBBLE_CHAIN_LENGTH=3"}})
	got, err := issue(t, open(t, config(t, p, map[string]any{"profile": "shortlived"}), env(t)), request(t, name()))
	if err != nil {
		t.Fatal(err)
	}
	if life := got.Leaf.NotAfter.Sub(got.Leaf.NotBefore).Round(time.Hour); life != 6*24*time.Hour {
		t.Errorf("valid for %v", life)
	}
	var state struct{ Chains []string }
	if err := json.Unmarshal(got.State, &state); err != nil || len(state.Chains) != 3 {
		t.Fatalf("%s, %v", got.State, err)
	}
	for _, want := range state.Chains {
		got, err := issue(t, open(t, config(t, p, map[string]any{"preferred_chain": want}), env(t)), request(t, name()))
		if err != nil {
			t.Fatal(err)
		}
		if top := got.Chain[len(got.Chain)-1]; top.Issuer.CommonName != want {
			t.Errorf("the chain ends below %q, %q is preferred", top.Issuer.CommonName, want)
		}
	}
}

// TestRenewalInfo: the window of the CA, one request for each question, and an
// order that says what it replaces.
func TestRenewalInfo(t *testing.T) {
	p := peer.Pebble(t, peer.PebbleOptions{})
	e, w := watch(t, p, env(t))
	ca := open(t, config(t, p, map[string]any{"ca_cert_path": ""}), e)
	site := name()
	first, err := issue(t, ca, request(t, site))
	if err != nil {
		t.Fatal(err)
	}
	if n := w.count("draft-ietf-acme-ari-03"); n != 0 {
		t.Errorf("%d requests for renewal information nobody asked for", n)
	}
	info, err := ca.RenewalInfo(t.Context(), first.Leaf)
	if err != nil || !info.Start.After(time.Now()) || !info.End.Before(first.Leaf.NotAfter) || info.RetryAfter <= 0 {
		t.Errorf("%+v, %v", info, err)
	}
	if n := w.count("draft-ietf-acme-ari-03"); n != 1 {
		t.Errorf("%d requests", n)
	}
	next := request(t, site)
	next.Replaces = first.Leaf
	second, err := issue(t, ca, next)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.RenewalInfo(t.Context(), second.Leaf); err != nil {
		t.Error(err)
	}
	// It was replaced already: the order is placed all the same.
	third := request(t, site)
	third.Replaces = first.Leaf
	orders := w.count("order-plz")
	if _, err := issue(t, ca, third); err != nil {
		t.Error(err)
	}
	if n := w.count("order-plz") - orders; n != 2 {
		t.Errorf("%d order requests, want one that is refused and one without", n)
	}
	off := open(t, config(t, p, map[string]any{"ari_enabled": false}), env(t))
	if _, err := off.RenewalInfo(t.Context(), second.Leaf); !errors.Is(err, issuer.ErrRefused) {
		t.Errorf("switched off: %v", err)
	}
}

// strict answers one request with 429, and counts what comes before the time is
// over.
type strict struct {
	http.RoundTripper
	mu     sync.Mutex
	now    func() time.Time
	until  time.Time
	inside int
	fired  bool
}

func (s *strict) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now().Before(s.until) {
		s.inside++
	}
	if !s.fired && strings.HasSuffix(r.URL.Path, "/order-plz") {
		s.fired, s.until = true, s.now().Add(time.Hour)
		return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"3600"}, "Content-Type": {"application/problem+json"}}, Request: r,
			Body: http.NoBody}, nil
	}
	return s.RoundTripper.RoundTrip(r)
}

// TestRetryAfter: no order of the process asks the CA anything before its time is
// over, and then all goes on.
func TestRetryAfter(t *testing.T) {
	p := peer.Pebble(t, peer.PebbleOptions{Env: []string{"PEBBLE_WFE_NONCEREJECT=0"}})
	e, w := watch(t, p, env(t))
	var mu sync.Mutex
	off := time.Duration(0)
	e.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(off) }
	s := &strict{RoundTripper: w, now: e.Now}
	e.HTTP.Transport = s
	ca := open(t, config(t, p, map[string]any{"ca_cert_path": ""}), e)
	for range 3 {
		_, err := issue(t, ca, request(t, name()))
		var as *issuer.Error
		if !errors.As(err, &as) || !errors.Is(err, issuer.ErrNotDone) || as.After < 50*time.Minute || as.After > time.Hour {
			t.Errorf("%v", err)
		}
	}
	if s.inside != 0 {
		t.Errorf("%d requests inside the Retry-After", s.inside)
	}
	mu.Lock()
	off = time.Hour + time.Second
	mu.Unlock()
	if _, err := issue(t, ca, request(t, name())); err != nil {
		t.Error(err)
	}
}
