package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/certctl/server/rest"
	"github.com/certctl/certctl/issuer/local"
	"github.com/certctl/certctl/store/storetest"
	"github.com/certctl/certctl/target"
)

// setup is the API over a real engine, a real database and a real CA.
type setup struct {
	t      testing.TB
	engine *engine.Engine
	url    string
	log    *lockedBuffer
	keys   map[certctl.Role]string
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// paper is a target kind that only has paths and a secret: the API itself
// never deploys.
type paper struct {
	Path  string        `json:"path" required:"true"`
	Token secret.String `json:"token"`
}

func (paper) Stage(context.Context, *target.Bundle) (target.Staged, error) {
	return nil, errors.New("a paper target deploys nothing")
}

func (paper) Resume(context.Context, json.RawMessage) (target.Staged, error) {
	return nil, errors.New("a paper target deploys nothing")
}

func (p paper) Paths() []string { return []string{p.Path} }

func newSetup(t testing.TB, change ...func(*rest.Options)) *setup {
	t.Helper()
	st := storetest.Open(t)
	issuers, err := connector.NewRegistry(local.Kind())
	if err != nil {
		t.Fatal(err)
	}
	targets, err := connector.NewRegistry(connector.Define("paper", "Paper", func() paper { return paper{} },
		func(_ context.Context, p paper, _ connector.Env) (target.Target, error) { return p, nil }))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := secret.NewSealer(secret.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Options{
		Store: st, Revocations: st, Issuers: issuers, Targets: targets, Sealer: sealer, Now: time.Now,
		PKIURL: "http://pki.test", Timing: engine.Timing{JobPoll: 20 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.EnsureDefaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.CreateIssuer(t.Context(), engine.ConnectorInput{ID: "iss-local", Name: "Local", Type: "local"}); err != nil {
		t.Fatal(err)
	}
	s := &setup{t: t, engine: e, log: &lockedBuffer{}, keys: map[certctl.Role]string{}}
	for _, role := range []certctl.Role{certctl.RoleAdmin, certctl.RoleOperator, certctl.RoleViewer} {
		key, _, err := e.CreateAPIKey(t.Context(), engine.APIKeyInput{Name: "the " + string(role), Role: role})
		if err != nil {
			t.Fatal(err)
		}
		s.keys[role] = key
	}
	o := rest.Options{
		Engine: e, Now: time.Now, Logger: slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		RateLimit: rest.RateLimit{Disabled: true}, Version: api.Version{Version: "1.2.3"},
	}
	for _, c := range change {
		c(&o)
	}
	h, err := rest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// run works on jobs until the test ends.
func (s *setup) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.engine.Run(ctx) }()
	s.t.Cleanup(func() { cancel(); <-done })
}

func (s *setup) client(key string, options ...client.Option) *client.Client {
	s.t.Helper()
	c, err := client.New(s.url, append([]client.Option{client.WithAPIKey(key), client.WithRetries(0)}, options...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *setup) admin() *client.Client { return s.client(s.keys[certctl.RoleAdmin]) }

// agent joins an agent and returns its ID and credential.
func (s *setup) agent(name string) (id, credential string) {
	s.t.Helper()
	token, err := s.admin().CreateJoinToken(s.t.Context(), api.JoinTokenRequest{AgentName: name})
	if err != nil {
		s.t.Fatal(err)
	}
	joined, err := s.client("").Join(s.t.Context(), token.Token, api.JoinRequest{Hostname: name})
	if err != nil {
		s.t.Fatal(err)
	}
	return joined.AgentID, joined.Credential
}

// answer is what the server said.
type answer struct {
	*http.Response
	body string
}

func (a answer) problem(t testing.TB) api.Problem {
	t.Helper()
	if kind := a.Header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("the answer %d is %s, want a problem: %.300s", a.StatusCode, kind, a.body)
	}
	var p api.Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Errorf("no problem: %v: %.300s", err, a.body)
	}
	if p.Status != a.StatusCode || p.Type != api.ProblemBase+p.Code || p.Title == "" || p.RequestID == "" || p.RequestID != a.Header.Get("X-Request-ID") {
		t.Errorf("the problem is not complete: %+v (status %d, request %s)", p, a.StatusCode, a.Header.Get("X-Request-ID"))
	}
	return p
}

// send makes a request with headers given as "Name: value".
func (s *setup) send(key, method, path, body string, headers ...string) answer {
	s.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, reader)
	if err != nil {
		s.t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{res, string(text)}
}

func (s *setup) wants(a answer, status int, code string) api.Problem {
	s.t.Helper()
	p := a.problem(s.t)
	if p.Status != status || p.Code != code {
		s.t.Errorf("%s %s: got %d %s (%s), want %d %s", a.Request.Method, a.Request.URL.Path, p.Status, p.Code, p.Detail, status, code)
	}
	return p
}
