package target

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl/chain"
)

// Options of Deploy and Recover.
type Options struct {
	// ID names the target in the journal. Required.
	ID string
	// Journal outlives the process, so that a deployment that was cut short is
	// undone at the next start. Required.
	Journal Journal
	// Prober looks at what is served. Required for targets with endpoints.
	Prober Prober
	// ProbeFor is how long a target may take to serve the new certificate; the
	// target's own ProbeFor(), or 15 s, when 0.
	ProbeFor time.Duration
	// Now is the clock. Required.
	Now    func() time.Time
	Logger *slog.Logger // silent when nil
}

func (o Options) check(t Target) error {
	if o.ID == "" || o.Journal == nil || o.Now == nil {
		return errors.New("target: Options lack ID, Journal or Now")
	}
	if len(endpoints(t)) > 0 && o.Prober == nil {
		return errors.New("target: Options lack a Prober, and the target has endpoints")
	}
	return nil
}

// undoTimeout bounds a rollback, which goes on when its caller has given up.
const undoTimeout = 90 * time.Second

// Deploy puts a bundle onto a target and proves that it is served:
//
//	compare → stage → journal → swap → probe → clear the journal → finish
//
// Clearing the journal is the commit. Whatever fails after the journal was
// written is rolled back, and what was served before is served again. The
// Result tells how it ended, also with an error; the error says why, in words
// for an operator, and matches ErrRefused, ErrNotServed or ErrRollback where
// one of them is the reason.
func Deploy(ctx context.Context, t Target, b *Bundle, o Options) (*Result, error) {
	if err := o.check(t); err != nil {
		return nil, err
	}
	unlock, err := o.Journal.Lock(ctx, o.ID)
	if err != nil {
		return &Result{Outcome: NotStarted}, err
	}
	defer unlock()
	begun := o.Now()
	d := &deployment{t: t, b: b, o: o}
	outcome, err := d.run(ctx)
	r := &Result{Outcome: outcome, Observed: d.observed, Took: o.Now().Sub(begun)}
	if out, ok := t.(Outputter); ok {
		r.Output = out.Output()
	}
	return r, err
}

// Recover undoes a deployment that a process left unfinished. It reports
// whether there was one.
func Recover(ctx context.Context, t Target, o Options) (bool, error) {
	if err := o.check(nil); err != nil {
		return false, err
	}
	unlock, err := o.Journal.Lock(ctx, o.ID)
	if err != nil {
		return false, err
	}
	defer unlock()
	return recoverPending(ctx, t, o)
}

func recoverPending(ctx context.Context, t Target, o Options) (bool, error) {
	state, pending, err := o.Journal.Pending(o.ID)
	if err != nil || !pending {
		return false, err
	}
	s, err := t.Resume(ctx, state)
	if err == nil {
		err = s.Rollback(ctx)
	}
	if err != nil {
		return true, fmt.Errorf("%w: a deployment to target %s was cut short and cannot be undone: %w", ErrRollback, o.ID, err)
	}
	if err := o.Journal.Clear(o.ID); err != nil {
		return true, err
	}
	return true, s.Finish(ctx)
}

// deployment is one run of Deploy.
type deployment struct {
	t        Target
	b        *Bundle
	o        Options
	observed []Observation
}

func (d *deployment) run(ctx context.Context) (Outcome, error) {
	if _, err := recoverPending(ctx, d.t, d.o); err != nil {
		if errors.Is(err, ErrRollback) {
			return RollbackFailed, err
		}
		return NotStarted, err
	}
	if err := check(d.b, d.o.Now()); err != nil {
		return NotStarted, err
	}
	if d.inPlace(ctx) {
		return Unchanged, nil
	}
	s, err := d.t.Stage(ctx, d.b)
	if err != nil {
		return NotStarted, err
	}
	if err := d.o.Journal.Begin(d.o.ID, s.State()); err != nil {
		return d.undo(ctx, s, fmt.Errorf("the journal cannot be written: %w", err))
	}
	if err := s.Swap(ctx); err != nil {
		return d.undo(ctx, s, err)
	}
	if err := d.prove(ctx); err != nil {
		return d.undo(ctx, s, err)
	}
	if err := d.o.Journal.Clear(d.o.ID); err != nil {
		return d.undo(ctx, s, fmt.Errorf("the journal cannot be cleared: %w", err))
	}
	d.finish(ctx, s)
	return Deployed, nil
}

