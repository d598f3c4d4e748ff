package agent_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certctl/certctl/certctl/agent"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
)

// run starts the agent in a bubble of virtual time.
func (f *fixture) run(t *testing.T) (*agent.Agent, func() error) {
	a, stop := f.start(t)
	synctest.Wait()
	return a, stop
}

func TestTheServerIsAwayForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.target(t, f.t1, false)
		a, stop := f.run(t)
		time.Sleep(5 * time.Minute)
		var beats int
		f.plane.look(func() { beats = len(f.plane.beats) })
		if beats < 5 || beats > 7 {
			t.Errorf("%d heartbeats in 5 minutes, want about 6", beats)
		}
		if s := a.Status(); !s.Connected || s.Problem != "" || s.ServerStatus != "Online" {
			t.Errorf("status = %+v", s)
		}

		f.plane.change(func() { f.plane.down, f.plane.beats, f.plane.claims = true, nil, 0 })
		time.Sleep(2 * time.Hour)
		if s := a.Status(); s.Connected || s.Problem == "" {
			t.Errorf("status = %+v, want a problem", s)
		}
		f.plane.look(func() {
			// 1 s, 2 s, 4 s … then a minute, less jitter.
			if n := len(f.plane.beats); n < 110 || n > 250 {
				t.Errorf("%d heartbeats were tried in 2 hours", n)
			}
			if n := f.plane.claims; n < 110 || n > 250 {
				t.Errorf("work was asked for %d times in 2 hours", n)
			}
			if quick := f.plane.beats[1].Sub(f.plane.beats[0]); quick > time.Second {
				t.Errorf("the second attempt came after %s, want at most 1 s", quick)
			}
			for i := range f.plane.beats[1:] {
				if gap := f.plane.beats[i+1].Sub(f.plane.beats[i]); gap > time.Minute {
					t.Errorf("a gap of %s", gap)
				}
			}
		})
		f.plane.change(func() { f.plane.down = false })
		time.Sleep(time.Minute)
		if s := a.Status(); !s.Connected || s.Problem != "" {
			t.Errorf("status = %+v, want connected again", s)
		}
		if n := strings.Count(f.log.String(), "level=WARN"); n != 1 {
			t.Errorf("an outage was told %d times, want once", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestWorkGoesOnWithoutTheServerAndIsReportedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.plane.lease = time.Hour
		dir := f.target(t, f.t1, false)
		f.hooks.swap = func(context.Context, placeConfig) error {
			f.plane.change(func() { f.plane.down = true })
			time.Sleep(time.Minute)
			return nil
		}
		_, stop := f.run(t)
		f.plane.issue("mc-web", 1, "", "localhost")
		time.Sleep(20 * time.Minute)
		if !exists(dir + "/cert.pem") {
			t.Error("the work did not go on without the server")
		}
		f.plane.look(func() {
			for _, j := range f.plane.jobs {
				if j.report != nil {
					t.Error("reported to a server that is away")
				}
			}
			f.plane.down = false
		})
		time.Sleep(2 * time.Minute)
		f.plane.look(func() {
			if r := f.plane.jobs[1].report; r == nil || r.Outcome != api.OutcomeDeployed || r.Fence != 1 {
				t.Errorf("report = %+v", r)
			}
		})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestALongWorkKeepsItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.target(t, f.t1, false)
		// The machine's clock is ten minutes off, which must not matter.
		f.plane.now = func() time.Time { return time.Now().Add(10 * time.Minute) }
		f.hooks.swap = func(ctx context.Context, _ placeConfig) error {
			select {
			case <-time.After(10 * time.Minute):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		o := f.options(t)
		o.Now = time.Now
		a, err := agent.New(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		f.plane.issue("mc-web", 1, "", "localhost")
		time.Sleep(11 * time.Minute)
		f.plane.look(func() {
			if r := f.plane.jobs[1].report; r == nil || r.Outcome != api.OutcomeDeployed || r.Fence != 1 {
				t.Errorf("report = %+v, want the first claim's", r)
			}
		})
		if skew := a.Status().ClockSkew; skew != -10*time.Minute {
			t.Errorf("clock skew = %s", skew)
		}
		cancel()
		if err := errors.Join(<-ended, a.Close()); err != nil {
			t.Error(err)
		}
	})
}

func TestWorkThatHangsIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.target(t, f.t1, false)
		f.hooks.stage = func(ctx context.Context, _ placeConfig) error { <-ctx.Done(); return context.Cause(ctx) }
		_, stop := f.run(t)
		f.plane.issue("mc-web", 1, "", "localhost")
		time.Sleep(16 * time.Minute)
		f.plane.look(func() {
			if r := f.plane.jobs[1].report; r == nil || r.Outcome != api.OutcomeNotStarted || r.Final {
				t.Errorf("report = %+v", r)
			}
		})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestARetiredAgentEnds(t *testing.T) {
	for _, busy := range []bool{false, true} {
		t.Run(fmt.Sprintf("busy %v", busy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				dir := f.target(t, f.t1, false)
				f.hooks.swap = func(ctx context.Context, _ placeConfig) error { <-ctx.Done(); return ctx.Err() }
				_, stop := f.run(t)
				if busy {
					f.plane.issue("mc-web", 1, "", "localhost")
					synctest.Wait()
				}
				f.plane.change(func() { f.plane.retired = true })
				time.Sleep(2 * time.Minute)
				if err := stop(); !errors.Is(err, agent.ErrRetired) {
					t.Errorf("Run = %v, want ErrRetired", err)
				}
				if exists(dir + "/key.pem") {
					t.Error("the work of a retired agent was not undone")
				}
			})
		})
	}
}

func TestARevokedCredentialIsTriedSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a, stop := f.run(t)
		f.plane.change(func() { f.plane.credential, f.plane.beats, f.plane.claims = "", nil, 0 })
		time.Sleep(time.Hour)
		f.plane.look(func() {
			if n := len(f.plane.beats) + f.plane.claims; n < 20 || n > 30 {
				t.Errorf("%d calls in an hour, want about 24", n)
			}
		})
		if s := a.Status(); s.Connected || !strings.Contains(s.Problem, "credential") {
			t.Errorf("status = %+v", s)
		}
		if n := strings.Count(f.log.String(), "level=ERROR"); n != 1 {
			t.Errorf("the log tells it %d times, want once", n)
		}
		f.plane.change(func() { f.plane.credential = credential })
		time.Sleep(6 * time.Minute)
		if s := a.Status(); !s.Connected || s.Problem != "" {
			t.Errorf("status = %+v, want connected again", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestAServerThatDoesNotWaitIsNotAskedInALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		o := f.options(t)
		hasty := &hasty{plane: f.plane}
		o.Server = hasty
		a, err := agent.New(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := errors.Join(a.Run(ctx), a.Close()); err != nil {
			t.Fatal(err)
		}
		if hasty.asked > 80 {
			t.Errorf("asked %d times in a minute", hasty.asked)
		}
	})
}

type hasty struct {
	*plane
	asked int
}

func (h *hasty) ClaimWork(context.Context, string, api.WorkRequest) (*api.WorkResponse, error) {
	h.asked++
	return &api.WorkResponse{}, nil
}

func TestStoppingUndoesWhatDoesNotFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		dir := f.target(t, f.t1, false)
		f.hooks.swap = func(ctx context.Context, _ placeConfig) error { <-ctx.Done(); return ctx.Err() }
		_, stop := f.run(t)
		f.plane.issue("mc-web", 1, "", "localhost")
		synctest.Wait()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if exists(dir + "/key.pem") {
			t.Error("half a deployment was left behind")
		}
		f.plane.look(func() {
			if r := f.plane.jobs[1].report; r == nil || r.Outcome != api.OutcomeRolledBack {
				t.Errorf("report = %+v, want rolled_back", r)
			}
		})
	})
}

func TestAReportThatIsRefusedIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.target(t, f.t1, false)
		tried := 0
		f.plane.onReport = func(api.Report) error {
			tried++
			return &client.Problem{Status: 422, Code: api.CodeInvalid}
		}
		f.plane.lease = 24 * time.Hour
		_, stop := f.run(t)
		f.plane.issue("mc-web", 1, "", "localhost")
		time.Sleep(time.Hour)
		synctest.Wait()
		if tried != 1 {
			t.Errorf("the report was sent %d times, want once", tried)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestOneDeploymentAtATimeForEachTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		var inside sync.Map
		f.hooks.stage = func(_ context.Context, c placeConfig) error {
			if _, taken := inside.LoadOrStore(c.Dir, true); taken {
				t.Error("two deployments to one target at once")
			}
			time.Sleep(10 * time.Second) // time enough for all others to come as far as they can
			inside.Delete(c.Dir)
			return nil
		}
		_, stop := f.run(t)
		certificates, targets := []string{"mc-a", "mc-b"}, []string{f.t1, f.t2}
		var leaves []*x509.Certificate
		for _, id := range certificates {
			j := f.plane.issue(id, 1, "", "localhost")
			time.Sleep(time.Second)
			synctest.Wait()
			leaves = append(leaves, f.plane.ca.sign(j.csr))
		}
		for _, id := range targets {
			f.target(t, id, false)
		}
		began := time.Now()
		f.plane.change(func() {
			for i, id := range certificates {
				for _, target := range targets {
					f.plane.deployment(id, target, 1, leaves[i])
				}
			}
		})
		for _, id := range certificates {
			for _, target := range targets {
				if r := f.plane.reported(t, id, target, 1); r.Outcome != api.OutcomeDeployed {
					t.Errorf("report = %+v", r)
				}
			}
		}
		// Two after each other at each target, the two targets at once.
		if took := time.Since(began); took < 20*time.Second || took > 25*time.Second {
			t.Errorf("4 deployments of 10 s to 2 targets took %s, want about 20 s", took)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestANewClaimOfAJobEndsTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.plane.lease = 10 * time.Second
		f.target(t, f.t1, false)
		var attempts atomic.Int32
		f.hooks.stage = func(ctx context.Context, _ placeConfig) error {
			if attempts.Add(1) == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		o := f.options(t)
		o.Server = &forgetful{f.plane}
		a, err := agent.New(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		f.plane.issue("mc-web", 1, "", "localhost")
		time.Sleep(2 * time.Minute)
		f.plane.look(func() {
			if r := f.plane.jobs[1].report; r == nil || r.Outcome != api.OutcomeDeployed || r.Fence != 2 {
				t.Errorf("report = %+v, want the second claim's", r)
			}
		})
		cancel()
		if err := errors.Join(<-ended, a.Close()); err != nil {
			t.Error(err)
		}
	})
}

// forgetful does not get to extend a lease.
type forgetful struct{ *plane }

func (*forgetful) ExtendLease(context.Context, string, string, int64) (*api.LeaseResponse, error) {
	return nil, client.ErrUnavailable
}

func TestRetryAfterIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.target(t, f.t1, false)
		f.plane.lease = time.Hour
		var tried []time.Time
		f.plane.onReport = func(api.Report) error {
			if tried = append(tried, time.Now()); len(tried) == 1 {
				return &client.Problem{Status: 429, Code: api.CodeRateLimited, RetryAfter: 40 * time.Second}
			}
			return nil
		}
		_, stop := f.run(t)
		f.plane.issue("mc-web", 1, "", "localhost")
		f.plane.reported(t, "mc-web", f.t1, 1)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if len(tried) != 2 || tried[1].Sub(tried[0]) < 40*time.Second {
			t.Errorf("reported at %v, want a second time 40 s later", tried)
		}
	})
}
