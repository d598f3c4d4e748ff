package engine

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/lint"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/crl"
)

// Scope is what a list is about: all that an issuer revoked, or one shard (1, 2,
// …) of it; and of each the delta.
type Scope struct {
	Shard int
	Delta bool
}

// crlLists keeps the octets of lists, which may be many, so that they are not
// read from the store for each who asks.
type crlLists struct {
	mu sync.Mutex
	m  map[string]*certctl.CRL // by ID
}

func (l *crlLists) get(id string, number int64) *certctl.CRL {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.m[id]; c != nil && c.Number == number {
		return c
	}
	return nil
}

func (l *crlLists) put(c *certctl.CRL) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m == nil {
		l.m = map[string]*certctl.CRL{}
	}
	l.m[c.ID] = c
}

// CRL returns an issuer's list of everything; see CRLOf.
func (e *Engine) CRL(ctx context.Context, issuerID string) (*certctl.CRL, error) {
	return e.CRLOf(ctx, issuerID, Scope{})
}

// CRLOf returns the newest list of a scope, which covers every revocation that
// is in the store: where the stored one does not, or is past half of its life, a
// new one is made first. When that fails, the stored one is served until it
// ends. A long list (100,000 entries or more) that took more than a second to
// make is made again after ten times as long at the earliest, and never later
// than the scheduled one; its delta is quicker.
//
// revocation.ErrUnknownIssuer where the issuer or the scope does not exist. The
// result is shared, and must not be changed.
func (e *Engine) CRLOf(ctx context.Context, issuerID string, scope Scope) (*certctl.CRL, error) {
	c, err := e.signingCA(ctx, issuerID)
	if err != nil {
		return nil, err
	}
	stored, sequence, err := e.storedCRL(ctx, c.keyID, scope)
	if err != nil {
		return nil, err
	}
	if stored == nil && (scope.Shard > c.publish.Shards || scope.Delta && !c.publish.Delta) {
		return nil, fmt.Errorf("%w: issuer %s has no such CRL", revocation.ErrUnknownIssuer, issuerID)
	}
	if stored != nil && e.serves(stored, sequence) {
		return stored, nil
	}
	fresh, err := e.generateCRL(ctx, c, scope, true)
	if err != nil && stored != nil && e.now().Before(stored.NextUpdate) {
		e.log.ErrorContext(ctx, "a CRL was not made; the stored one is served", "issuer", issuerID, "shard", scope.Shard, "delta", scope.Delta, "error", err)
		return stored, nil
	}
	return fresh, err
}

// A list of at least longCRL entries that took longer than slowCRL to make is
// not made again for every revocation. A short one is: what held it up was no
// fault of its length, and may be over.
const (
	longCRL = 100_000
	slowCRL = time.Second
)

// serves reports whether a stored list can be served without making another. One
// from before this process cannot: the database may have been restored from a
// backup since, and relying parties have seen higher numbers.
func (e *Engine) serves(stored *certctl.CRL, sequence int64) bool {
	now := e.now()
	if stored.GeneratedAt.Before(e.started) || !now.Before(stored.ThisUpdate.Add(stored.NextUpdate.Sub(stored.ThisUpdate)/2)) {
		return false
	}
	if stored.Sequence >= sequence {
		return true
	}
	return stored.RevokedCount >= longCRL && stored.Duration > slowCRL && now.Before(stored.GeneratedAt.Add(min(10*stored.Duration, e.timing.CRLGeneration/2)))
}

