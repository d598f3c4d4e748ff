package engine

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/robfig/cron/v3"
)

// loop is one scheduler loop. Of all replicas, the one that takes its lease row
// runs the tick.
type loop struct {
	name  string
	every time.Duration
	run   func(context.Context, *tick) error
	// due, when set, is asked before the lease is taken: a loop that is often
	// idle then writes nothing. An error counts as due, so that it is told.
	due func(context.Context) (bool, error)
}

// tick is one run of a loop: every write of it proves first that the lease is
// still held, so that a holder that was paused and wakes up late writes
// nothing.
type tick struct {
	e     *Engine
	name  string
	fence int64
	// since is when the tick before this one began; zero for the first.
	since time.Time
	now   time.Time
}

func (t *tick) update(ctx context.Context, f func(context.Context, certctl.Tx) error) error {
	return t.e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		if err := tx.Leases().Hold(ctx, t.name, t.fence); err != nil {
			return err
		}
		return f(ctx, tx)
	})
}

func (e *Engine) loops() []loop {
	return []loop{
		{name: "renewal-check", every: e.timing.RenewalCheck, run: e.checkRenewals},
		{name: "job-retry", every: e.timing.Retry, run: e.retryDeployments},
		{name: "job-timeout", every: e.timing.Reaper, run: e.reapJobs},
		{name: "agent-health", every: e.timing.AgentHealth, run: e.checkAgents},
		{name: "expiry", every: e.timing.Expiry, run: e.expireCertificates},
		{name: "expiry-alerts", every: e.timing.Alerts, run: e.alertExpiry},
		{name: "crl-generation", every: e.timing.CRLGeneration, run: e.refreshCRLs},
		{name: "crl-revocation", every: e.timing.JobPoll, run: e.catchUp, due: e.crlsBehind},
		{name: "issuer-revocation", every: e.timing.JobPoll, run: e.notifyIssuers, due: e.issuersBehind},
		{name: "bulk-revocation", every: 2 * e.timing.JobPoll, run: e.runBulkRevocations, due: e.bulkDue},
		{name: "idempotency-sweep", every: e.timing.Sweep, run: e.sweepIdempotency},
	}
}

// schedule starts the loops; the returned function stops them and waits for
// ticks that are running.
func (e *Engine) schedule(ctx context.Context) (stop func()) {
	log := cronLog{e.log}
	// Recover inside SkipIfStillRunning: the other way round, one panic stops a
	// loop for ever.
	c := cron.New(cron.WithLocation(time.UTC), cron.WithLogger(log),
		cron.WithChain(cron.SkipIfStillRunning(log), cron.Recover(log)))
	for _, l := range e.loops() {
		c.Schedule(interval(l.every), cron.FuncJob(func() { e.tick(ctx, l) }))
	}
	c.Start()
	return func() { <-c.Stop().Done() }
}

// interval is a cron.Schedule without the whole-second rounding of @every.
type interval time.Duration

func (i interval) Next(t time.Time) time.Time { return t.Add(time.Duration(i)) }

// cronLog passes cron's complaints on, and not its chatter.
type cronLog struct{ log *slog.Logger }

func (cronLog) Info(string, ...any) {}
func (l cronLog) Error(err error, msg string, kv ...any) {
	l.log.Error("the scheduler complains", append([]any{"about", msg, "error", err}, kv...)...)
}

// tick runs a loop once, if this replica gets its lease.
func (e *Engine) tick(ctx context.Context, l loop) {
	if ctx.Err() != nil {
		return
	}
	ttl := max(l.every, 30*time.Second)
	ctx, cancel := context.WithTimeout(ctx, ttl)
	defer cancel()
	if l.due != nil {
		if due, err := l.due(ctx); err == nil && !due {
			return
		}
	}
	t, err := e.takeLease(ctx, l, ttl)
	if err != nil {
		if ctx.Err() == nil {
			e.log.WarnContext(ctx, "a loop could not take its lease", "loop", l.name, "error", err)
		}
		return
	}
	if t == nil {
		return
	}
	failed := l.run(ctx, t)
	text := ""
	if failed != nil {
		text = clip(failed.Error(), 2000)
		e.log.ErrorContext(ctx, "a loop failed; it runs again at its next tick", "loop", l.name, "error", failed)
	}
	release, cancelRelease := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancelRelease()
	err = e.store.Update(release, func(ctx context.Context, tx certctl.Tx) error {
		return tx.Leases().Release(ctx, l.name, t.fence, text)
	})
	if err != nil {
		e.log.WarnContext(ctx, "a loop could not release its lease, which ends by itself", "loop", l.name, "error", err)
	}
}

func (e *Engine) takeLease(ctx context.Context, l loop, ttl time.Duration) (*tick, error) {
	var t *tick
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		t = nil
		leases, err := tx.Reader().Leases(ctx)
		if err != nil {
			return err
		}
		var since time.Time
		for _, row := range leases {
			if row.Name == l.name {
				since = row.LastRun
			}
		}
		// A little less than the interval: cron's clock and the store's differ.
		lease, err := tx.Leases().Take(ctx, l.name, e.replica, l.every-l.every/10, ttl)
		if err != nil || lease == nil {
			return err
		}
		t = &tick{e: e, name: l.name, fence: lease.Fence, since: since, now: tx.Now()}
		return nil
	})
	return t, err
}

// each runs f for every due row, in a transaction of its own, and goes on after
// a failure: one bad row must not keep the others waiting.
func each[T any](ctx context.Context, t *tick, rows []*T, id func(*T) string, f func(context.Context, certctl.Tx, string) error) error {
	var failed error
	for _, row := range rows {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err := t.update(ctx, func(ctx context.Context, tx certctl.Tx) error { return f(ctx, tx, id(row)) })
		if err != nil {
			t.e.log.ErrorContext(ctx, "a row was not processed", "loop", t.name, "id", id(row), "error", err)
			failed = fmt.Errorf("%s: %w", id(row), err)
		}
	}
	return failed
}

// due reads up to 500 rows that a loop has to look at.
func due[T, F any](ctx context.Context, t *tick, lookup func(certctl.Reader) certctl.Lookup[T, F], f F, sort string) ([]*T, error) {
	var rows []*T
	err := t.e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		page, err := lookup(r).List(ctx, f, certctl.Page{Limit: 500, Sort: sort})
		if err == nil {
			rows = page.Items
		}
		return err
	})
	return rows, err
}
