package agent

import (
	"context"
	"time"
)

const callTimeout = 30 * time.Second

// heartbeats tells the server that the agent lives until ctx ends; retired,
// it ends the agent.
func (a *Agent) heartbeats(ctx context.Context, end context.CancelCauseFunc) {
	failing := newBackoff()
	for {
		wait := a.o.HeartbeatEvery
		next, v := a.beat(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case v == gone:
			end(ErrRetired)
			return
		case v == accepted:
			failing.reset()
			if next > 0 {
				wait = next
			}
			wait = around(wait)
		case v == temporary:
			wait = max(failing.next(), next)
		default: // only a person can cure it
			wait = around(backoffSlow)
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// beat sends one heartbeat and returns how long the server wants to be left
// alone; 0 when it does not say.
func (a *Agent) beat(ctx context.Context) (time.Duration, verdict) {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	h := a.o.Facts.Heartbeat(call, a.o.Now())
	h.Problem = a.link.problems()
	answer, err := a.o.Server.Heartbeat(call, a.id, h)
	if ctx.Err() != nil {
		return 0, temporary // the agent is stopping; that says nothing of the server
	}
	v := a.link.answered("heartbeat", err)
	if v != accepted {
		return askedToWait(err), v
	}
	a.link.clock(answer.ServerTime, answer.Status)
	return min(time.Duration(answer.IntervalSeconds)*time.Second, time.Hour), v
}
