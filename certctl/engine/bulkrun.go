package engine

import (
	"context"
	"errors"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/revocation"
)

const (
	// bulkBatch is how many certificates one transaction revokes.
	bulkBatch = 100
	// bulkSpell is how long a tick goes on; the next one follows at once.
	bulkSpell = 15 * time.Second
)

// runBulkRevocations revokes what bulk revocations have enlisted, the oldest
// one first.
func (e *Engine) runBulkRevocations(ctx context.Context, t *tick) error {
	for begun := e.now(); e.now().Sub(begun) < bulkSpell; {
		more, err := e.stepBulkRevocation(ctx, t)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// bulkDue reports whether there is anything to do.
func (e *Engine) bulkDue(ctx context.Context) (due bool, err error) {
	err = e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		b, err := first(ctx, r.BulkRevocations(), liveBulk())
		due = b != nil
		return err
	})
	return due, err
}

func liveBulk() certctl.BulkFilter {
	return certctl.BulkFilter{Statuses: []string{string(certctl.BulkPending), string(certctl.BulkRunning)}}
}

// stepBulkRevocation revokes the next batch. The items say what is left, so
// that going on after a crash is the same as going on.
func (e *Engine) stepBulkRevocation(ctx context.Context, t *tick) (more bool, err error) {
	var b *certctl.BulkRevocation
	var ids []string
	err = e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		ids = nil
		if b, err = first(ctx, r.BulkRevocations(), liveBulk()); err != nil || b == nil {
			return err
		}
		page, err := r.BulkItems().List(ctx, pendingItems(b.ID), certctl.Page{Limit: bulkBatch})
		if err != nil {
			return err
		}
		for _, i := range page.Items {
			ids = append(ids, i.CertificateID)
		}
		return nil
	})
	if err != nil || b == nil {
		return false, err
	}
	ctx = certctl.WithActor(ctx, certctl.Actor{ID: b.RequestedBy, Name: b.RequestedByName, Type: b.RequestedByType, Role: certctl.RoleAdmin, RequestID: b.RequestID})
	if len(ids) == 0 {
		return true, t.update(ctx, func(ctx context.Context, tx certctl.Tx) error { return completeBulk(ctx, tx, b.ID) })
	}
	keep, err := e.crlKeepers(ctx, ids...)
	if err != nil {
		return false, err
	}
	err = e.revokeBatch(ctx, t, b.ID, ids, keep)
	if err == nil || !oneItemsFault(err) {
		return err == nil, err
	}
	// One of them spoils the transaction of all: one by one, then, and each twice
	// before it counts as failed.
	for _, id := range ids {
		err := e.revokeBatch(ctx, t, b.ID, []string{id}, keep)
		if err != nil && oneItemsFault(err) {
			err = e.revokeBatch(ctx, t, b.ID, []string{id}, keep)
		}
		if err != nil && oneItemsFault(err) {
			e.log.ErrorContext(ctx, "a certificate of a bulk revocation was not revoked", "bulk", b.ID, "certificate", id, "error", err)
			err = t.update(ctx, func(ctx context.Context, tx certctl.Tx) error { return failItem(ctx, tx, b.ID, id, err) })
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

func pendingItems(bulkID string, certificateIDs ...string) certctl.BulkItemFilter {
	return certctl.BulkItemFilter{BulkID: bulkID, Statuses: []string{string(certctl.BulkItemPending)}, CertificateIDs: certificateIDs}
}

// oneItemsFault tells what may be wrong with a certificate from what is wrong
// with the process or the database: the latter is waited for.
func oneItemsFault(err error) bool {
	for _, general := range []error{certctl.ErrUnavailable, certctl.ErrFenced, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, general) {
			return false
		}
	}
	return true
}

// revokeBatch revokes certificates in one transaction, exactly as Revoke does,
// and notes what became of each.
func (e *Engine) revokeBatch(ctx context.Context, t *tick, bulkID string, ids []string, keep crlKeepers) error {
	return t.update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		b, err := tx.BulkRevocations().Get(ctx, bulkID)
		if err != nil {
			return err
		}
		// Again, for a commit that seemed to fail may have been one.
		items, err := all(ctx, tx.BulkItems(), pendingItems(bulkID, ids...))
		if err != nil || len(items) == 0 {
			return err
		}
		subjects, err := e.revocationSubjects(ctx, tx.Reader(), ids...)
		if err != nil {
			return err
		}
		byID := make(map[string]*subject, len(subjects))
		for _, s := range subjects {
			byID[s.cert.ID] = s
		}
		in := RevokeOptions{Reason: revocation.Reason(b.Reason), InvalidSince: b.InvalidSince}
		for _, i := range items {
			if err := e.revokeItem(ctx, tx, i, byID[i.CertificateID], in, keep); err != nil {
				return err
			}
			count(b, i.Status)
			i.ProcessedAt = tx.Now()
			if err := tx.BulkItems().Update(ctx, i); err != nil {
				return err
			}
		}
		return saveProgress(ctx, tx, b)
	})
}

