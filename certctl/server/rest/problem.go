package rest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
)

// failure is an error answer with its headers. huma writes it.
type failure struct {
	problem api.Problem
	header  http.Header
}

func (f *failure) Error() string             { return f.problem.Detail }
func (f *failure) GetStatus() int            { return f.problem.Status }
func (f *failure) GetHeaders() http.Header   { return f.header }
func (f *failure) ContentType(string) string { return "application/problem+json" }

// titles of problems by their codes.
var titles = map[string]string{
	api.CodeMalformed: "Malformed request", api.CodeUnauthenticated: "Not authenticated", api.CodeForbidden: "Not allowed",
	api.CodeNotFound: "Not found", api.CodeMethodNotAllowed: "Method not allowed", api.CodeNotAcceptable: "Not acceptable",
	api.CodeTimeout: "Request came too slowly", api.CodeConflict: "Conflict", api.CodeStale: "Changed by somebody else",
	api.CodeFenced: "Lease lost", api.CodeTransition: "Not possible in this state", api.CodeInFlight: "Request in progress",
	api.CodeGone: "Gone", api.CodePrecondition: "Precondition failed", api.CodeTooLarge: "Body too large",
	api.CodeMediaType: "Unsupported media type", api.CodeInvalid: "Invalid request", api.CodeKeyReused: "Idempotency key reused",
	api.CodeUnsupported: "Not supported", api.CodeRateLimited: "Too many requests", api.CodeInternal: "Internal error",
	api.CodeUnavailable: "Unavailable",
}

func problem(status int, code, detail string, fields ...api.FieldProblem) *failure {
	return &failure{problem: api.Problem{
		Type: api.ProblemBase + code, Title: titles[code], Status: status, Code: code, Detail: detail, Errors: fields,
	}}
}

func (f *failure) with(name, value string) *failure {
	if f.header == nil {
		f.header = http.Header{}
	}
	f.header.Set(name, value)
	return f
}

const unknownError = "something went wrong that is not the request's fault; tell an operator the request ID"

// translate is the one place where errors become problems. What it does not
// know is shown to nobody: it goes into the log under the request ID.
func translate(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if bad, ok := errors.AsType[*certctl.InvalidError](err); ok {
		fields := make([]api.FieldProblem, len(bad.Problems))
		for i, p := range bad.Problems {
			fields[i] = api.FieldProblem{Field: p.Field, Message: p.Message}
		}
		return problem(http.StatusUnprocessableEntity, api.CodeInvalid, bad.Error(), fields...)
	}
	for _, k := range kinds {
		if errors.Is(err, k.sentinel) {
			f := problem(k.status, k.code, err.Error())
			switch k.status {
			case http.StatusUnauthorized:
				f = f.with("WWW-Authenticate", challenge+`, error="invalid_token"`)
			case http.StatusServiceUnavailable:
				f.problem.Detail = unavailable
				f = f.with("Retry-After", "5")
			}
			return f
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return problem(http.StatusServiceUnavailable, api.CodeUnavailable, "the request could not be finished in time; try again").with("Retry-After", "5")
	}
	return problem(http.StatusInternalServerError, api.CodeInternal, unknownError)
}

// unavailable hides which database or CA it is, and at which address.
const unavailable = "the database, or a certificate authority, cannot be reached now; try again, and tell an operator the request ID if it lasts"

var kinds = []struct {
	sentinel error
	status   int
	code     string
}{
	{certctl.ErrNotFound, http.StatusNotFound, api.CodeNotFound},
	{certctl.ErrPrecondition, http.StatusPreconditionFailed, api.CodePrecondition},
	{certctl.ErrFenced, http.StatusConflict, api.CodeFenced},
	{certctl.ErrStale, http.StatusConflict, api.CodeStale},
	{certctl.ErrIllegalTransition, http.StatusConflict, api.CodeTransition},
	{certctl.ErrConflict, http.StatusConflict, api.CodeConflict},
	{certctl.ErrInvalid, http.StatusUnprocessableEntity, api.CodeInvalid},
	{certctl.ErrUnsupported, http.StatusUnprocessableEntity, api.CodeUnsupported},
	{certctl.ErrUnauthenticated, http.StatusUnauthorized, api.CodeUnauthenticated},
	{certctl.ErrForbidden, http.StatusForbidden, api.CodeForbidden},
	{certctl.ErrGone, http.StatusGone, api.CodeGone},
	{certctl.ErrUnavailable, http.StatusServiceUnavailable, api.CodeUnavailable},
}

// invalid is a problem with one field or parameter.
func invalid(field, message string) *failure {
	return problem(http.StatusUnprocessableEntity, api.CodeInvalid, field+": "+message, api.FieldProblem{Field: field, Message: message})
}

// complete is the problem as this request gets it.
func (f *failure) complete(ctx context.Context) *api.Problem {
	p := f.problem
	e := exchangeOf(ctx)
	p.RequestID, p.Instance = e.id, e.path
	return &p
}

// write answers a request outside of huma.
func write(w http.ResponseWriter, r *http.Request, f *failure) {
	body, err := json.Marshal(f.complete(r.Context()))
	if err != nil { // strings and numbers: it cannot
		body = []byte("{}")
	}
	h := w.Header()
	for name, values := range f.header {
		h[name] = values
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(f.problem.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a reader that is gone
	}
}