// storedCRL reads the newest list of a scope, nil when there is none, and how far
// the revocations in it have come.
func (e *Engine) storedCRL(ctx context.Context, keyID string, scope Scope) (stored *certctl.CRL, sequence int64, err error) {
	id := certctl.CRLID(keyID, scope.Shard, scope.Delta)
	err = e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		stored = nil
		if sequence, err = r.RevocationSequence(ctx, keyID, scope.Shard); err != nil {
			return err
		}
		rows, err := r.CRLs().List(ctx, certctl.CRLFilter{IDs: []string{id}, WithoutDER: true}, certctl.Page{Limit: 1})
		if err != nil || len(rows.Items) == 0 {
			return err
		}
		if stored = e.lists.get(id, rows.Items[0].Number); stored != nil {
			return nil
		}
		stored, err = r.CRLs().Get(ctx, id)
		return err
	})
	if err == nil && stored != nil {
		e.lists.put(stored)
	}
	return stored, sequence, err
}

// generateCRL makes and stores the next list of a scope, once for all who ask at
// once. quick makes it of the previous one and what changed.
func (e *Engine) generateCRL(ctx context.Context, c *ca, scope Scope, quick bool) (*certctl.CRL, error) {
	var since base
	if scope.Delta {
		var err error
		if since, err = e.base(ctx, c, scope.Shard); err != nil {
			return nil, err
		}
	}
	v, err, _ := e.crls.Do(certctl.CRLID(c.keyID, scope.Shard, scope.Delta), func() (any, error) {
		// A list and its delta share numbers, and are made one after the other.
		mu, _ := e.making.LoadOrStore(certctl.CRLID(c.keyID, scope.Shard, false), &sync.Mutex{})
		mu.(*sync.Mutex).Lock()
		defer mu.(*sync.Mutex).Unlock()
		begun := e.now()
		row, err := e.buildCRL(ctx, c, scope, since, quick)
		g := &certctl.CRLGeneration{
			ID: certctl.NewID("crlgen", begun), IssuerKeyID: c.keyID, IssuerID: c.issuerID, Shard: scope.Shard, Delta: scope.Delta,
			StartedAt: begun, Duration: e.now().Sub(begun), Succeeded: err == nil,
		}
		if err != nil {
			g.Error = clip(err.Error(), 2000)
		} else {
			row.Duration, g.Number, g.RevokedCount, g.Sequence = g.Duration, row.Number, row.RevokedCount, row.Sequence
		}
		failed := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
			if row != nil {
				if err := tx.PutCRL(ctx, row); err != nil {
					return err
				}
			}
			return tx.CRLGenerations().Insert(ctx, g)
		})
		if errors.Is(failed, certctl.ErrConflict) { // another replica was first
			stored, sequence, err := e.storedCRL(ctx, c.keyID, scope)
			if err == nil && stored != nil && stored.Sequence >= sequence {
				return stored, nil
			}
		}
		if err := errors.Join(err, failed); err != nil {
			return nil, err
		}
		e.lists.put(row)
		return row, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*certctl.CRL), nil
}

