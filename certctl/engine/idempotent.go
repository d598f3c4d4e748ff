package engine

import (
	"context"
	"errors"
	"time"

	"github.com/certctl/certctl/certctl"
)

// Idempotency keys: how long an answer is kept, and after how long a request
// that never ended counts as dead.
const (
	idempotencyKept = 24 * time.Hour
	idempotencyDead = 5 * time.Minute
)

// BeginIdempotent starts a keyed request. nil, nil: go on. A record: replay
// its answer. ErrConflict: the same request is in flight. ErrInvalid: the key
// was used for another request.
func (e *Engine) BeginIdempotent(ctx context.Context, id, requestHash string) (*certctl.IdempotencyRecord, error) {
	var replay *certctl.IdempotencyRecord
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		replay = nil
		now := tx.Now()
		known, err := tx.Idempotency().Get(ctx, id)
		if err != nil && !isNotFound(err) {
			return err
		}
		if known != nil && now.Before(known.ExpiresAt) {
			switch {
			case known.RequestHash != requestHash:
				return certctl.Invalid("Idempotency-Key", certctl.Problem{Field: "Idempotency-Key", Message: "was used for another request; use a new one"})
			case known.Status == 0:
				return certctl.Errorf(certctl.ErrConflict, "the same request is being worked on; ask again in a moment")
			}
			replay = known
			return nil
		}
		if known != nil {
			if err := tx.Idempotency().Delete(ctx, id); err != nil {
				return err
			}
		}
		return tx.Idempotency().Insert(ctx, &certctl.IdempotencyRecord{ID: id, RequestHash: requestHash, ExpiresAt: now.Add(idempotencyDead)})
	})
	return replay, err
}

// FinishIdempotent stores the answer to a keyed request.
func (e *Engine) FinishIdempotent(ctx context.Context, id string, status int, header string, body []byte) error {
	return e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		r, err := tx.Idempotency().Get(ctx, id)
		if err != nil {
			return err
		}
		r.Status, r.Header, r.Body, r.ExpiresAt = status, header, body, tx.Now().Add(idempotencyKept)
		return tx.Idempotency().Update(ctx, r)
	})
}

// DropIdempotent forgets a keyed request whose answer says nothing about it,
// so that it can be repeated.
func (e *Engine) DropIdempotent(ctx context.Context, id string) error {
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		return tx.Idempotency().Delete(ctx, id)
	})
	if errors.Is(err, certctl.ErrNotFound) {
		return nil
	}
	return err
}
