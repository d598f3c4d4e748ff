package store

import (
	"context"
	"math/big"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/revocation"
)

// Status implements revocation.Source: a serial is revoked when a revocation
// says so, good when it was issued, and unknown otherwise.
func (s *Store) Status(ctx context.Context, issuerKeyID string, serial *big.Int) (revocation.Status, error) {
	text := certctl.SerialText(serial)
	var row struct {
		Reason    *int64
		RevokedAt *time.Time
		NotAfter  time.Time
	}
	err := s.read.NewRaw(`SELECT r.reason, r.revoked_at, v.not_after FROM certificate_versions v
		LEFT JOIN revocations r ON r.issuer_key_id = v.issuer_key_id AND r.serial = v.serial
		WHERE v.issuer_key_id = ? AND v.serial = ?
		UNION ALL SELECT NULL, NULL, p.not_after FROM responders p WHERE p.issuer_key_id = ? AND p.cert_serial = ?`,
		issuerKeyID, text, issuerKeyID, text).Scan(ctx, &row.Reason, &row.RevokedAt, &row.NotAfter)
	if err = translate(err, "serial", opRead); isNotFound(err) {
		return revocation.Status{State: revocation.Unknown}, nil
	}
	if err != nil {
		return revocation.Status{}, err
	}
	out := revocation.Status{State: revocation.Good, NotAfter: stamp(row.NotAfter)}
	if row.Reason != nil && row.RevokedAt != nil {
		out.State, out.Reason, out.At = revocation.Revoked, revocation.Reason(*row.Reason), stamp(*row.RevokedAt)
	}
	return out, nil
}

// revokedPage bounds how many entries are in memory at once.
const revokedPage = 2000

// Revoked implements revocation.Source. An entry leaves when a CRL whose
// thisUpdate is later than the certificate's expiry was stored.
func (s *Store) Revoked(ctx context.Context, issuerKeyID string, _ time.Time, yield func(*big.Int, revocation.Status) error) error {
	return s.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		b := r.(reader).t.db
		last := ""
		for {
			var rows []*certctl.Revocation
			err := b.NewSelect().Model(&rows).Where("revocation.issuer_key_id = ? AND revocation.serial > ?", issuerKeyID, last).
				Where("revocation.not_after >= COALESCE((SELECT c.this_update FROM crls c WHERE c.issuer_key_id = ?), revocation.not_after)", issuerKeyID).
				OrderExpr("revocation.serial").Limit(revokedPage).Scan(ctx)
			if err != nil {
				return translate(err, "revocation", opRead)
			}
			for _, row := range rows {
				n, err := certctl.ParseSerial(row.Serial)
				if err != nil {
					return err
				}
				st := revocation.Status{State: revocation.Revoked, Reason: revocation.Reason(row.Reason), At: stamp(row.RevokedAt), NotAfter: stamp(row.NotAfter)}
				if err := yield(n, st); err != nil {
					return err
				}
				last = row.Serial
			}
			if len(rows) < revokedPage {
				return nil
			}
		}
	})
}
