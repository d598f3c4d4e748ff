package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"gopkg.in/yaml.v3"
)

// TestEveryOperationHasAMethod compares the client with the OpenAPI document.
func TestEveryOperationHasAMethod(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "api", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `yaml:"operationId"`
		}
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	n := 0
	for path, methods := range doc.Paths {
		for method, o := range methods {
			n++
			name := strings.ToUpper(o.OperationID[:1]) + o.OperationID[1:]
			m, ok := reflect.TypeFor[*client.Client]().MethodByName(name)
			if !ok {
				t.Errorf("%s %s: the client has no method %s", method, path, name)
				continue
			}
			if m.Type.NumIn() < 2 || m.Type.In(1).String() != "context.Context" {
				t.Errorf("%s does not take a context first", name)
			}
		}
	}
	if n < 70 {
		t.Errorf("the document has %d operations; the test sees too little", n)
	}
}

// script answers one request after the other.
type script struct {
	mu      sync.Mutex
	answers []func(http.ResponseWriter, *http.Request)
	seen    []*http.Request
	bodies  []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	s.seen, s.bodies = append(s.seen, r), append(s.bodies, string(body))
	f := s.answers[min(len(s.seen), len(s.answers))-1]
	s.mu.Unlock()
	f(w, r)
}

func (s *script) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func (s *script) body(i int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies[i]
}

func serve(t *testing.T, answers ...func(http.ResponseWriter, *http.Request)) (*script, string) {
	t.Helper()
	s := &script{answers: answers}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func fails(status int, code string, headers ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(api.Problem{Title: "T", Status: status, Code: code, Detail: "the detail", RequestID: "req-1", Errors: []api.FieldProblem{{Field: "sans[0]", Message: "is wrong"}}})
	}
}

func hangsUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func succeeds(body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

func newClient(t *testing.T, url string, options ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New(url, append([]client.Option{client.WithAPIKey("cck_canary")}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestProblemsMatchTheirSentinels(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   string
		want   []error
	}{
		{400, api.CodeMalformed, []error{client.ErrInvalid}},
		{401, api.CodeUnauthenticated, []error{client.ErrUnauthenticated}},
		{403, api.CodeForbidden, []error{client.ErrForbidden}},
		{404, api.CodeNotFound, []error{client.ErrNotFound}},
		{409, api.CodeConflict, []error{client.ErrConflict}},
		{409, api.CodeFenced, []error{client.ErrConflict, client.ErrFenced}},
		{409, api.CodeStale, []error{client.ErrConflict, client.ErrStale}},
		{409, api.CodeTransition, []error{client.ErrConflict, client.ErrIllegalTransition}},
		{410, api.CodeGone, []error{client.ErrGone}},
		{412, api.CodePrecondition, []error{client.ErrPrecondition}},
		{413, api.CodeTooLarge, []error{client.ErrInvalid}},
		{422, api.CodeInvalid, []error{client.ErrInvalid}},
		{429, api.CodeRateLimited, []error{client.ErrRateLimited}},
		{503, api.CodeUnavailable, []error{client.ErrUnavailable}},
		{500, api.CodeInternal, nil},
	} {
		_, url := serve(t, fails(tt.status, tt.code, "Retry-After: 7"))
		_, err := newClient(t, url, client.WithRetries(0)).GetCertificate(t.Context(), "mc-1")
		p, ok := errors.AsType[*client.Problem](err)
		if !ok || p.Status != tt.status || p.Code != tt.code || p.RequestID != "req-1" || len(p.Errors) != 1 || p.RetryAfter != 7*time.Second {
			t.Errorf("%d: %+v", tt.status, err)
			continue
		}
		if want := "the detail: sans[0]: is wrong (request req-1)"; err.Error() != want {
			t.Errorf("text is %q, want %q", err, want)
		}
		for _, sentinel := range []error{
			client.ErrInvalid, client.ErrUnauthenticated, client.ErrForbidden, client.ErrNotFound, client.ErrConflict, client.ErrStale, client.ErrFenced,
			client.ErrIllegalTransition, client.ErrGone, client.ErrPrecondition, client.ErrRateLimited, client.ErrUnavailable,
		} {
			want := slices.Contains(tt.want, sentinel)
			if errors.Is(err, sentinel) != want {
				t.Errorf("%d %s matches %v: %v", tt.status, tt.code, sentinel, !want)
			}
		}
	}
}

func TestSafeRequestsAreRepeated(t *testing.T) {
	busy := fails(503, api.CodeUnavailable)
	ok := succeeds(`{"id":"mc-1","job_id":"job-1"}`)
	t.Run("a read", func(t *testing.T) {
		s, url := serve(t, busy, hangsUp, fails(429, api.CodeRateLimited), ok)
		if _, err := newClient(t, url).GetCertificate(t.Context(), "mc-1"); err != nil || len(s.requests()) != 4 {
			t.Errorf("%d attempts: %v", len(s.requests()), err)
		}
	})
	t.Run("a keyed write, with one key and body", func(t *testing.T) {
		s, url := serve(t, hangsUp, fails(409, api.CodeInFlight), busy, ok)
		got, err := newClient(t, url).CreateCertificate(t.Context(), api.CertificateRequest{Name: "x"})
		if err != nil || got.JobID != "job-1" || len(s.requests()) != 4 {
			t.Fatalf("%d attempts: %v", len(s.requests()), err)
		}
		for i, r := range s.requests() {
			if k := r.Header.Get("Idempotency-Key"); len(k) < 20 || k != s.requests()[0].Header.Get("Idempotency-Key") || s.body(i) != `{"name":"x"}` {
				t.Errorf("attempt %d: key %q, body %s", i+1, k, s.body(i))
			}
		}
	})
	t.Run("no end of it", func(t *testing.T) {
		s, url := serve(t, busy)
		if _, err := newClient(t, url, client.WithRetries(2)).GetCertificate(t.Context(), "mc-1"); !errors.Is(err, client.ErrUnavailable) || len(s.requests()) != 3 {
			t.Errorf("%d attempts: %v", len(s.requests()), err)
		}
	})
}

func TestUnsafeRequestsAreNotRepeated(t *testing.T) {
	name := "x"
	for what, call := range map[string]func(*client.Client) error{
		"a secret's creation": func(c *client.Client) error {
			_, err := c.CreateAPIKey(t.Context(), api.APIKeyCreate{Name: "x", Role: "viewer"})
			return err
		},
		"an agent's report": func(c *client.Client) error { return c.Report(t.Context(), "ag-1", "job-1", api.Report{}) },
		"a change of one revision": func(c *client.Client) error {
			_, err := c.UpdateTeam(t.Context(), "t-1", api.TeamUpdate{Name: &name}, client.IfMatch(3))
			return err
		},
		"a patch": func(c *client.Client) error {
			_, err := c.PatchCertificate(t.Context(), "mc-1", api.CertificateUpdate{})
			return err
		},
	} {
		s, url := serve(t, hangsUp)
		if err := call(newClient(t, url)); !errors.Is(err, client.ErrUnavailable) || len(s.requests()) != 1 {
			t.Errorf("%s: %d attempts, %v", what, len(s.requests()), err)
		}
	}
	s, url := serve(t, fails(422, api.CodeInvalid))
	if _, err := newClient(t, url).GetCertificate(t.Context(), "mc-1"); err == nil || len(s.requests()) != 1 {
		t.Errorf("what was refused: %d attempts, %v", len(s.requests()), err)
	}
	if got := s.requests()[0].Header.Get("Authorization"); got != "Bearer cck_canary" {
		t.Errorf("Authorization is %q", got)
	}
}

func TestALongRetryAfterIsTheCallersMatter(t *testing.T) {
	s, url := serve(t, fails(429, api.CodeRateLimited, "Retry-After: 3600"))
	_, err := newClient(t, url).GetCertificate(t.Context(), "mc-1")
	if p, ok := errors.AsType[*client.Problem](err); !ok || p.RetryAfter != time.Hour || len(s.requests()) != 1 {
		t.Errorf("%d attempts: %v", len(s.requests()), err)
	}
}

func TestAnswersAreBoundedAndJudged(t *testing.T) {
	large := func(w http.ResponseWriter, _ *http.Request) {
		chunk := strings.Repeat(" ", 1<<20)
		for range 17 {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	}
	redirect := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
	}
	proxy := func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<html>Bad gateway", http.StatusBadGateway)
	}
	for want, f := range map[string]func(http.ResponseWriter, *http.Request){
		"larger than 16 MiB": large, "elsewhere.example": redirect, "proxy": proxy, "version of the client": succeeds("<html>"),
	} {
		_, url := serve(t, f)
		_, err := newClient(t, url, client.WithRetries(0)).GetCertificate(t.Context(), "mc-1")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("got %v, want …%s…", err, want)
		}
	}
}

func TestIDsAreEscaped(t *testing.T) {
	s, url := serve(t, succeeds(`{}`))
	c := newClient(t, url)
	if _, err := c.GetCertificate(t.Context(), "../api-keys?x=1"); err != nil {
		t.Error(err)
	}
	if got := s.requests()[0].RequestURI; got != "/api/v1/certificates/..%2Fapi-keys%3Fx=1" {
		t.Errorf("asked for %s", got)
	}
	for _, id := range []string{"", ".", ".."} {
		if _, err := c.GetCertificate(t.Context(), id); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("ID %q: %v", id, err)
		}
	}
	if len(s.requests()) != 1 {
		t.Errorf("%d requests were made", len(s.requests()))
	}
}

