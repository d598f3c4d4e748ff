package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
)

func claim(t *testing.T, s certctl.Store, executor, worker string, n int, lease time.Duration) (out []*certctl.Job) {
	t.Helper()
	Update(t, s, func(ctx context.Context, tx certctl.Tx) (err error) {
		out, err = tx.Jobs().Claim(ctx, executor, worker, n, lease)
		return err
	})
	return out
}

func testClaim(t *testing.T, s certctl.Store) {
	Seed(t, s)
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		for i := range 4 {
			if err := tx.Certificates().Insert(ctx, Certificate(fmt.Sprintf("mc-%d", i))); err != nil {
				return err
			}
		}
		later, csr, agent := Job("job-later", "mc-1", tx.Now().Add(time.Hour)), Job("job-csr", "mc-2", tx.Now()), Job("job-agent", "mc-3", tx.Now())
		csr.Status, csr.Executor, csr.AgentID = certctl.JobAwaitingCSR, "ag-1", "ag-1"
		agent.Executor, agent.AgentID = "ag-1", "ag-1"
		return tx.Jobs().Insert(ctx, Job("job-now", "mc-0", tx.Now()), later, csr, agent)
	})
	got := claim(t, s, certctl.ExecutorServer, "w1", 10, time.Minute)
	if len(got) != 1 || got[0].ID != "job-now" || got[0].Status != certctl.JobRunning || got[0].Fence != 1 || got[0].Worker != "w1" || got[0].Attempts != 0 || got[0].StartedAt.IsZero() {
		t.Fatalf("claimed %+v", got)
	}
	if again := claim(t, s, certctl.ExecutorServer, "w2", 10, time.Minute); len(again) != 0 {
		t.Errorf("a leased job was claimed: %v", again[0].ID)
	}
	mine := claim(t, s, "ag-1", "ag-1", 10, time.Minute)
	if len(mine) != 2 {
		t.Fatalf("the agent got %d jobs", len(mine))
	}
	for _, j := range mine {
		if j.ID == "job-csr" && j.Status != certctl.JobAwaitingCSR {
			t.Errorf("job-csr is %s", j.Status)
		}
	}
	if none := claim(t, s, "", "nobody", 10, time.Minute); len(none) != 0 {
		t.Error("a job of nobody was claimed")
	}
}

func testClaimRace(t *testing.T, s certctl.Store) {
	Seed(t, s)
	const jobs = 60
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		for i := range jobs {
			id := fmt.Sprintf("%d", i)
			if err := tx.Certificates().Insert(ctx, Certificate("mc-"+id)); err != nil {
				return err
			}
			if err := tx.Jobs().Insert(ctx, Job("job-"+id, "mc-"+id, tx.Now())); err != nil {
				return err
			}
		}
		return nil
	})
	var mu sync.Mutex
	seen := map[string]int{}
	var group sync.WaitGroup
	for w := range 6 {
		group.Go(func() {
			for {
				var got []*certctl.Job
				err := s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) (err error) {
					got, err = tx.Jobs().Claim(ctx, certctl.ExecutorServer, fmt.Sprint("w", w), 3, time.Hour)
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				if len(got) == 0 {
					return
				}
				mu.Lock()
				for _, j := range got {
					seen[j.ID]++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
	if len(seen) != jobs {
		t.Errorf("%d of %d jobs were claimed", len(seen), jobs)
	}
}

// testFence lets a lease run out: the late holder can write nothing.
func testFence(t *testing.T, s certctl.Store) {
	Seed(t, s)
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		if err := tx.Certificates().Insert(ctx, Certificate("mc-1")); err != nil {
			return err
		}
		return tx.Jobs().Insert(ctx, Job("job-1", "mc-1", tx.Now()))
	})
	late := claim(t, s, certctl.ExecutorServer, "w1", 1, -time.Second)[0]
	next := claim(t, s, certctl.ExecutorServer, "w2", 1, time.Minute)
	if len(next) != 1 || next[0].Fence != late.Fence+1 || next[0].Attempts != 1 {
		t.Fatalf("taken over: %+v", next)
	}
	err := s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error {
		_, err := tx.Jobs().Hold(ctx, "job-1", late.Fence)
		return err
	})
	want(t, err, certctl.ErrFenced)
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		j, err := tx.Jobs().Hold(ctx, "job-1", next[0].Fence)
		if err != nil {
			return err
		}
		if err := j.Become(certctl.JobCompleted); err != nil {
			return err
		}
		return tx.Jobs().Update(ctx, j)
	})
	err = s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error {
		_, err := tx.Jobs().Hold(ctx, "job-1", next[0].Fence)
		return err
	})
	want(t, err, certctl.ErrFenced)
}

