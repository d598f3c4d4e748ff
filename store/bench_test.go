package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/store"
	"github.com/certctl/certctl/store/storetest"
)

// bench runs a benchmark on both databases, filled with n certificates.
func bench(b *testing.B, n int, f func(b *testing.B, s *store.Store)) {
	for name, open := range map[string]func(testing.TB, ...storetest.Option) *store.Store{"sqlite": storetest.Open, "postgres": storetest.OpenPostgres} {
		b.Run(name, func(b *testing.B) {
			s := open(b)
			storetest.Seed(b, s)
			storetest.Update(b, s, func(ctx context.Context, tx certctl.Tx) error {
				for i := range n {
					if err := tx.Certificates().Insert(ctx, storetest.Certificate(fmt.Sprintf("mc-%d", i))); err != nil {
						return err
					}
				}
				return nil
			})
			b.ResetTimer()
			f(b, s)
		})
	}
}

func BenchmarkGet(b *testing.B) {
	bench(b, 1000, func(b *testing.B, s *store.Store) {
		for b.Loop() {
			storetest.View(b, s, func(ctx context.Context, r certctl.Reader) error {
				_, err := r.Certificates().Get(ctx, "mc-500")
				return err
			})
		}
	})
}

func BenchmarkList(b *testing.B) {
	bench(b, 1000, func(b *testing.B, s *store.Store) {
		for b.Loop() {
			storetest.View(b, s, func(ctx context.Context, r certctl.Reader) error {
				_, err := r.Certificates().List(ctx, certctl.CertificateFilter{Statuses: []string{"Pending"}}, certctl.Page{Limit: 50, Sort: "name"})
				return err
			})
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	bench(b, 1, func(b *testing.B, s *store.Store) {
		for b.Loop() {
			storetest.Update(b, s, func(ctx context.Context, tx certctl.Tx) error {
				c, err := tx.Certificates().Get(ctx, "mc-0")
				if err != nil {
					return err
				}
				return tx.Certificates().Update(ctx, c)
			})
		}
	})
}

// BenchmarkClaim claims, and gives back, one job.
func BenchmarkClaim(b *testing.B) {
	bench(b, 1, func(b *testing.B, s *store.Store) {
		storetest.Update(b, s, func(ctx context.Context, tx certctl.Tx) error {
			return tx.Jobs().Insert(ctx, storetest.Job("job-1", "mc-0", tx.Now()))
		})
		for b.Loop() {
			storetest.Update(b, s, func(ctx context.Context, tx certctl.Tx) error {
				jobs, err := tx.Jobs().Claim(ctx, certctl.ExecutorServer, "w", 1, time.Minute)
				if err != nil || len(jobs) != 1 {
					return fmt.Errorf("claimed %d: %w", len(jobs), err)
				}
				_, err = tx.Jobs().Release(ctx, certctl.ExecutorServer, "w")
				return err
			})
		}
	})
}
