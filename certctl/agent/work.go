package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/certctl/certctl/certctl/api"
)

// claimed is work with a slot of the agent's.
type claimed struct {
	api.Work
	release func()
}

// claims asks for work until ctx ends, never for more than can begin at once.
func (a *Agent) claims(ctx context.Context, end context.CancelCauseFunc, begin func(claimed)) {
	failing := newBackoff()
	fresh := true
	for {
		slots := a.acquire(ctx)
		if slots == 0 {
			return
		}
		asked := a.o.Now()
		work, later, v := a.claim(ctx, slots, fresh)
		fresh = fresh && v != accepted
		for _, w := range work {
			if slots == 0 { // more than was asked for: it waits for its turn
				if slots = a.acquire(ctx); slots == 0 {
					return
				}
			}
			slots--
			begin(claimed{Work: w, release: a.release})
		}
		for range slots {
			a.release()
		}
		wait := time.Duration(0)
		switch {
		case ctx.Err() != nil:
			return
		case v == gone:
			end(ErrRetired)
			return
		case v == accepted:
			failing.reset()
			if len(work) == 0 && a.o.Now().Sub(asked) < time.Second {
				wait = around(time.Second) // a server that does not wait is not to be asked in a loop
			}
		case v == temporary:
			wait = max(failing.next(), later)
		default:
			wait = around(backoffSlow)
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// claim also returns how long the server wants to be left alone.
func (a *Agent) claim(ctx context.Context, n int, fresh bool) ([]api.Work, time.Duration, verdict) {
	call, cancel := context.WithTimeout(ctx, a.o.Wait+callTimeout)
	defer cancel()
	answer, err := a.o.Server.ClaimWork(call, a.id, api.WorkRequest{WaitSeconds: int(a.o.Wait / time.Second), Max: n, Fresh: fresh})
	if ctx.Err() != nil && err != nil {
		return nil, 0, temporary // the agent is stopping; that says nothing of the server
	}
	v := a.link.answered("claim work", err)
	if v != accepted {
		return nil, askedToWait(err), v
	}
	return answer.Work, 0, v
}

// acquire waits for a slot and takes all that are free.
func (a *Agent) acquire(ctx context.Context) int {
	select {
	case <-ctx.Done():
		return 0
	case a.slots <- struct{}{}:
	}
	for n := 1; ; n++ {
		select {
		case a.slots <- struct{}{}:
		default:
			return n
		}
	}
}

func (a *Agent) release() { <-a.slots }

// handle does one piece of work and answers it. Whatever the server sends and
// whatever a connector does, the agent lives on.
func (a *Agent) handle(ctx context.Context, w claimed) {
	defer w.release()
	log := a.log.With(slog.String("job_id", w.JobID), slog.String("kind", w.Kind), slog.String("certificate_id", w.CertificateID), slog.Int64("generation", w.Generation))
	if w.TargetID != "" {
		log = log.With(slog.String("target_id", w.TargetID))
	}
	ctx, end, ok := a.running.begin(ctx, w.JobID, w.Fence)
	if !ok {
		return // the same claim, told twice
	}
	defer a.running.done(w.JobID, w.Fence)
	defer end(nil)

	log.Info("work begins")
	began := a.o.Now()
	report := a.perform(ctx, end, w.Work, log)
	switch {
	case errors.Is(context.Cause(ctx), errLost):
		log.Warn("the control plane has taken this work away; it was stopped", slog.String("outcome", outcomeOf(report)))
		return
	case report == nil:
		log.Info("work done", slog.Duration("took", a.o.Now().Sub(began)))
		return
	}
	level := slog.LevelInfo
	if report.Error != "" {
		level = slog.LevelError
	}
	log.Log(ctx, level, "work done", slog.String("outcome", report.Outcome), slog.String("error", report.Error), slog.Duration("took", a.o.Now().Sub(began)))
	a.report(ctx, w.Work, *report, log)
}

// perform does the work; nil means that it is answered already.
func (a *Agent) perform(ctx context.Context, end context.CancelCauseFunc, w api.Work, log *slog.Logger) *api.Report {
	timed, cancel := context.WithTimeoutCause(ctx, a.o.WorkTimeout, errTooLong)
	defer cancel()
	lease := a.keepLease(timed, end, w, log)
	defer lease()
	report, err := guarded("the agent", func() (*api.Report, error) {
		switch w.Kind {
		case api.WorkCSR:
			return a.csr(timed, w, log), nil
		case api.WorkDeploy:
			return a.deploy(timed, w, log), nil
		default:
			return final(w, fmt.Errorf("this agent (version %q) does not know work of kind %.64q; upgrade the agent", a.o.Facts.Version, w.Kind)), nil
		}
	})
	if err != nil {
		return final(w, err)
	}
	return report
}

func outcomeOf(r *api.Report) string {
	if r == nil {
		return ""
	}
	return r.Outcome
}

// running knows the work under way, so that a newer claim of a job ends an
// older one.
type running struct {
	mu   sync.Mutex
	jobs map[string]job
}

type job struct {
	fence int64
	end   context.CancelCauseFunc
}

func newRunning() *running { return &running{jobs: map[string]job{}} }

// begin is false when the same or a newer claim of the job is under way.
func (r *running) begin(ctx context.Context, id string, fence int64) (context.Context, context.CancelCauseFunc, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, ok := r.jobs[id]; ok {
		if old.fence >= fence {
			return ctx, nil, false
		}
		old.end(errLost)
	}
	ctx, end := context.WithCancelCause(ctx)
	r.jobs[id] = job{fence: fence, end: end}
	return ctx, end, true
}

func (r *running) done(id string, fence int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.jobs[id].fence == fence {
		delete(r.jobs, id)
	}
}

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.jobs)
}