func TestPagesAreFollowed(t *testing.T) {
	s, url := serve(t,
		succeeds(`{"data":[{"id":"a"},{"id":"b"}],"next_cursor":"2","page_size":2}`),
		succeeds(`{"data":[{"id":"c"}],"page_size":2}`))
	var got []string
	for cert, err := range newClient(t, url).Certificates(t.Context(), api.CertificateQuery{Status: []string{"Active", "Expiring"}, ListOptions: api.ListOptions{Page: 1, PerPage: 2}}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, cert.ID)
	}
	if strings.Join(got, "") != "abc" {
		t.Errorf("got %v", got)
	}
	if q := s.requests()[1].URL.Query(); q.Get("cursor") != "2" || q.Get("page") != "" || q.Get("page_size") != "2" || q.Get("status") != "Active,Expiring" {
		t.Errorf("the second page was asked for with %v", q)
	}
	_, url = serve(t, succeeds(`{"data":[],"next_cursor":"1"}`))
	n := 0
	var last error
	for _, err := range newClient(t, url).Jobs(t.Context(), api.JobQuery{}) {
		n, last = n+1, err
	}
	if n != 1 || last == nil {
		t.Errorf("a list that turns in a circle: %d items, %v", n, last)
	}
}

func TestTLSIsJudgedByTheGivenRoots(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(succeeds(`{"version":"1"}`)))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that fails on purpose
	server.StartTLS()
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := newClient(t, server.URL, client.WithCAFile(file)).GetVersion(t.Context()); err != nil || v.Version != "1" {
		t.Errorf("with its CA: %+v, %v", v, err)
	}
	_, err := newClient(t, server.URL, client.WithRootCAs(x509.NewCertPool())).GetVersion(t.Context())
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok || !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("without it: %v", err)
	}
}

func TestBadSettingsAreRefused(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.pem")
	for what, try := range map[string]func() (*client.Client, error){
		"no URL":         func() (*client.Client, error) { return client.New("localhost:8443") },
		"another scheme": func() (*client.Client, error) { return client.New("ftp://localhost") },
		"a password":     func() (*client.Client, error) { return client.New("https://a:b@localhost") },
		"a key in clear": func() (*client.Client, error) { return client.New("http://192.0.2.1", client.WithAPIKey("cck_canary")) },
		"a key with line end": func() (*client.Client, error) {
			return client.New("https://localhost", client.WithAPIKey("cck_canary\n"))
		},
		"no CA file": func() (*client.Client, error) { return client.New("https://localhost", client.WithCAFile(missing)) },
		"two ways to trust": func() (*client.Client, error) {
			return client.New("https://localhost", client.WithHTTPClient(&http.Client{}), client.WithRootCAs(x509.NewCertPool()))
		},
	} {
		if _, err := try(); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", what, err)
		}
	}
	c := newClient(t, "https://localhost")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, c); strings.Contains(text, "canary") {
			t.Errorf("%s prints the key: %s", format, text)
		}
	}
}

func TestTheContextEndsACall(t *testing.T) {
	release := make(chan struct{})
	_, url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := newClient(t, url).GetCertificate(ctx, "mc-1")
	if !errors.Is(err, ctx.Err()) || errors.Is(err, client.ErrUnavailable) {
		t.Errorf("got %v, want the context's error", err)
	}
}