// testRelease: workers that are known to be dead hold nobody up, and write
// nothing if they were not.
func testRelease(t *testing.T, s certctl.Store) {
	Seed(t, s)
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		if err := tx.Certificates().Insert(ctx, Certificate("mc-1"), Certificate("mc-2")); err != nil {
			return err
		}
		return tx.Jobs().Insert(ctx, Job("job-1", "mc-1", tx.Now()), Job("job-2", "mc-2", tx.Now()))
	})
	one, two := claim(t, s, certctl.ExecutorServer, "w1", 1, time.Hour)[0], claim(t, s, certctl.ExecutorServer, "w2", 1, time.Hour)[0]
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		n, err := tx.Jobs().Release(ctx, certctl.ExecutorServer, "w1")
		if n != 1 {
			t.Errorf("%d leases ended", n)
		}
		return err
	})
	again := claim(t, s, certctl.ExecutorServer, "w3", 10, time.Hour)
	if len(again) != 1 || again[0].ID != one.ID || again[0].Attempts != 0 {
		t.Fatalf("claimed %+v", again)
	}
	err := s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error {
		_, err := tx.Jobs().Hold(ctx, one.ID, one.Fence)
		return err
	})
	want(t, err, certctl.ErrFenced)
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		if _, err := tx.Jobs().Hold(ctx, two.ID, two.Fence); err != nil {
			t.Errorf("another worker's lease was ended: %v", err)
		}
		_, err := tx.Jobs().Release(ctx, certctl.ExecutorServer, "")
		return err
	})
	if all := claim(t, s, certctl.ExecutorServer, "w4", 10, time.Hour); len(all) != 2 {
		t.Errorf("%d jobs after all leases were ended", len(all))
	}
}

func testLiveJobs(t *testing.T, s certctl.Store) {
	Seed(t, s)
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		if err := tx.Certificates().Insert(ctx, Certificate("mc-1")); err != nil {
			return err
		}
		return tx.Jobs().Insert(ctx, Job("job-1", "mc-1", tx.Now()))
	})
	second := func() error {
		return s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error {
			j := Job("job-2", "mc-1", tx.Now())
			j.Type = certctl.JobRenewal
			return tx.Jobs().Insert(ctx, j)
		})
	}
	want(t, second(), certctl.ErrConflict)
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		j, err := tx.Jobs().Get(ctx, "job-1")
		if err != nil {
			return err
		}
		j.Status = certctl.JobFailed
		return tx.Jobs().Update(ctx, j)
	})
	if err := second(); err != nil {
		t.Error(err)
	}
}

func testOpenOrders(t *testing.T, s certctl.Store) {
	Seed(t, s)
	order := func(id, serial string) *certctl.Order {
		return &certctl.Order{ID: id, CertificateID: "mc-1", Generation: 1, JobID: "job-1", IssuerID: "iss-1", State: certctl.OrderOpen, Serial: serial, NotBefore: time.Now()}
	}
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		if err := tx.Certificates().Insert(ctx, Certificate("mc-1")); err != nil {
			return err
		}
		return tx.Orders().Insert(ctx, order("ord-1", "aa"))
	})
	insert := func(o *certctl.Order) error {
		return s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error { return tx.Orders().Insert(ctx, o) })
	}
	want(t, insert(order("ord-2", "bb")), certctl.ErrConflict)
	closed := order("ord-3", "aa") // the serial is taken for ever
	closed.State = certctl.OrderAbandoned
	want(t, insert(closed), certctl.ErrConflict)
}

func testLeases(t *testing.T, s certctl.Store) {
	take := func(holder string, every, ttl time.Duration) (l *certctl.Lease) {
		Update(t, s, func(ctx context.Context, tx certctl.Tx) (err error) {
			l, err = tx.Leases().Take(ctx, "loop", holder, every, ttl)
			return err
		})
		return l
	}
	hold := func(fence int64) error {
		return s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error { return tx.Leases().Hold(ctx, "loop", fence) })
	}
	a := take("a", 0, time.Hour)
	if a == nil || a.Holder != "a" {
		t.Fatalf("%+v", a)
	}
	if b := take("b", 0, time.Hour); b != nil {
		t.Error("two hold one lease")
	}
	if err := hold(a.Fence); err != nil {
		t.Error(err)
	}
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		return tx.Leases().Release(ctx, "loop", a.Fence, "oops")
	})
	want(t, hold(a.Fence), certctl.ErrFenced)
	if b := take("b", time.Hour, time.Hour); b != nil {
		t.Error("the tick ran again too early")
	}
	b := take("b", 0, -time.Second) // runs out at once
	c := take("c", 0, time.Hour)
	if b == nil || c == nil || c.Fence <= b.Fence {
		t.Fatalf("%+v, %+v", b, c)
	}
	want(t, hold(b.Fence), certctl.ErrFenced)
	View(t, s, func(ctx context.Context, r certctl.Reader) error {
		l, err := r.Leases(ctx)
		if err == nil && (len(l) != 1 || l[0].LastError != "oops" || l[0].LastRun.IsZero()) {
			t.Errorf("%+v", l)
		}
		return err
	})
}
