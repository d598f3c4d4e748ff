package store_test

import (
	"context"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/internal/peer"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/crl"
	"github.com/certctl/certctl/revocation/revocationtest"
	"github.com/certctl/certctl/store"
	"github.com/certctl/certctl/store/storetest"
)

// BenchmarkMillionRevoked is Postgres with two million issued certificates, of
// which a million are revoked: the list of all of them, the status of one, and
// what a revocation costs until the feed tells it.
func BenchmarkMillionRevoked(b *testing.B) {
	at := time.Now()
	ca := revocationtest.NewCA(b, "p256", "CRL CA", at)
	key := revocation.KeyID(ca.Cert)
	dsn := peer.Postgres(b).DSN("postgres")
	s, err := store.Open(b.Context(), store.Options{DSN: dsn, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	storetest.Seed(b, s)
	storetest.Update(b, s, func(ctx context.Context, tx certctl.Tx) error {
		if err := tx.Certificates().Insert(ctx, storetest.Certificate("mc-1")); err != nil {
			return err
		}
		return tx.Orders().Insert(ctx, &certctl.Order{ID: "ord-1", CertificateID: "mc-1", JobID: "j", IssuerID: "iss-1", State: certctl.OrderIssued, NotBefore: tx.Now()})
	})
	db := openDB(b, "pgx", dsn)
	for _, q := range []string{
		`INSERT INTO certificate_versions (id, certificate_id, generation, order_id, issuer_id, issuer_key_id, serial, fingerprint_sha256, subject_cn, not_before, not_after,
			key_algorithm, key_size, cert_pem, chain_pem, csr_pem, no_revocation, created_at)
			SELECT 'cv-' || i, 'mc-1', i, 'ord-1', 'iss-1', '` + key + `', '4' || md5(i::text), i::text, 'x', now(), now() + interval '30 days', 'ECDSA-P256', 256, '', '', '', false, now()
			FROM generate_series(1, 2000000) AS i`,
		`INSERT INTO revocations (id, issuer_id, issuer_key_id, serial, certificate_id, version_id, reason, revoked_at, revoked_by, not_after, sequence, issuer_error, attempts, created_at, updated_at, revision)
			SELECT 'rev-' || i, 'iss-1', '` + key + `', '4' || md5(i::text), 'mc-1', 'cv-' || i, 1, now(), 'x', now() + interval '30 days', i, '', 0, now(), now(), 1
			FROM generate_series(1, 1000000) AS i`,
		`INSERT INTO revocation_counters VALUES ('` + key + `', 1000000)`, `ANALYZE`,
	} {
		if _, err := db.ExecContext(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
	serial := func(i int) *big.Int {
		var text string
		if err := db.QueryRowContext(b.Context(), fmt.Sprintf("SELECT '4' || md5('%d')", i)).Scan(&text); err != nil {
			b.Fatal(err)
		}
		n, err := certctl.ParseSerial(text)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	b.Run("CRL", func(b *testing.B) {
		for b.Loop() {
			number, err := crl.NextNumber(nil, at)
			if err != nil {
				b.Fatal(err)
			}
			list, err := crl.Build(b.Context(), s, crl.Options{CA: ca.Cert, Signer: ca.Key, Number: number, ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)})
			if err != nil || list.Count != 1_000_000 {
				b.Fatal(err)
			}
		}
	})
	b.Run("status", func(b *testing.B) {
		n := serial(77)
		for b.Loop() {
			if st, err := s.Status(b.Context(), key, n); err != nil || st.State != revocation.Revoked {
				b.Fatal(st, err)
			}
		}
	})
	b.Run("revocation to feed", func(b *testing.B) {
		i := 1_000_000
		position := int64(i)
		for b.Loop() {
			i++
			n := serial(i)
			storetest.Update(b, s, func(ctx context.Context, tx certctl.Tx) error {
				return tx.Revocations().Insert(ctx, &certctl.Revocation{
					ID: fmt.Sprint("rev-", i), IssuerID: "iss-1", IssuerKeyID: key, Serial: certctl.SerialText(n), CertificateID: "mc-1", VersionID: fmt.Sprint("cv-", i),
					Reason: 1, RevokedAt: tx.Now(), NotAfter: tx.Now().Add(time.Hour),
				})
			})
			told := 0
			var err error
			if position, err = s.Changes(b.Context(), key, position, func(*big.Int) error { told++; return nil }); err != nil || told != 1 {
				b.Fatal(told, err)
			}
		}
	})
}
