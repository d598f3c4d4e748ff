package api

// ProblemBase prefixes every problem's type URI; the code follows.
const ProblemBase = "urn:certctl:problem:"

// Codes of problems: stable, one for each thing that a program may want to
// tell apart.
const (
	CodeMalformed        = "malformed"           // 400: not JSON, or no request that can be read
	CodeUnauthenticated  = "unauthenticated"     // 401
	CodeForbidden        = "forbidden"           // 403: the key's role does not allow it
	CodeNotFound         = "not_found"           // 404
	CodeMethodNotAllowed = "method_not_allowed"  // 405
	CodeNotAcceptable    = "not_acceptable"      // 406
	CodeTimeout          = "request_timeout"     // 408: the body came too slowly
	CodeConflict         = "conflict"            // 409
	CodeStale            = "stale"               // 409: changed by somebody else meanwhile; read and repeat
	CodeFenced           = "fenced"              // 409: the lease is somebody else's now
	CodeTransition       = "illegal_transition"  // 409: not possible in this state
	CodeInFlight         = "request_in_progress" // 409: the same Idempotency-Key is being worked on
	CodeGone             = "gone"                // 410: retired
	CodePrecondition     = "precondition_failed" // 412: If-Match is not the current revision
	CodeTooLarge         = "body_too_large"      // 413
	CodeMediaType        = "unsupported_media_type"
	CodeInvalid          = "invalid" // 422: see Errors
	CodeKeyReused        = "idempotency_key_reused"
	CodeUnsupported      = "unsupported"  // 422: this connector cannot do that
	CodeRateLimited      = "rate_limited" // 429: see Retry-After
	CodeInternal         = "internal"     // 500: tell an operator the request ID
	CodeUnavailable      = "unavailable"  // 503: see Retry-After
)

// Problem is an error answer (RFC 9457).
type Problem struct {
	Type      string         `json:"type" format:"uri" doc:"Names the kind of problem; stable" example:"urn:certctl:problem:not_found"`
	Title     string         `json:"title" doc:"The kind of problem in words"`
	Status    int            `json:"status" doc:"HTTP status code"`
	Detail    string         `json:"detail,omitempty" doc:"What happened, why, and what to do"`
	Instance  string         `json:"instance,omitempty" doc:"The path that was asked for"`
	Code      string         `json:"code" doc:"The last part of type, for programs"`
	RequestID string         `json:"request_id,omitempty" doc:"Finds this request in the server's logs"`
	Errors    []FieldProblem `json:"errors,omitempty" doc:"Everything that is wrong with the input, at once"`
}

// FieldProblem is one thing that is wrong with an input.
type FieldProblem struct {
	Field   string `json:"field" doc:"Path in the body such as sans[3], or the name of a parameter; empty for the whole"`
	Message string `json:"message"`
}

func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	if p.RequestID != "" {
		text += " (request " + p.RequestID + ")"
	}
	return text
}
