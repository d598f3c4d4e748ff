package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl/api"
)

// Sentinels that a *Problem matches under errors.Is. ErrUnavailable is matched
// also when no answer came at all.
var (
	ErrInvalid           = errors.New("invalid request")   // 400, 413, 415, 422: Problem.Errors says what
	ErrUnauthenticated   = errors.New("not authenticated") // 401
	ErrForbidden         = errors.New("not allowed")       // 403
	ErrNotFound          = errors.New("not found")         // 404
	ErrConflict          = errors.New("conflict")          // any 409
	ErrStale             = errors.New("changed meanwhile") // 409 of that code: read again and repeat
	ErrFenced            = errors.New("lease lost")        // 409 of that code: the job is somebody else's
	ErrIllegalTransition = errors.New("not possible in this state")
	ErrGone              = errors.New("gone")                   // 410
	ErrPrecondition      = errors.New("precondition failed")    // 412: If-Match did not match
	ErrRateLimited       = errors.New("too many requests")      // 429
	ErrUnavailable       = errors.New("server unavailable now") // 502, 503, 504, or no answer
)

// Problem is an error answer of the server (RFC 9457).
type Problem struct {
	Type       string
	Title      string
	Status     int    // HTTP status code
	Detail     string // what happened, why, and what to do
	Instance   string
	Code       string // stable, one of api.Code…
	RequestID  string // finds the request in the server's logs
	Errors     []api.FieldProblem
	RetryAfter time.Duration // how long the server asked to wait; 0 when it did not
}

// Error tells the detail, every field that is wrong, and the request ID.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Detail)
	if p.Detail == "" {
		fmt.Fprintf(&b, "%s (HTTP status %d)", p.Title, p.Status)
	}
	for i, e := range p.Errors {
		if strings.Contains(p.Detail, e.Message) {
			continue
		}
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		b.WriteString(sep)
		if e.Field != "" {
			b.WriteString(e.Field + ": ")
		}
		b.WriteString(e.Message)
	}
	if p.RequestID != "" {
		b.WriteString(" (request " + p.RequestID + ")")
	}
	return b.String()
}

// Is matches the sentinels of this package.
func (p *Problem) Is(target error) bool {
	switch target {
	case ErrStale:
		return p.Code == api.CodeStale
	case ErrFenced:
		return p.Code == api.CodeFenced
	case ErrIllegalTransition:
		return p.Code == api.CodeTransition
	}
	switch p.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return target == ErrInvalid
	case http.StatusUnauthorized:
		return target == ErrUnauthenticated
	case http.StatusForbidden:
		return target == ErrForbidden
	case http.StatusNotFound:
		return target == ErrNotFound
	case http.StatusConflict:
		return target == ErrConflict
	case http.StatusGone:
		return target == ErrGone
	case http.StatusPreconditionFailed:
		return target == ErrPrecondition
	case http.StatusTooManyRequests:
		return target == ErrRateLimited
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return target == ErrUnavailable
	}
	return false
}

// readProblem makes a Problem of an answer that is none of success.
func readProblem(r *http.Response, body []byte) *Problem {
	p := &Problem{Status: r.StatusCode, Title: http.StatusText(r.StatusCode), RetryAfter: retryAfter(r)}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var wire api.Problem
	if kind == "application/problem+json" && json.Unmarshal(body, &wire) == nil {
		p.Type, p.Detail, p.Instance, p.Code, p.RequestID, p.Errors = wire.Type, wire.Detail, wire.Instance, wire.Code, wire.RequestID, wire.Errors
		if wire.Title != "" {
			p.Title = wire.Title
		}
		return p
	}
	p.RequestID = r.Header.Get("X-Request-ID")
	switch {
	case r.StatusCode >= 300 && r.StatusCode < 400:
		p.Detail = fmt.Sprintf("the server redirects to %.200q; use that address", r.Header.Get("Location"))
	case r.StatusCode == http.StatusServiceUnavailable:
		p.Code, p.Detail = api.CodeUnavailable, "the server is not ready"
	default:
		p.Detail = fmt.Sprintf("the answer was %s, and is none of certctl's; is there a proxy in between, or another server at this address?", r.Status)
	}
	return p
}

// retryAfter reads the header's two forms; the date is compared with the
// server's own.
func retryAfter(r *http.Response) time.Duration {
	v := r.Header.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil {
		return time.Duration(min(max(n, 0), 86400)) * time.Second
	}
	at, err := http.ParseTime(v)
	now, err2 := http.ParseTime(r.Header.Get("Date"))
	if err != nil || err2 != nil {
		return 0
	}
	return max(0, at.Sub(now))
}

// unreachable is a request that got no answer.
type unreachable struct {
	server string
	err    error
}

func (e *unreachable) Error() string {
	return fmt.Sprintf("no answer from %s: %v", e.server, e.err)
}

func (e *unreachable) Unwrap() error { return e.err }

func (e *unreachable) Is(target error) bool { return target == ErrUnavailable }
