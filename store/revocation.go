package store

import (
	"context"
	"database/sql"
	"math/big"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/revocation"
	"github.com/uptrace/bun"
)

var _ revocation.Feed = (*Store)(nil)

// Status implements revocation.Source: a serial is revoked when a revocation
// says so, good when it was issued, and unknown otherwise.
func (s *Store) Status(ctx context.Context, issuerKeyID string, serial *big.Int) (revocation.Status, error) {
	text := certctl.SerialText(serial)
	var row struct {
		Reason    *int64
		RevokedAt *time.Time
		Invalid   *time.Time
		NotAfter  time.Time
	}
	err := s.read.NewRaw(`SELECT r.reason, r.revoked_at, r.invalid_since, v.not_after FROM certificate_versions v
		LEFT JOIN revocations r ON r.issuer_key_id = v.issuer_key_id AND r.serial = v.serial AND r.released_at IS NULL
		WHERE v.issuer_key_id = ? AND v.serial = ?
		UNION ALL SELECT NULL, NULL, NULL, p.not_after FROM responders p WHERE p.issuer_key_id = ? AND p.cert_serial = ?`,
		issuerKeyID, text, issuerKeyID, text).Scan(ctx, &row.Reason, &row.RevokedAt, &row.Invalid, &row.NotAfter)
	if err = translate(err, "serial", opRead); isNotFound(err) {
		return revocation.Status{State: revocation.Unknown}, nil
	}
	if err != nil {
		return revocation.Status{}, err
	}
	out := revocation.Status{State: revocation.Good, NotAfter: stamp(row.NotAfter)}
	if row.Reason != nil && row.RevokedAt != nil {
		out.State, out.Reason, out.At = revocation.Revoked, revocation.Reason(*row.Reason), stamp(*row.RevokedAt)
		if row.Invalid != nil {
			out.Invalid = stamp(*row.Invalid)
		}
	}
	return out, nil
}

// Revoked implements revocation.Source. An entry leaves when a CRL of the same
// scope, whose thisUpdate is later than the certificate's expiry, was stored.
// Rows are streamed from one snapshot.
func (s *Store) Revoked(ctx context.Context, sel revocation.Selection, yield func(*big.Int, revocation.Status) error) error {
	return s.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		q := r.(reader).t.db.NewSelect().TableExpr("revocations AS r").ColumnExpr("r.serial, r.reason, r.revoked_at, r.invalid_since, r.not_after, r.released_at").
			Where("r.issuer_key_id = ?", sel.IssuerKeyID)
		if sel.Shard > 0 {
			q = q.Where("r.crl_shard = ?", sel.Shard)
		}
		if sel.Delta {
			q = q.Where("r.sequence > ?", sel.Since)
		} else {
			q = q.Where("r.released_at IS NULL").
				Where("r.not_after >= COALESCE((SELECT c.this_update FROM crls c WHERE c.id = ?), r.not_after)", certctl.CRLID(sel.IssuerKeyID, sel.Shard, false))
		}
		return stream(ctx, q, func(rows *sql.Rows) error {
			var text sql.RawBytes
			var reason int
			var at, notAfter time.Time
			var invalid, released sql.NullTime
			n := new(big.Int)
			for rows.Next() {
				if err := rows.Scan(&text, &reason, &at, &invalid, &notAfter, &released); err != nil {
					return err
				}
				if err := parseSerial(n, text); err != nil {
					return err
				}
				st := revocation.Status{State: revocation.Revoked, Reason: revocation.Reason(reason), At: at, Invalid: invalid.Time, NotAfter: notAfter}
				if released.Valid {
					st = revocation.Status{State: revocation.Good, NotAfter: notAfter}
				}
				if err := yield(n, st); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// Changes implements revocation.Feed.
func (s *Store) Changes(ctx context.Context, issuerKeyID string, since int64, yield func(*big.Int) error) (int64, error) {
	now := since
	err := s.read.NewRaw("SELECT sequence FROM revocation_counters WHERE issuer_key_id = ?", issuerKeyID).Scan(ctx, &now)
	if err = translate(err, "revocation counter", opRead); isNotFound(err) {
		now, err = 0, nil
	}
	if err != nil || now == since {
		return since, err
	}
	if now < since { // a backup was restored
		return now, revocation.ErrAllChanged
	}
	q := s.read.NewSelect().TableExpr("revocations AS r").ColumnExpr("r.serial").
		Where("r.issuer_key_id = ? AND r.sequence > ?", issuerKeyID, since)
	err = stream(ctx, q, func(rows *sql.Rows) error {
		var text sql.RawBytes
		n := new(big.Int)
		for rows.Next() {
			if err := rows.Scan(&text); err != nil {
				return err
			}
			if err := parseSerial(n, text); err != nil {
				return err
			}
			if err := yield(n); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return since, err
	}
	return now, nil
}

// stream hands out the rows of a query while they come in.
func stream(ctx context.Context, q *bun.SelectQuery, read func(*sql.Rows) error) error {
	rows, err := q.Rows(ctx)
	if err != nil {
		return translate(err, "revocation", opRead)
	}
	defer rows.Close()
	if err := read(rows); err != nil {
		return err
	}
	return translate(rows.Err(), "revocation", opRead)
}

// parseSerial reads a serial as rows hold it: certctl.SerialText.
func parseSerial(n *big.Int, text []byte) error {
	if _, ok := n.SetString(string(text), 16); !ok {
		return certctl.Errorf(certctl.ErrInvalid, "a stored serial number is not hexadecimal: %.60q", text)
	}
	return nil
}