func (e *Engine) buildCRL(ctx context.Context, c *ca, scope Scope, since base, quick bool) (*certctl.CRL, error) {
	if e.source == nil {
		return nil, errors.New("engine: Options.Revocations is not set, so no CRL can be made")
	}
	// The sequence is read before the entries: the list covers it at least.
	stored, sequence, err := e.storedCRL(ctx, c.keyID, Scope{Shard: scope.Shard})
	if err != nil {
		return nil, err
	}
	delta, _, err := e.storedCRL(ctx, c.keyID, Scope{Shard: scope.Shard, Delta: true})
	if err != nil {
		return nil, err
	}
	exact := e.now()
	now := exact.UTC().Truncate(time.Second)
	number, err := crl.NextNumber(highest(stored, delta), exact)
	if err != nil {
		return nil, err
	}
	if !number.Int().IsInt64() {
		return nil, fmt.Errorf("engine: CRL number %s does not fit the store", number)
	}
	o := crl.Options{
		CA: c.cert, Signer: c.signer, Number: number, ThisUpdate: now, NextUpdate: now.Add(e.timing.CRLValidity), Lint: lint.CRL, Shard: scope.Shard,
	}
	urls := e.endpoints(c.issuerID, c.publish, scope.Shard)
	if scope.Shard > 0 {
		o.Points = urls.CRL
	}
	row := &certctl.CRL{
		ID: certctl.CRLID(c.keyID, scope.Shard, scope.Delta), IssuerKeyID: c.keyID, IssuerID: c.issuerID, Shard: scope.Shard, Delta: scope.Delta,
		Number: number.Int().Int64(), Sequence: sequence,
	}
	switch {
	case scope.Delta:
		row.BaseNumber, o.Since = since.number, since.sequence
		if o.Base, err = crl.NumberOf(big.NewInt(row.BaseNumber)); err != nil {
			return nil, err
		}
	case stored != nil && quick:
		o.Freshest, o.Previous, o.Since = urls.Freshest, stored.DER, stored.Sequence
	default:
		o.Freshest = urls.Freshest
	}
	list, err := crl.Build(ctx, e.source, o)
	if err != nil && o.Previous != nil && ctx.Err() == nil { // a list from elsewhere, perhaps
		o.Previous, o.Since = nil, 0
		list, err = crl.Build(ctx, e.source, o)
	}
	if err != nil {
		return nil, err
	}
	row.DER, row.ThisUpdate, row.NextUpdate, row.GeneratedAt, row.RevokedCount = list.DER, list.ThisUpdate, list.NextUpdate, e.now(), list.Count
	return row, nil
}

// highest is the largest number of the lists; nil without any.
func highest(lists ...*certctl.CRL) *big.Int {
	var most *big.Int
	for _, c := range lists {
		if c != nil && (most == nil || most.Cmp(big.NewInt(c.Number)) < 0) {
			most = big.NewInt(c.Number)
		}
	}
	return most
}

// base is the list that a delta is based on: its number, and how much it covered.
type base struct{ number, sequence int64 }

// base finds the oldest list of a shard that relying parties may still hold, so
// that the delta is of use to all of them.
func (e *Engine) base(ctx context.Context, c *ca, shard int) (base, error) {
	no, yes := false, true
	var found []*certctl.CRLGeneration
	err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		page, err := r.CRLGenerations().List(ctx, certctl.CRLGenerationFilter{
			IssuerKeyID: c.keyID, Shard: &shard, Delta: &no, Succeeded: &yes, Since: e.now().Add(-e.timing.CRLValidity),
		}, certctl.Page{Limit: 1, Sort: "started_at"})
		if err == nil {
			found = page.Items
		}
		return err
	})
	if err != nil {
		return base{}, err
	}
	if len(found) > 0 {
		return base{found[0].Number, found[0].Sequence}, nil
	}
	made, err := e.generateCRL(ctx, c, Scope{Shard: shard}, false)
	if err != nil {
		return base{}, err
	}
	return base{made.Number, made.Sequence}, nil
}

// catchUp makes the lists that lack a revocation, for those who only read the
// store; whoever fetches a list here gets one that has it anyway.
func (e *Engine) catchUp(ctx context.Context, t *tick) error {
	return e.eachCA(ctx, func(ctx context.Context, c *ca) error {
		sequence, behind, err := e.behind(ctx, c)
		if err != nil || !behind {
			return err
		}
		if _, err := e.OCSPIssuer(ctx, c.issuerID); err != nil { // the first time
			return err
		}
		scopes, err := e.scopes(ctx, c)
		if err != nil {
			return err
		}
		waits := false
		for _, scope := range scopes {
			stored, sequence, err := e.storedCRL(ctx, c.keyID, scope)
			if err != nil {
				return err
			}
			if stored != nil && e.serves(stored, sequence) {
				waits = waits || stored.Sequence < sequence
				continue
			}
			if err := t.makeCRL(ctx, c, scope, true); err != nil {
				return err
			}
		}
		if !waits {
			e.caught.Store(c.keyID, sequence)
		}
		return nil
	})
}

