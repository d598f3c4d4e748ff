package rest_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/certctl/certctl/certctl/server/rest"
)

func TestEveryAnswerCarriesItsHeaders(t *testing.T) {
	s := newSetup(t)
	seen := map[string]bool{}
	for _, path := range []string{"/health", "/nothing", "/api/v1/certificates"} {
		a := s.send("", http.MethodGet, path, "", "X-Request-ID: mine")
		id := a.Header.Get("X-Request-ID")
		if id == "" || id == "mine" || seen[id] {
			t.Errorf("%s: the request ID is %q", path, id)
		}
		seen[id] = true
		if a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, a.Header)
		}
		if !strings.Contains(s.log.String(), id) {
			t.Errorf("%s: the log does not have request %s", path, id)
		}
	}
	secret := s.send("", http.MethodGet, "/api/v1/certificates?search="+canary, "")
	if strings.Contains(s.log.String(), canary) {
		t.Errorf("the log has the query (%d)", secret.StatusCode)
	}
}

func TestOrigins(t *testing.T) {
	s := newSetup(t, func(o *rest.Options) { o.CORSOrigins = []string{"https://ui.example.com"} })
	ask := []string{"Access-Control-Request-Method: POST", "Origin: https://ui.example.com"}
	a := s.send("", http.MethodOptions, "/api/v1/certificates", "", ask...)
	if a.StatusCode != http.StatusNoContent || a.Header.Get("Access-Control-Allow-Origin") != "https://ui.example.com" || !strings.Contains(a.Header.Get("Access-Control-Allow-Headers"), "Idempotency-Key") {
		t.Errorf("preflight: %d %v", a.StatusCode, a.Header)
	}
	ask[1] = "Origin: https://ui.example.com.evil.example"
	if a := s.send("", http.MethodOptions, "/api/v1/certificates", "", ask...); a.StatusCode != http.StatusForbidden || a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight of another origin: %d %v", a.StatusCode, a.Header)
	}
	key := s.keys[certctl.RoleAdmin]
	if a := s.send(key, http.MethodPost, "/api/v1/teams", `{"name":"x"}`, "Origin: https://ui.example.com", "Sec-Fetch-Site: cross-site"); a.StatusCode != http.StatusCreated || !slices.Contains(a.Header.Values("Vary"), "Origin") {
		t.Errorf("a listed origin: %d %s", a.StatusCode, a.body)
	}
	s.wants(s.send(key, http.MethodPost, "/api/v1/teams", `{"name":"y"}`, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"), http.StatusForbidden, api.CodeForbidden)
	for _, bad := range []string{"*", "ui.example.com", "https://ui.example.com/"} {
		if _, err := rest.New(rest.Options{Now: time.Now, Engine: s.engine, CORSOrigins: []string{bad}}); err == nil {
			t.Errorf("origin %q was taken", bad)
		}
	}
}

func TestRates(t *testing.T) {
	limit := rest.RateLimit{RPS: 0.001, Burst: 3, PerUserRPS: 0.001, PerUserBurst: 30}
	s := newSetup(t, func(o *rest.Options) { o.RateLimit = limit })
	over := func(n int, key, path string) answer {
		t.Helper()
		var a answer
		for i := range n + 1 {
			a = s.send(key, http.MethodGet, path, "")
			if limited := a.StatusCode == http.StatusTooManyRequests; limited != (i == n) {
				t.Fatalf("request %d of %s: %d", i+1, path, a.StatusCode)
			}
		}
		return a
	}
	a := over(3, "", "/health")
	s.wants(a, http.StatusTooManyRequests, api.CodeRateLimited)
	if a.Header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	over(30, s.keys[certctl.RoleViewer], "/api/v1/auth/check")
	over(20, "cck_unknown", "/api/v1/auth/check")
	if a := s.send("", http.MethodGet, "/api/v1/auth/check", ""); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("no key after many wrong ones: %d", a.StatusCode)
	}
	if a := s.send(s.keys[certctl.RoleViewer], http.MethodGet, "/api/v1/auth/check", ""); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the viewer's own limit is over: %d", a.StatusCode)
	}
}

func TestAGoodKeyOutlivesFailuresOfItsAddress(t *testing.T) {
	s := newSetup(t, func(o *rest.Options) { o.RateLimit = rest.RateLimit{} })
	viewer := s.keys[certctl.RoleViewer]
	s.send(viewer, http.MethodGet, "/api/v1/auth/check", "")
	last := 0
	for range 30 {
		last = s.send("cck_unknown", http.MethodGet, "/api/v1/auth/check", "").StatusCode
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("after 30 failures: %d, want 429", last)
	}
	if a := s.send(viewer, http.MethodGet, "/api/v1/auth/check", ""); a.StatusCode != http.StatusOK {
		t.Errorf("a key that was good before: %d, want 200", a.StatusCode)
	}
}

func TestPollEndsWhenTheServerStops(t *testing.T) {
	done := make(chan struct{})
	s := newSetup(t, func(o *rest.Options) { o.Done = done })
	id, credential := s.agent("alpha")
	answered := make(chan error, 1)
	go func() {
		w, err := s.client(credential).ClaimWork(t.Context(), id, api.WorkRequest{WaitSeconds: 60})
		if err == nil && len(w.Work) != 0 {
			err = errors.New("work out of nothing")
		}
		answered <- err
	}()
	close(done)
	select {
	case err := <-answered:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the poll goes on")
	}
}

func TestRetiringAnAgentWithWorkTakesForce(t *testing.T) {
	s := newSetup(t)
	c, ctx := s.admin(), t.Context()
	id, _ := s.agent("alpha")
	if _, err := c.CreateTarget(ctx, api.TargetCreate{Name: "site", Type: "paper", AgentID: id, Config: []byte(`{"path":"/a"}`)}); err != nil {
		t.Fatal(err)
	}
	err := c.RetireAgent(ctx, id, api.RetireOptions{})
	if p, ok := errors.AsType[*client.Problem](err); !ok || !errors.Is(err, client.ErrConflict) || !strings.Contains(p.Detail, "1 active targets") {
		t.Errorf("without force: %v", err)
	}
	if err := c.RetireAgent(ctx, id, api.RetireOptions{Force: true, Reason: "scrapped"}); err != nil {
		t.Fatal(err)
	}
	retired, err := c.ListRetiredAgents(ctx, api.AgentQuery{})
	if err != nil || len(retired.Data) != 1 || retired.Data[0].RetiredReason != "scrapped" {
		t.Errorf("retired: %+v, %v", retired, err)
	}
	if active, err := c.ListAgents(ctx, api.AgentQuery{}); err != nil || len(active.Data) != 0 {
		t.Errorf("active: %+v, %v", active, err)
	}
}
