package rest

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/certctl/certctl/certctl/api"
)

// edge gives each request an ID of the server's making, catches panics, and
// writes the access log: who did what with which outcome, never a query, a
// header or a body.
func (s *service) edge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := s.now()
		e := &exchange{
			id: "req-" + strings.ToLower(rand.Text()[:20]), path: clip(r.URL.Path, 512), query: r.URL.RawQuery, address: peer(r),
		}
		r = r.WithContext(withExchange(r.Context(), e))
		w.Header().Set("X-Request-ID", e.id)
		seen := &watched{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a recovered value, compared as net/http does
				e.cause = fmt.Errorf("panic: %v", p)
				s.log.ErrorContext(r.Context(), "a request handler panicked", "request_id", e.id, "operation", e.operation, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				if seen.status == 0 {
					write(seen, r, problem(http.StatusInternalServerError, api.CodeInternal, unknownError))
				}
			}
			s.record(r, e, seen, s.now().Sub(begun).Milliseconds())
		}()
		next.ServeHTTP(seen, r)
	})
}

func (s *service) record(r *http.Request, e *exchange, seen *watched, millis int64) {
	level := slog.LevelInfo
	switch {
	case r.Context().Err() != nil: // the client has gone: what it was answered says nothing about us
	case seen.status >= 500:
		level = slog.LevelError
	case e.path == "/health" || e.path == "/ready":
		level = slog.LevelDebug
	}
	attributes := []slog.Attr{
		slog.String("request_id", e.id), slog.String("method", clip(r.Method, 32)), slog.String("path", e.path),
		slog.String("operation", e.operation), slog.Int("status", seen.status), slog.Int64("bytes", seen.bytes),
		slog.Int64("duration_ms", millis), slog.String("remote", e.address.String()),
	}
	if e.actor.ID != "" {
		attributes = append(attributes, slog.String("actor", e.actor.ID), slog.String("role", string(e.actor.Role)))
	}
	if e.cause != nil {
		attributes = append(attributes, slog.String("error", e.cause.Error()))
	}
	s.log.LogAttrs(r.Context(), level, "request", attributes...)
}

// watched remembers what was answered.
type watched struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *watched) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap serves http.ResponseController.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }
