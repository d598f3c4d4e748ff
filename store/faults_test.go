package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/store"
	"github.com/certctl/certctl/store/storetest"
)

// TestWholeOrNone fails the n-th statement or commit of a transaction, for all
// n: after it, all of the transaction is there, or nothing.
func TestWholeOrNone(t *testing.T) {
	for name, open := range map[string]func(*testing.T, *storetest.Faults) *store.Store{
		"sqlite": func(t *testing.T, f *storetest.Faults) *store.Store {
			return storetest.Open(t, storetest.WithWrap(f.Wrap))
		},
		"postgres": func(t *testing.T, f *storetest.Faults) *store.Store {
			return storetest.OpenPostgres(t, storetest.WithWrap(f.Wrap))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := &storetest.Faults{}
			s := open(t, f)
			storetest.Seed(t, s)
			for n := 1; ; n++ {
				for _, after := range []bool{false, true} {
					id := certctl.NewID("mc", time.Now())
					f.Arm(n, after)
					err := s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error {
						if err := tx.Certificates().Insert(ctx, storetest.Certificate(id)); err != nil {
							return err
						}
						if err := tx.Jobs().Insert(ctx, storetest.Job("job-"+id, id, tx.Now())); err != nil {
							return err
						}
						return errors.Join(tx.Append(ctx, &certctl.AuditEntry{Action: "x", ResourceID: id}), tx.Emit(ctx, certctl.JobFinished{JobID: id}))
					})
					hit := f.Hit()
					f.Arm(0, false)
					if hit != (err != nil) {
						t.Fatalf("operation %d: hit %v, error %v", n, hit, err)
					}
					if certificate, job, entry := there(t, s, id); certificate != job || job != entry {
						t.Errorf("operation %d, after its effect %v: certificate %v, job %v, audit %v", n, after, certificate, job, entry)
					} else if err == nil && !certificate {
						t.Errorf("operation %d: committed, and nothing is there", n)
					}
					if !hit {
						if n < 5 {
							t.Fatalf("the transaction has only %d operations", n)
						}
						return
					}
				}
			}
		})
	}
}

func there(t *testing.T, s *store.Store, id string) (certificate, job, entry bool) {
	storetest.View(t, s, func(ctx context.Context, r certctl.Reader) error {
		_, err := r.Certificates().Get(ctx, id)
		certificate = err == nil
		_, err = r.Jobs().Get(ctx, "job-"+id)
		job = err == nil
		n, err := r.Audit().Count(ctx, certctl.AuditFilter{ResourceIDs: []string{id}})
		entry = n == 1
		return err
	})
	return certificate, job, entry
}
