package engine

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/lint"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/crl"
)

// CRL returns an issuer's CRL, which covers every revocation that is in the
// store: where the stored one does not, or is past half of its life, a new one
// is made first. When that fails, the stored one is served until it ends.
func (e *Engine) CRL(ctx context.Context, issuerID string) (*certctl.CRL, error) {
	c, err := e.signingCA(ctx, issuerID)
	if err != nil {
		return nil, err
	}
	stored, sequence, err := e.storedCRL(ctx, c.keyID)
	if err != nil {
		return nil, err
	}
	now := e.now()
	if stored != nil && stored.Sequence >= sequence && now.Before(stored.ThisUpdate.Add(stored.NextUpdate.Sub(stored.ThisUpdate)/2)) {
		return stored, nil
	}
	fresh, err := e.generateCRL(ctx, c)
	if err != nil && stored != nil && now.Before(stored.NextUpdate) {
		e.log.ErrorContext(ctx, "a CRL was not made; the stored one is served", "issuer", issuerID, "error", err)
		return stored, nil
	}
	return fresh, err
}

func (e *Engine) storedCRL(ctx context.Context, keyID string) (stored *certctl.CRL, sequence int64, err error) {
	err = e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		stored = nil
		if sequence, err = r.RevocationSequence(ctx, keyID); err != nil {
			return err
		}
		row, err := r.CRLs().Get(ctx, keyID)
		if isNotFound(err) {
			return nil
		}
		stored = row
		return err
	})
	return stored, sequence, err
}

// generateCRL makes and stores the next CRL, once for all who ask at once.
func (e *Engine) generateCRL(ctx context.Context, c *ca) (*certctl.CRL, error) {
	v, err, _ := e.crls.Do(c.keyID, func() (any, error) {
		begun := e.now()
		row, err := e.buildCRL(ctx, c)
		g := &certctl.CRLGeneration{
			ID: certctl.NewID("crlgen", begun), IssuerKeyID: c.keyID, IssuerID: c.issuerID, StartedAt: begun, Duration: e.now().Sub(begun), Succeeded: err == nil,
		}
		if err != nil {
			g.Error = clip(err.Error(), 2000)
		} else {
			row.Duration, g.Number, g.RevokedCount = g.Duration, row.Number, row.RevokedCount
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
			stored, sequence, err := e.storedCRL(ctx, c.keyID)
			if err == nil && stored != nil && stored.Sequence >= sequence {
				return stored, nil
			}
		}
		return row, errors.Join(err, failed)
	})
	if err != nil {
		return nil, err
	}
	return v.(*certctl.CRL), nil
}

func (e *Engine) buildCRL(ctx context.Context, c *ca) (*certctl.CRL, error) {
	if e.source == nil {
		return nil, errors.New("engine: Options.Revocations is not set, so no CRL can be made")
	}
	// The sequence is read before the entries: the list covers it at least.
	stored, sequence, err := e.storedCRL(ctx, c.keyID)
	if err != nil {
		return nil, err
	}
	var previous *big.Int
	if stored != nil {
		previous = big.NewInt(stored.Number)
	}
	now := e.now().UTC().Truncate(time.Second)
	number, err := crl.NextNumber(previous, now)
	if err != nil {
		return nil, err
	}
	if !number.Int().IsInt64() {
		return nil, fmt.Errorf("engine: CRL number %s does not fit the store", number)
	}
	list, err := crl.Build(ctx, e.source, crl.Options{
		CA: c.cert, Signer: c.signer, Number: number, ThisUpdate: now, NextUpdate: now.Add(e.timing.CRLValidity), Lint: lint.CRL,
	})
	if err != nil {
		return nil, err
	}
	return &certctl.CRL{
		ID: c.keyID, IssuerKeyID: c.keyID, IssuerID: c.issuerID, DER: list.DER, Number: number.Int().Int64(), ThisUpdate: list.ThisUpdate,
		NextUpdate: list.NextUpdate, GeneratedAt: e.now(), RevokedCount: list.Count, Sequence: sequence,
	}, nil
}

// refreshCRLs makes the CRL of every issuer of ours that is older than the
// loop's interval, and rotates responder certificates in time.
func (e *Engine) refreshCRLs(ctx context.Context, t *tick) error {
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
		if err := e.refreshCRL(ctx, t, row); err != nil {
			failed = errors.Join(failed, fmt.Errorf("issuer %s: %w", row.ID, err))
		}
	}
	return failed
}

func (e *Engine) refreshCRL(ctx context.Context, t *tick, row *certctl.Issuer) error {
	i, err := e.connect(ctx, row)
	if err != nil {
		return err
	}
	if _, ours := issuer.As[issuer.SigningAuthority](i); !ours {
		return nil
	}
	if _, err := e.OCSPIssuer(ctx, row.ID); err != nil {
		return err
	}
	c, err := e.signingCA(ctx, row.ID)
	if errors.Is(err, revocation.ErrUnknownIssuer) {
		return nil
	}
	if err != nil {
		return err
	}
	stored, _, err := e.storedCRL(ctx, c.keyID)
	if err != nil || (stored != nil && t.now.Sub(stored.ThisUpdate) < e.timing.CRLGeneration/2) {
		return err
	}
	if err := t.update(ctx, func(context.Context, certctl.Tx) error { return nil }); err != nil {
		return err // the lease is lost
	}
	_, err = e.generateCRL(ctx, c)
	return err
}
