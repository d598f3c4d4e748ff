package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/issuer"
)

// Run works on jobs and runs the scheduler loops until ctx ends, then waits
// for the steps that are under way.
func (e *Engine) Run(ctx context.Context) error {
	if e.alone {
		e.release(ctx, "")
	}
	var group sync.WaitGroup
	group.Go(func() { e.work(ctx) })
	stop := e.schedule(ctx)
	<-ctx.Done()
	stop()
	group.Wait()
	e.release(ctx, e.replica)
	return ctx.Err()
}

// release gives up leases of workers that work no more, so that others, or the
// next start, go on at once.
func (e *Engine) release(ctx context.Context, worker string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		tx.Nudge(certctl.TopicJobs)
		_, err := tx.Jobs().Release(ctx, certctl.ExecutorServer, worker)
		return err
	})
	if err != nil {
		e.log.WarnContext(ctx, "leases were not given up; they end by themselves", "error", err)
	}
}

// work claims jobs for this replica and advances each until it waits or ends.
func (e *Engine) work(ctx context.Context) {
	wake, err := e.store.Watch(ctx, certctl.TopicJobs)
	if err != nil {
		e.log.ErrorContext(ctx, "jobs are found by polling alone", "error", err)
	}
	slots := make(chan struct{}, e.workers)
	var group sync.WaitGroup
	defer group.Wait()
	for failures := 0; ctx.Err() == nil; {
		jobs, err := e.claim(ctx, e.workers-len(slots))
		switch {
		case err != nil && ctx.Err() == nil:
			failures++
			e.log.WarnContext(ctx, "jobs cannot be claimed", "error", err)
		case err == nil:
			failures = 0
		}
		for _, j := range jobs {
			slots <- struct{}{}
			group.Go(func() {
				defer func() { <-slots }()
				e.advanceAll(ctx, j)
			})
		}
		if len(jobs) == 0 || len(slots) == e.workers {
			pause := e.timing.JobPoll
			if failures > 0 {
				pause = backoff(e.timing.JobPoll, failures, 30*time.Second)
			}
			_ = sleep(ctx, wake, pause) // ends with ctx, which the loop sees
		}
	}
}

func (e *Engine) claim(ctx context.Context, n int) (jobs []*certctl.Job, err error) {
	if n <= 0 {
		return nil, nil
	}
	err = e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		jobs, err = tx.Jobs().Claim(ctx, certctl.ExecutorServer, e.replica, n, e.timing.JobLease)
		return err
	})
	return jobs, err
}

// advanceAll takes one stored step after another.
func (e *Engine) advanceAll(ctx context.Context, j *certctl.Job) {
	for ctx.Err() == nil {
		more, err := e.Advance(ctx, j)
		if err != nil && !errors.Is(err, certctl.ErrFenced) && ctx.Err() == nil {
			e.log.ErrorContext(ctx, "a job's step was not stored; it is taken up again when its lease ends",
				"job", j.ID, "type", j.Type, "error", err)
		}
		if err != nil || !more {
			return
		}
	}
}

// Advance takes one step of a claimed job and stores it. It reports whether
// the caller, who holds the lease, can go on at once. An error means that
// nothing was stored: ErrFenced, that somebody else holds the job.
func (e *Engine) Advance(ctx context.Context, j *certctl.Job) (more bool, err error) {
	// A step ends before its lease does, so that no two replicas act at once.
	ctx, cancel := context.WithTimeout(ctx, e.timing.JobLease-e.timing.JobLease/6)
	defer cancel()
	more, err = e.step(ctx, j)
	if err == nil || errors.Is(err, certctl.ErrFenced) {
		return more, err
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return false, err // shutting down: the lease ends by itself
	}
	store, cancelStore := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancelStore()
	return false, e.stepFailed(store, j, err)
}

func (e *Engine) step(ctx context.Context, j *certctl.Job) (more bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			e.log.ErrorContext(ctx, "a step panicked", "job", j.ID, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error in a connector: %v", r)
		}
	}()
	switch j.Type {
	case certctl.JobIssuance, certctl.JobRenewal:
		if j.OrderID == "" {
			return e.placeOrder(ctx, j)
		}
		return e.followOrder(ctx, j)
	default:
		return false, &certctl.Failure{Outcome: certctl.Refused, Err: fmt.Errorf("the server cannot run %s jobs", j.Type)}
	}
}

// stepFailed stores what a failed step means: another attempt later, or the
// end of the job.
func (e *Engine) stepFailed(ctx context.Context, held *certctl.Job, cause error) error {
	f := classify(cause)
	return e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		j, err := tx.Jobs().Hold(ctx, held.ID, held.Fence)
		if err != nil {
			return err
		}
		j.Attempts++
		why := clip(f.Error(), 2000)
		if f.Outcome == certctl.Refused || j.Attempts >= j.MaxAttempts {
			if f.Outcome != certctl.Refused {
				why = fmt.Sprintf("gave up after %d attempts: %s", j.Attempts, why)
			}
			return e.abandon(ctx, tx, j, certctl.JobFailed, why)
		}
		pause := max(f.After, backoff(e.timing.RetryBase, j.Attempts-1, time.Hour))
		if err := j.Become(certctl.JobPending); err != nil {
			return err
		}
		j.RunAt, j.LastError = tx.Now().Add(pause), why
		j.Waiting = "for the next attempt at " + j.RunAt.UTC().Format(time.RFC3339)
		tx.Nudge(certctl.TopicCatalog)
		return tx.Jobs().Update(ctx, j)
	})
}

// classify says whether repeating may help. A database that is away is NotDone.
func classify(err error) *certctl.Failure {
	if f, ok := errors.AsType[*certctl.Failure](err); ok {
		return f
	}
	f := &certctl.Failure{Outcome: certctl.Unknown, Err: err}
	if i, ok := errors.AsType[*issuer.Error](err); ok {
		f.After = i.After
	}
	switch {
	case errors.Is(err, issuer.ErrRefused), errors.Is(err, issuer.ErrConfig), errors.Is(err, certctl.ErrInvalid),
		errors.Is(err, certctl.ErrUnsupported), errors.Is(err, certctl.ErrIllegalTransition):
		f.Outcome = certctl.Refused
	case errors.Is(err, issuer.ErrNotDone), errors.Is(err, certctl.ErrUnavailable):
		f.Outcome = certctl.NotDone
	}
	return f
}