// undo rolls back, whether or not the caller still waits.
func (d *deployment) undo(ctx context.Context, s Staged, cause error) (Outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if err := s.Rollback(ctx); err != nil {
		return RollbackFailed, fmt.Errorf("%w (%w), after: %w", ErrRollback, err, cause)
	}
	if err := d.o.Journal.Clear(d.o.ID); err != nil {
		return RollbackFailed, fmt.Errorf("%w: what was before is in place again, but the journal cannot be cleared (%w), after: %w", ErrRollback, err, cause)
	}
	d.finish(ctx, s)
	return RolledBack, cause
}

func (d *deployment) finish(ctx context.Context, s Staged) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if err := s.Finish(ctx); err != nil && d.o.Logger != nil {
		d.o.Logger.WarnContext(ctx, "something was left over from a deployment", "target", d.o.ID, "error", err)
	}
}

// check refuses a bundle that no server could serve.
func check(b *Bundle, now time.Time) error {
	switch {
	case b == nil || b.Leaf == nil || b.Key == nil:
		return fmt.Errorf("%w: the bundle lacks a certificate or its key", ErrRefused)
	case !chain.Match(b.Leaf, b.Key):
		return fmt.Errorf("%w: the key does not belong to the certificate (serial %x)", ErrRefused, b.Leaf.SerialNumber)
	case now.After(b.Leaf.NotAfter):
		return fmt.Errorf("%w: the certificate (serial %x) expired at %s", ErrRefused, b.Leaf.SerialNumber, b.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	signed := b.Leaf
	for i, c := range b.Chain {
		if err := signed.CheckSignatureFrom(c); err != nil {
			return fmt.Errorf("%w: certificate %d of the chain (%q) did not sign the one before it: %w", ErrRefused, i+1, c.Subject, err)
		}
		signed = c
	}
	return nil
}

func endpoints(t Target) []Endpoint {
	if s, ok := t.(Serving); ok {
		return s.Endpoints()
	}
	return nil
}

// inPlace reports whether the target has, and serves, the certificate already.
func (d *deployment) inPlace(ctx context.Context) bool {
	i, ok := d.t.(Inspector)
	if !ok {
		return false
	}
	now, err := i.Current(ctx)
	if err != nil || now == nil || !now.Equal(d.b.Leaf) {
		return false
	}
	seen, err := d.look(ctx)
	if err != nil {
		return false
	}
	d.observed = seen
	return true
}

// look probes every endpoint once.
func (d *deployment) look(ctx context.Context) ([]Observation, error) {
	var seen []Observation
	for _, e := range endpoints(d.t) {
		seen = append(seen, d.o.Prober.Probe(ctx, e, d.b))
	}
	if bad := complaints(seen); bad != "" {
		return seen, fmt.Errorf("%w: %s", ErrNotServed, bad)
	}
	return seen, nil
}

// After a graceful reload, processes of before accept connections for a moment
// more; so one good look proves little.
const (
	confirmations = 3
	confirmPause  = 30 * time.Millisecond
)

// prove probes until every endpoint serves the new certificate several times
// in a row, or ProbeFor ends.
func (d *deployment) prove(ctx context.Context) error {
	limit := d.o.ProbeFor
	if p, ok := d.t.(interface{ ProbeFor() time.Duration }); ok && limit <= 0 {
		limit = p.ProbeFor()
	}
	if limit <= 0 {
		limit = 15 * time.Second
	}
	wait, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	inARow := 0
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		seen, err := d.look(wait)
		if wait.Err() == nil || len(d.observed) == 0 {
			d.observed = seen // what the deadline cut off says nothing
		}
		inARow++
		if err != nil {
			inARow = 0
		} else {
			pause = confirmPause
		}
		if inARow == confirmations {
			return nil
		}
		t := time.NewTimer(pause)
		select {
		case <-wait.Done():
			t.Stop()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%w within %s: %s", ErrNotServed, limit, complaints(d.observed))
		case <-t.C:
		}
	}
}

// complaints says what is wrong with what was seen.
func complaints(seen []Observation) string {
	var bad []string
	for _, o := range seen {
		if !o.OK() {
			bad = append(bad, o.Endpoint+" "+o.Problem)
		}
	}
	return strings.Join(bad, "; ")
}