// revokeItem decides about one certificate, and writes nothing unless it can be
// revoked.
func (e *Engine) revokeItem(ctx context.Context, tx certctl.Tx, i *certctl.BulkItem, s *subject, in RevokeOptions, keep crlKeepers) error {
	if s == nil {
		i.Status, i.Reason = certctl.BulkItemFailed, "the certificate is not there any more"
		return nil
	}
	versions, err := s.toRevoke(in, tx.Now())
	if err != nil {
		i.Status, i.Reason = certctl.BulkItemSkipped, err.Error()
		return nil //nolint:nilerr // the item tells; the others go on
	}
	if err := keep.known(versions); err != nil {
		i.Status, i.Reason = certctl.BulkItemFailed, tellable(err)
		return nil
	}
	rows, err := e.revokeVersions(ctx, tx, s, versions, in, keep)
	i.Status, i.Serials = certctl.BulkItemRevoked, len(rows)
	return err
}

// tellable is an error's text where it was written for people.
func tellable(err error) string {
	if _, ok := errors.AsType[*certctl.Error](err); ok {
		return clip(err.Error(), 2000)
	}
	if _, ok := asInvalid(err); ok {
		return clip(err.Error(), 2000)
	}
	return "an internal error; the server's log tells which"
}

func count(b *certctl.BulkRevocation, s certctl.BulkItemStatus) {
	switch s {
	case certctl.BulkItemRevoked:
		b.Revoked++
	case certctl.BulkItemSkipped:
		b.Skipped++
	case certctl.BulkItemFailed:
		b.Failed++
	}
}

func saveProgress(ctx context.Context, tx certctl.Tx, b *certctl.BulkRevocation) error {
	if err := b.Become(certctl.BulkRunning); err != nil {
		return err
	}
	if b.StartedAt.IsZero() {
		b.StartedAt = tx.Now()
	}
	return tx.BulkRevocations().Update(ctx, b)
}

func failItem(ctx context.Context, tx certctl.Tx, bulkID, certificateID string, why error) error {
	i, err := tx.BulkItems().Get(ctx, certctl.BulkItemID(bulkID, certificateID))
	if err != nil || i.Status != certctl.BulkItemPending {
		return err
	}
	b, err := tx.BulkRevocations().Get(ctx, bulkID)
	if err != nil {
		return err
	}
	i.Status, i.Reason, i.ProcessedAt = certctl.BulkItemFailed, tellable(why), tx.Now()
	if err := tx.BulkItems().Update(ctx, i); err != nil {
		return err
	}
	count(b, i.Status)
	return saveProgress(ctx, tx, b)
}

func completeBulk(ctx context.Context, tx certctl.Tx, id string) error {
	b, err := tx.BulkRevocations().Get(ctx, id)
	if err != nil || b.Status == certctl.BulkCompleted {
		return err
	}
	if err := b.Become(certctl.BulkCompleted); err != nil {
		return err
	}
	b.CompletedAt = tx.Now()
	if err := tx.BulkRevocations().Update(ctx, b); err != nil {
		return err
	}
	d := details{"affected": b.Affected, "revoked": b.Revoked, "skipped": b.Skipped, "failed": b.Failed}
	if err := audit(ctx, tx, "bulk_revocation_completed", "bulk_revocation", id, d); err != nil {
		return err
	}
	return tx.Emit(ctx, certctl.BulkRevocationFinished{BulkID: id, Revoked: b.Revoked, Skipped: b.Skipped, Failed: b.Failed})
}