// behind reports whether a CA has revocations that are not known to be on every
// list, and how far they have come. A CA that has issued nothing owes nothing,
// and can be deleted.
func (e *Engine) behind(ctx context.Context, c *ca) (sequence int64, behind bool, err error) {
	last, ok := e.caught.Load(c.keyID)
	issued := ok
	err = e.store.View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
		if sequence, err = r.RevocationSequence(ctx, c.keyID, 0); err != nil || issued {
			return err
		}
		page, err := r.Versions().List(ctx, certctl.VersionFilter{IssuerKeyID: c.keyID}, certctl.Page{Limit: 1})
		issued = err == nil && len(page.Items) > 0
		return err
	})
	return sequence, issued && (!ok || last.(int64) != sequence), err
}

// crlsBehind reports whether catchUp has something to do.
func (e *Engine) crlsBehind(ctx context.Context) (due bool, err error) {
	err = e.eachCA(ctx, func(ctx context.Context, c *ca) error {
		_, behind, err := e.behind(ctx, c)
		due = due || behind
		return err
	})
	return due, err
}

// makeCRL generates a list unless the lease is lost.
func (t *tick) makeCRL(ctx context.Context, c *ca, scope Scope, quick bool) error {
	if err := t.update(ctx, func(context.Context, certctl.Tx) error { return nil }); err != nil {
		return err
	}
	_, err := t.e.generateCRL(ctx, c, scope, quick)
	return err
}

// refreshCRLs makes the lists of every issuer of ours that are older than the
// loop's interval, and rotates responder certificates in time.
func (e *Engine) refreshCRLs(ctx context.Context, t *tick) error {
	return e.eachCA(ctx, func(ctx context.Context, c *ca) error {
		if _, err := e.OCSPIssuer(ctx, c.issuerID); err != nil {
			return err
		}
		scopes, err := e.scopes(ctx, c)
		if err != nil {
			return err
		}
		for _, scope := range scopes {
			stored, _, err := e.storedCRL(ctx, c.keyID, scope)
			if err != nil {
				return err
			}
			if stored != nil && t.now.Sub(stored.ThisUpdate) < e.timing.CRLGeneration/2 {
				continue
			}
			if err := t.makeCRL(ctx, c, scope, false); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachCA calls f for every issuer of ours, and goes on after a failure.
func (e *Engine) eachCA(ctx context.Context, f func(context.Context, *ca) error) error {
	var rows []*certctl.Issuer
	err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
		rows, err = all(ctx, r.Issuers(), certctl.IssuerFilter{}) // disabled ones still owe their revocation data
		return err
	})
	if err != nil {
		return err
	}
	var failed error
	for _, row := range rows {
		c, err := e.signingCA(ctx, row.ID)
		if errors.Is(err, revocation.ErrUnknownIssuer) { // its key is elsewhere
			continue
		}
		if err == nil {
			err = f(ctx, c)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("issuer %s: %w", row.ID, err))
		}
	}
	return failed
}

// scopes are the lists that a CA has to keep fresh: those that its setting names,
// and those that certificates of earlier settings name.
func (e *Engine) scopes(ctx context.Context, c *ca) ([]Scope, error) {
	most, delta := c.publish.Shards, c.publish.Delta
	err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		for page := (certctl.Page{Limit: 500}); ; {
			rows, err := r.CRLs().List(ctx, certctl.CRLFilter{IssuerIDs: []string{c.issuerID}, WithoutDER: true}, page)
			if err != nil {
				return err
			}
			for _, row := range rows.Items {
				if row.IssuerKeyID == c.keyID {
					most, delta = max(most, row.Shard), delta || row.Delta
				}
			}
			if page.Cursor = rows.Next; page.Cursor == "" {
				return nil
			}
		}
	})
	var out []Scope
	for shard := range most + 1 {
		out = append(out, Scope{Shard: shard})
		if delta {
			out = append(out, Scope{Shard: shard, Delta: true})
		}
	}
	return out, err
}
