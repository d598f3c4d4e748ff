package agent

import (
	"context"
	"log/slog"
	"time"

	"github.com/certctl/certctl/certctl/api"
)

const (
	extendMin = time.Second
	extendMax = time.Minute
)

// keepLease extends the lease each time a third of it has passed, until ctx
// ends or stop is called. When the server says that the work is somebody
// else's, it ends the work. A server that does not answer ends nothing: the
// work goes on and its report tells.
func (a *Agent) keepLease(ctx context.Context, end context.CancelCauseFunc, w api.Work, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		until := w.LeaseUntil
		for {
			third := min(max(a.link.until(until)/3, extendMin), extendMax)
			if !sleep(ctx, third) {
				return
			}
			answer, v := a.extend(ctx, w)
			if ctx.Err() != nil {
				return
			}
			switch v {
			case accepted:
				until = answer.LeaseUntil
			case lost, gone, unknownAgent, refused:
				end(errLost)
				return
			default:
				log.Debug("the lease could not be extended", slog.Time("lease_until", until))
			}
		}
	}()
	return func() { cancel(); <-done }
}

func (a *Agent) extend(ctx context.Context, w api.Work) (*api.LeaseResponse, verdict) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := a.o.Server.ExtendLease(ctx, a.id, w.JobID, w.Fence)
	return answer, judge(err)
}
