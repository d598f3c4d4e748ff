package cli

import (
	"context"
	"errors"

	"github.com/certctl/certctl/certctl/client"
)

// errPartial marks a command that did some of its work.
var errPartial = errors.New("done in part")

// errRevoked and errUntrusted are verdicts of "revocation status".
var (
	errRevoked   = errors.New("the certificate is revoked")
	errUntrusted = errors.New("its status cannot be relied on")
)

// errWaiting marks a wait that ended before what it waited for.
var errWaiting = errors.New("timed out waiting")

// ExitCode is the exit code of a run that returned err.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		return 2
	case errors.Is(err, client.ErrNotFound):
		return 3
	case errors.Is(err, client.ErrUnauthenticated), errors.Is(err, client.ErrForbidden):
		return 4
	case errors.Is(err, client.ErrConflict), errors.Is(err, client.ErrPrecondition):
		return 5
	case errors.Is(err, errWaiting), errors.Is(err, context.DeadlineExceeded):
		return 6
	case errors.Is(err, errPartial):
		return 7
	case errors.Is(err, errRevoked):
		return 8
	case errors.Is(err, errUntrusted):
		return 9
	default:
		return 1
	}
}

// Hint is the next step after an error, or "".
func Hint(err error) string {
	switch {
	case errors.Is(err, client.ErrUnauthenticated):
		return "set CERTCTL_API_KEY, or --api-key-file, to a key that is valid"
	case errors.Is(err, client.ErrForbidden):
		return "use a key with a role that may do this; 'certctl-cli status' tells yours"
	case errors.Is(err, client.ErrUnavailable):
		return "is the server running? Check --server, and 'certctl-cli status'"
	case errors.Is(err, errWaiting):
		return "the job goes on; look at it with 'certctl-cli jobs list', or wait longer with --timeout"
	default:
		return ""
	}
}
