package certctl

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Sentinels. Every error that this module returns on purpose matches exactly
// one of them under errors.Is, so that an edge (HTTP, CLI, agent) can translate
// it without knowing where it came from.
var (
	ErrNotFound          = errors.New("not found")
	ErrConflict          = errors.New("conflict")                        // a unique name, a live job, a bound row
	ErrStale             = errors.New("changed by somebody else")        // optimistic revision did not match
	ErrPrecondition      = errors.New("precondition failed")             // If-Match did not match
	ErrFenced            = errors.New("lease lost")                      // another worker holds the job or loop now
	ErrIllegalTransition = errors.New("illegal state transition")        //
	ErrInvalid           = errors.New("invalid")                         // see *InvalidError
	ErrUnauthenticated   = errors.New("not authenticated")               //
	ErrForbidden         = errors.New("not allowed")                     //
	ErrGone              = errors.New("gone")                            // retired agents
	ErrUnavailable       = errors.New("unavailable")                     // the database, or a CA, cannot be reached now
	ErrUnsupported       = errors.New("not supported by this connector") //
)

// Problem is one thing that is wrong with an input.
type Problem struct {
	Field   string `json:"field"`   // path in the input, such as "sans[3]" or "config.cert_path"; empty for the whole
	Message string `json:"message"` // what is wrong and what would be right
}

// InvalidError says everything that is wrong with an input, at once. It
// matches ErrInvalid.
type InvalidError struct {
	What     string // the thing that was judged: "certificate request", "issuer config"
	Problems []Problem
}

func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		parts[i] = p.Message
		if p.Field != "" {
			parts[i] = p.Field + ": " + p.Message
		}
	}
	return e.What + " is invalid: " + strings.Join(parts, "; ")
}

func (e *InvalidError) Unwrap() error { return ErrInvalid }

// Invalid makes an *InvalidError, or nil when there are no problems.
func Invalid(what string, problems ...Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &InvalidError{What: what, Problems: problems}
}

// Error is a domain error with a sentinel for machines and a sentence for
// people.
type Error struct {
	Kind    error  // one of the sentinels
	Message string // one sentence: what happened, why, what to do next
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Kind }

// Errorf makes an *Error.
func Errorf(kind error, format string, args ...any) error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// TransitionError tells which step of a state machine was refused. It matches
// ErrIllegalTransition.
type TransitionError struct{ Entity, ID, From, To string }

func (e *TransitionError) Error() string {
	return fmt.Sprintf("%s %s is %s and cannot become %s", e.Entity, e.ID, e.From, e.To)
}

func (e *TransitionError) Unwrap() error { return ErrIllegalTransition }

// Outcome classes of a connector call that changes something outside
// (an issuance, a revocation, a deployment).
type Outcome int

const (
	// Unknown: it may or may not have happened; look before repeating. An
	// unclassified error is Unknown.
	Unknown Outcome = iota
	// NotDone: nothing happened; the same call may be repeated after After.
	NotDone
	// Refused: final; repeating the same call cannot succeed.
	Refused
)

func (o Outcome) String() string {
	switch o {
	case NotDone:
		return "not done"
	case Refused:
		return "refused"
	default:
		return "unknown"
	}
}

// Failure is what a use case remembers of a failed step.
type Failure struct {
	Outcome Outcome
	After   time.Duration // earliest useful retry; 0 when the other side did not say
	Err     error
}

func (f *Failure) Error() string { return f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }
