package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// answerTo is what a client sees, and the log holds, when a use case fails.
func answerTo(t *testing.T, handle func() error) (*httptest.ResponseRecorder, api.Problem, string) {
	t.Helper()
	var log bytes.Buffer
	s, err := newService(Options{Now: time.Now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	s.api = humago.New(mux, s.config())
	s.api.UseMiddleware(s.guard, s.body, s.idempotent, s.conditional)
	add(s, operation{id: "probe", method: http.MethodGet, path: "/probe", tag: "system", summary: "x", access: public},
		func(context.Context, *nothing) (*plain[api.Health], error) { return nil, handle() })
	w := httptest.NewRecorder()
	s.edge(s.headers(route(mux))).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/probe", nil))
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("no problem: %v: %s", err, w.Body)
	}
	return w, p, log.String()
}

func TestErrorsBecomeProblems(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		code   string
	}{
		{certctl.Errorf(certctl.ErrNotFound, "no certificate mc-1"), 404, api.CodeNotFound},
		{certctl.Errorf(certctl.ErrConflict, "taken"), 409, api.CodeConflict},
		{certctl.Errorf(certctl.ErrStale, "moved on"), 409, api.CodeStale},
		{certctl.Errorf(certctl.ErrFenced, "lost"), 409, api.CodeFenced},
		{&certctl.TransitionError{Entity: "job", ID: "job-1", From: "Completed", To: "Running"}, 409, api.CodeTransition},
		{certctl.Errorf(certctl.ErrPrecondition, "changed"), 412, api.CodePrecondition},
		{certctl.Invalid("request", certctl.Problem{Field: "sans[0]", Message: "is wrong"}), 422, api.CodeInvalid},
		{certctl.Errorf(certctl.ErrUnsupported, "cannot"), 422, api.CodeUnsupported},
		{certctl.Errorf(certctl.ErrForbidden, "no"), 403, api.CodeForbidden},
		{certctl.Errorf(certctl.ErrUnauthenticated, "who"), 401, api.CodeUnauthenticated},
		{certctl.Errorf(certctl.ErrGone, "retired"), 410, api.CodeGone},
	} {
		res, p, _ := answerTo(t, func() error { return fmt.Errorf("wrapped: %w", tt.err) })
		if res.Code != tt.status || p.Status != tt.status || p.Code != tt.code || !strings.Contains(p.Detail, tt.err.Error()) || p.Instance != "/probe" {
			t.Errorf("%v: %d %+v, want %d %s", tt.err, res.Code, p, tt.status, tt.code)
		}
		if tt.status == 422 && tt.code == api.CodeInvalid && (len(p.Errors) != 1 || p.Errors[0].Field != "sans[0]") {
			t.Errorf("fields are %+v", p.Errors)
		}
		if tt.status == 401 && res.Header().Get("WWW-Authenticate") == "" {
			t.Error("401 without WWW-Authenticate")
		}
	}
}

func TestWhatIsUnknownStaysInTheLog(t *testing.T) {
	const secret = "postgres://certctl:canary@db"
	for name, tt := range map[string]struct {
		handle func() error
		status int
	}{
		"an unknown error": {func() error { return errors.New(secret) }, 500},
		"a panic":          {func() error { panic(secret) }, 500},
		"no database":      {func() error { return certctl.Errorf(certctl.ErrUnavailable, "cannot reach %s", secret) }, 503},
		"no time left":     {func() error { return fmt.Errorf("%s: %w", secret, context.DeadlineExceeded) }, 503},
	} {
		res, p, log := answerTo(t, tt.handle)
		if res.Code != tt.status || p.RequestID == "" || len(p.Errors) != 0 {
			t.Errorf("%s: %d %+v", name, res.Code, p)
		}
		if text := fmt.Sprint(p, res.Header()); strings.Contains(text, "canary") {
			t.Errorf("%s: the answer tells %s", name, text)
		}
		if !strings.Contains(log, "canary") || !strings.Contains(log, p.RequestID) {
			t.Errorf("%s: the log does not have the cause under the request ID: %s", name, log)
		}
		if tt.status == 503 && res.Header().Get("Retry-After") == "" {
			t.Errorf("%s: 503 without Retry-After", name)
		}
	}
}
