package engine_test

import (
	"context"
	"crypto"
	"errors"
	"sync"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/store/storetest"
)

// bot is an agent in the engine's eyes: it makes keys and says that it
// deployed, or what report returns.
type bot struct {
	s      *setup
	id     string
	mu     sync.Mutex
	keys   []crypto.Signer
	report func(w *engine.Work) engine.AgentReport
}

// join makes an agent with one target.
func (s *setup) join(name string, targets ...string) *bot {
	s.t.Helper()
	token, _, err := s.CreateJoinToken(s.t.Context(), engine.JoinTokenInput{AgentName: name})
	if err != nil {
		s.t.Fatal(err)
	}
	a, credential, err := s.Join(s.t.Context(), token, engine.AgentFacts{Hostname: name})
	if err != nil {
		s.t.Fatal(err)
	}
	actor, err := s.Authenticate(s.t.Context(), credential)
	if err != nil || actor.AgentID != a.ID || actor.Role != certctl.RoleAgent {
		s.t.Fatalf("%+v, %v", actor, err)
	}
	for _, id := range targets {
		_, err := s.CreateTarget(s.t.Context(), engine.ConnectorInput{ID: id, Name: id, Type: "paper", AgentID: a.ID, Config: []byte(`{"path": "/etc/` + id + `"}`)})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return &bot{s: s, id: a.ID, report: func(*engine.Work) engine.AgentReport {
		return engine.AgentReport{Outcome: "deployed", Observed: []certctl.Observation{seen}}
	}}
}

var seen = certctl.Observation{Endpoint: "127.0.0.1:443", Served: true, ChainOK: true, NameOK: true}

// work does what there is, and reports whether there was some.
func (b *bot) work(ctx context.Context) (bool, error) {
	work, err := b.s.ClaimWork(ctx, b.id, 4, 0)
	if err != nil {
		return false, err
	}
	for _, w := range work {
		if w.Target == nil {
			key := newKey(b.s.t)
			b.mu.Lock()
			b.keys = append(b.keys, key)
			b.mu.Unlock()
			names := append([]string{}, w.Certificate.SANs...)
			if _, err := b.s.SubmitCSR(ctx, b.id, w.Job.ID, w.Job.Fence, csrFor(b.s.t, key, names...)); err != nil {
				return true, err
			}
			continue
		}
		r := b.report(w)
		r.Fence = w.Job.Fence
		if _, err := b.s.Report(ctx, b.id, w.Job.ID, r); err != nil {
			return true, err
		}
	}
	return len(work) > 0, nil
}

// until lets the bot work until a condition holds.
func (b *bot) until(what string, done func() bool) {
	b.s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		if _, err := b.work(b.s.t.Context()); err != nil && !errors.Is(err, certctl.ErrFenced) {
			b.s.t.Fatal(err)
		}
		if time.Now().After(deadline) {
			b.s.dump()
			b.s.t.Fatalf("never: %s", what)
		}
		<-tick.C
	}
}

func (s *setup) dump() {
	storetest.View(s.t, s.store, func(ctx context.Context, r certctl.Reader) error {
		page, err := r.Jobs().List(ctx, certctl.JobFilter{}, certctl.Page{Limit: 500})
		for _, j := range page.Items {
			s.t.Logf("%s %s %s gen %d executor %q run at %s: %s %s", j.ID, j.Type, j.Status, j.Generation, j.Executor, j.RunAt, j.LastError, j.Waiting)
		}
		return err
	})
}

func (s *setup) binding(certificateID string) (b *certctl.Binding) {
	s.t.Helper()
	storetest.View(s.t, s.store, func(ctx context.Context, r certctl.Reader) error {
		page, err := r.Bindings().List(ctx, certctl.BindingFilter{CertificateIDs: []string{certificateID}}, certctl.Page{Limit: 1})
		if err == nil && len(page.Items) > 0 {
			b = page.Items[0]
		}
		return err
	})
	return b
}

func (s *setup) job(id string) (j *certctl.Job) {
	s.t.Helper()
	storetest.View(s.t, s.store, func(ctx context.Context, r certctl.Reader) (err error) {
		j, err = r.Jobs().Get(ctx, id)
		return err
	})
	return j
}

// request asks for a certificate on a target.
func (s *setup) request(name, target string, ttl time.Duration) *engine.Issuance {
	s.t.Helper()
	out, err := s.RequestCertificate(s.t.Context(), engine.CertificateRequest{ID: "mc-" + name, SANs: []string{name + ".example.com"}, TargetIDs: []string{target}, TTL: ttl})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func inSync(s *setup, id string, generation int64) func() bool {
	return func() bool {
		b := s.binding(id)
		return b.State == certctl.BindingInSync && b.DeployedGeneration >= generation
	}
}
