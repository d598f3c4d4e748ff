package engine_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/store/storetest"
)

// fast makes the loops look often; the clock of the test decides what is due.
func fast(t *testing.T) *setup {
	t.Helper()
	s := newSetup(t)
	e := s.opts
	e.Timing = engine.Timing{
		JobPoll: 5 * time.Millisecond, RenewalCheck: 5 * time.Millisecond, Retry: 5 * time.Millisecond, Reaper: 5 * time.Millisecond,
		Expiry: 5 * time.Millisecond, AgentHealth: 5 * time.Millisecond, Alerts: 5 * time.Millisecond, CRLGeneration: time.Hour, AgentSilence: 10000 * time.Hour,
	}
	var err error
	if s.Engine, err = engine.New(e); err != nil {
		t.Fatal(err)
	}
	return s
}

// settle lets the loops and the bot do what is due: it ends when each loop has
// begun and finished a tick since a job was live, or since now.
func settle(t *testing.T, s *setup, b *bot) {
	t.Helper()
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(time.Minute)
	loops := []string{"renewal-check", "job-retry", "job-timeout", "expiry", "expiry-alerts"}
	begun, ended := map[string]time.Time{}, map[string]bool{}
	for quiet := s.clock.Now(); len(ended) < len(loops); <-tick.C {
		busy, err := b.work(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		storetest.View(t, s.store, func(ctx context.Context, r certctl.Reader) error {
			n, err := r.Jobs().Count(ctx, certctl.JobFilter{Statuses: []string{"Pending", "AwaitingCSR", "Running"}})
			if err != nil {
				return err
			}
			if busy || n > 0 {
				quiet = s.clock.Now()
				clear(begun)
				clear(ended)
			}
			leases, err := r.Leases(ctx)
			for _, l := range leases {
				if !slices.Contains(loops, l.Name) || !l.LastRun.After(quiet) {
					continue
				}
				if first, ok := begun[l.Name]; l.LeaseUntil.IsZero() || ok && l.LastRun.After(first) {
					ended[l.Name] = true
				} else if !ok {
					begun[l.Name] = l.LastRun
				}
			}
			return err
		})
		if time.Now().After(deadline) {
			s.dump()
			t.Fatal("the loops do not come to rest")
		}
	}
}

// TestRenewalInTime moves the clock over many lifetimes: each certificate is
// renewed before it ends, and as often as its policy wants, not more.
func TestRenewalInTime(t *testing.T) {
	for name, c := range map[string]struct {
		ttl, step   time.Duration
		lifetimes   int
		least, most int64
	}{
		// A third of the life is left at a renewal, so 1.5 renewals a lifetime.
		"5 minutes": {5 * time.Minute, 20 * time.Second, 6, 8, 12},
		"47 days":   {47 * 24 * time.Hour, 5 * 24 * time.Hour, 6, 7, 12},
		"398 days":  {398 * 24 * time.Hour, 40 * 24 * time.Hour, 4, 5, 8},
	} {
		t.Run(name, func(t *testing.T) {
			s := fast(t)
			s.run()
			b := s.join("web1", "tgt-1")
			s.request("api", "tgt-1", c.ttl)
			b.until("deployed", inSync(s, "mc-api", 1))
			for range int(time.Duration(c.lifetimes) * c.ttl / c.step) {
				s.clock.Forward(c.step)
				settle(t, s, b)
				cert := s.certificate("mc-api")
				if !cert.ExpiresAt.After(s.clock.Now()) || cert.Status != certctl.CertificateActive {
					t.Fatalf("generation %d is %s at %s, and ends at %s: %s", cert.Generation, cert.Status, s.clock.Now(), cert.ExpiresAt, cert.StatusReason)
				}
			}
			if g := s.certificate("mc-api").Generation; g < c.least || g > c.most {
				t.Errorf("%d generations in %d lifetimes, want %d to %d", g, c.lifetimes, c.least, c.most)
			}
		})
	}
}

// TestFailingRenewal: the certificate stays what it is while it is valid, people
// hear of each failure, it is tried again, and only time makes it Expired.
func TestFailingRenewal(t *testing.T) {
	s := fast(t)
	s.run()
	b := s.join("web1", "tgt-1")
	s.request("api", "tgt-1", 24*time.Hour)
	b.until("deployed", inSync(s, "mc-api", 1))
	off := false
	if _, err := s.UpdateIssuer(t.Context(), "iss-local", engine.ConnectorInput{Enabled: &off}, 0); err != nil {
		t.Fatal(err)
	}
	for range 23 {
		s.clock.Forward(time.Hour)
		settle(t, s, b)
		c := s.certificate("mc-api")
		if c.Status != certctl.CertificateActive && c.Status != certctl.CertificateExpiring {
			t.Fatalf("it is %s: %s", c.Status, c.StatusReason)
		}
	}
	c := s.certificate("mc-api")
	if c.Status != certctl.CertificateExpiring || c.RenewalFailures < 3 || c.RenewAt.IsZero() {
		t.Fatalf("%+v", c)
	}
	failures := 0
	storetest.View(t, s.store, func(ctx context.Context, r certctl.Reader) error {
		events, err := r.EventsAfter(ctx, 0, 10000)
		for _, e := range events {
			if e.Name == "certificate.renewal_failed" {
				failures++
			}
		}
		return err
	})
	if failures != c.RenewalFailures {
		t.Errorf("%d failures, %d of them told", c.RenewalFailures, failures)
	}
	s.clock.Forward(2 * time.Hour)
	b.until("expired", func() bool { return s.certificate("mc-api").Status == certctl.CertificateExpired })
	on := true
	if _, err := s.UpdateIssuer(t.Context(), "iss-local", engine.ConnectorInput{Enabled: &on}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Renew(t.Context(), "mc-api", engine.RenewOptions{}); err != nil {
		t.Fatal(err)
	}
	b.until("back", inSync(s, "mc-api", 2))
	if c := s.certificate("mc-api"); c.Status != certctl.CertificateActive || c.RenewalFailures != 0 {
		t.Errorf("%+v", c)
	}
}

func TestReaperAndAlerts(t *testing.T) {
	s := fast(t)
	s.run()
	b := s.join("web1", "tgt-1")
	out := s.request("api", "tgt-1", 0) // nobody works on it
	s.clock.Forward(25 * time.Hour)
	if j := s.wait(out.Job.ID); j.Status != certctl.JobFailed || j.LastError == "" {
		t.Fatalf("%+v", j)
	}
	if c := s.certificate("mc-api"); c.Status != certctl.CertificateFailed || c.StatusReason == "" {
		t.Fatalf("%+v", c)
	}
	for tries := 0; !inSync(s, "mc-api", 1)(); tries++ {
		if tries == 60 {
			s.dump()
			t.Fatal("not tried again by itself within an hour")
		}
		s.clock.Forward(time.Minute)
		settle(t, s, b)
	}
	if _, err := s.RenewalPolicies().Update(t.Context(), engine.DefaultRenewalPolicy, 0, func(p *certctl.RenewalPolicy) error {
		p.AutoRenew = false
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for range 95 { // over the 90 days of the local CA
		s.clock.Forward(24 * time.Hour)
		settle(t, s, b)
	}
	warned := map[float64]int{}
	storetest.View(t, s.store, func(ctx context.Context, r certctl.Reader) error {
		events, err := r.EventsAfter(ctx, 0, 10000)
		for _, e := range events {
			if w, ok := warning(t, e); ok {
				warned[w]++
			}
		}
		return err
	})
	for _, days := range []float64{30, 14, 7, 0} {
		if warned[days] != 1 {
			t.Errorf("%d warnings at %v days, want 1", warned[days], days)
		}
	}
	if c := s.certificate("mc-api"); c.Status != certctl.CertificateExpired || c.Generation != 1 {
		t.Errorf("%+v", c)
	}
}
