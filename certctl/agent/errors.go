package agent

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrRetired: the control plane has retired this agent; its credential is
	// of no more use and Run has ended for good.
	ErrRetired = errors.New("the control plane has retired this agent")
	// ErrJoined: the folder holds an identity already.
	ErrJoined = errors.New("this agent has joined already")
	// ErrNotJoined: the folder holds no identity.
	ErrNotJoined = errors.New("this agent has not joined yet")
	// ErrInUse: another process works with the same folder.
	ErrInUse = errors.New("in use by another process")
)

// Causes with which the context of a piece of work ends.
var (
	errLost     = errors.New("the control plane has given this work to somebody else, or cancelled it")
	errStopping = errors.New("the agent is stopping")
	errTooLong  = errors.New("the work took longer than an agent allows")
)

// verdict says what an answer of the control plane means for trying again.
type verdict int

const (
	accepted        verdict = iota
	temporary               // nothing is decided; try again soon
	unauthenticated         // the credential does not work; try again slowly
	unknownAgent            // nobody here knows that agent or job
	gone                    // retired, or the job is over
	lost                    // fenced, or it conflicts with what happened meanwhile
	refused                 // this very request can never succeed
)

// judge classifies what a method of [ControlPlane] returned. An error that
// says nothing is temporary, for a dead network says nothing either.
func judge(err error) verdict {
	if err == nil {
		return accepted
	}
	problem, _ := errors.AsType[*client.Problem](err)
	switch {
	case errors.Is(err, client.ErrUnavailable), errors.Is(err, client.ErrRateLimited), errors.Is(err, context.DeadlineExceeded):
		return temporary
	case problem != nil && problem.Code == api.CodeInFlight:
		return temporary // the same report, sent before, is being worked on
	case errors.Is(err, client.ErrUnauthenticated):
		return unauthenticated
	case errors.Is(err, client.ErrNotFound):
		return unknownAgent
	case errors.Is(err, client.ErrGone):
		return gone
	case errors.Is(err, client.ErrFenced), errors.Is(err, client.ErrConflict):
		return lost
	case errors.Is(err, client.ErrForbidden), errors.Is(err, client.ErrInvalid):
		return refused
	}
	if problem != nil && problem.Status >= 400 && problem.Status < 500 {
		switch problem.Status {
		case http.StatusRequestTimeout, http.StatusTooEarly:
			return temporary
		}
		return refused
	}
	return temporary
}

// askedToWait returns how long the server wants to be left alone.
func askedToWait(err error) time.Duration {
	if p, ok := errors.AsType[*client.Problem](err); ok {
		return min(p.RetryAfter, backoffSlow)
	}
	return 0
}
