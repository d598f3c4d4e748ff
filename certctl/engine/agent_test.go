package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/store/storetest"
)

func TestAgentMakesKeyAndDeploys(t *testing.T) {
	s := newSetup(t)
	s.run()
	b := s.join("web1", "tgt-1")
	out := s.request("api", "tgt-1", 0)
	if j := out.Job; j.Status != certctl.JobAwaitingCSR || j.Executor != b.id || j.Waiting == "" {
		t.Fatalf("%+v", j)
	}
	b.until("deployed", inSync(s, "mc-api", 1))
	c, bind := s.certificate("mc-api"), s.binding("mc-api")
	if bind.Verification != certctl.VerificationSuccess || bind.DeployedSerial != c.Serial || len(bind.Observed) != 1 || c.LastDeploymentAt.IsZero() {
		t.Errorf("%+v, %+v", c, bind)
	}
	if _, err := s.Renew(t.Context(), "mc-api", engine.RenewOptions{CSRPEM: csrFor(t, newKey(t), "api.example.com")}); !errors.Is(err, certctl.ErrInvalid) {
		t.Errorf("a foreign CSR was taken for a certificate whose agent makes its keys: %v", err)
	}
	if _, err := s.Renew(t.Context(), "mc-api", engine.RenewOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Renew(t.Context(), "mc-api", engine.RenewOptions{}); !errors.Is(err, certctl.ErrConflict) {
		t.Errorf("two renewals at once: %v", err)
	}
	b.until("renewed", inSync(s, "mc-api", 2))
}

func TestFailedDeployments(t *testing.T) {
	s := newSetup(t)
	s.run()
	b := s.join("web1", "tgt-1")
	for outcome, want := range map[string]struct {
		report engine.AgentReport
		state  certctl.BindingState
		retry  bool
	}{
		"rolled back":     {engine.AgentReport{Outcome: "rolled_back", Error: "nginx: [emerg] no such file"}, certctl.BindingFailed, true},
		"refused":         {engine.AgentReport{Outcome: "not_started", Final: true, Error: "the folder does not exist"}, certctl.BindingFailed, true},
		"rollback failed": {engine.AgentReport{Outcome: "rollback_failed", Error: "disk full"}, certctl.BindingRollbackFailed, false},
		"contradiction":   {engine.AgentReport{Outcome: "deployed", Observed: []certctl.Observation{{Endpoint: "a:1", Problem: "serves another certificate"}}}, certctl.BindingFailed, true},
	} {
		t.Run(outcome, func(t *testing.T) {
			id := strings.ReplaceAll(outcome, " ", "-")
			b.report = func(*engine.Work) engine.AgentReport { return want.report }
			s.request(id, "tgt-1", 0)
			b.until("failed", func() bool { return s.binding("mc-"+id).State == want.state })
			bind := s.binding("mc-" + id)
			if bind.RetryAt.IsZero() == want.retry || !strings.Contains(bind.StateReason, want.report.Error) || bind.DeployedGeneration != 0 {
				t.Errorf("%+v", bind)
			}
			if c := s.certificate("mc-" + id); c.Status != certctl.CertificateActive {
				t.Errorf("a certificate whose deployment failed is %s", c.Status)
			}
			storetest.View(t, s.store, func(ctx context.Context, r certctl.Reader) error {
				page, err := r.Jobs().List(ctx, certctl.JobFilter{CertificateIDs: []string{"mc-" + id}, Types: []string{"Deployment"}}, certctl.Page{})
				if err == nil && (len(page.Items) != 1 || page.Items[0].Status != certctl.JobFailed || page.Items[0].LastError == "") {
					t.Errorf("%+v", page.Items)
				}
				return err
			})
			if err := s.ArchiveCertificate(t.Context(), "mc-"+id, 0); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAgentsKnowNothingOfEachOther(t *testing.T) {
	s := newSetup(t)
	s.run()
	a, b := s.join("a", "tgt-a"), s.join("b", "tgt-b")
	out := s.request("api", "tgt-a", 0)
	if work, err := s.ClaimWork(t.Context(), b.id, 10, 0); err != nil || len(work) != 0 {
		t.Fatalf("b got %v, %v", work, err)
	}
	mine, err := s.ClaimWork(t.Context(), a.id, 1, 0)
	if err != nil || len(mine) != 1 {
		t.Fatalf("%v, %v", mine, err)
	}
	fence := mine[0].Job.Fence
	csr := csrFor(t, newKey(t), "api.example.com")
	if _, err := s.SubmitCSR(t.Context(), b.id, out.Job.ID, fence, csr); !errors.Is(err, certctl.ErrNotFound) {
		t.Errorf("b answered for a: %v", err)
	}
	if _, err := s.Report(t.Context(), b.id, out.Job.ID, engine.AgentReport{Fence: fence, Outcome: "not_started"}); !errors.Is(err, certctl.ErrNotFound) {
		t.Errorf("b reported for a: %v", err)
	}
	if _, err := s.ExtendLease(t.Context(), b.id, out.Job.ID, fence); !errors.Is(err, certctl.ErrNotFound) {
		t.Errorf("b kept a's job: %v", err)
	}
	if _, err := s.SubmitCSR(t.Context(), a.id, out.Job.ID, fence+1, csr); !errors.Is(err, certctl.ErrFenced) {
		t.Errorf("a wrong fence: %v", err)
	}
	if _, err := s.Bind(t.Context(), "mc-api", "tgt-b"); !errors.Is(err, certctl.ErrConflict) {
		t.Errorf("a key would have to travel: %v", err)
	}
	_, err = s.CreateTarget(t.Context(), engine.ConnectorInput{Name: "same file", Type: "paper", AgentID: a.id, Config: []byte(`{"path": "/etc/tgt-a"}`)})
	if !errors.Is(err, certctl.ErrConflict) || !strings.Contains(err.Error(), "/etc/tgt-a") {
		t.Errorf("two targets with one file: %v", err)
	}
}

func TestJoinTokens(t *testing.T) {
	s := newSetup(t)
	token, jt, err := s.CreateJoinToken(t.Context(), engine.JoinTokenInput{TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	joined := 0
	for range 20 {
		group.Go(func() {
			_, _, err := s.Join(t.Context(), token, engine.AgentFacts{Hostname: "h"})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				joined++
			} else if !errors.Is(err, certctl.ErrUnauthenticated) && !errors.Is(err, certctl.ErrConflict) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if joined != 1 {
		t.Errorf("%d agents joined with one token", joined)
	}
	storetest.View(t, s.store, func(ctx context.Context, r certctl.Reader) error {
		n, err := r.Audit().Count(ctx, certctl.AuditFilter{Actions: []string{"join_refused"}, ResourceIDs: []string{jt.ID}})
		if n == 0 {
			t.Error("no refused join was audited")
		}
		return err
	})
	expired, _, err := s.CreateJoinToken(t.Context(), engine.JoinTokenInput{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	s.clock.Forward(2 * time.Minute)
	for name, token := range map[string]string{"expired": expired, "unknown": "ccj_nothing", "empty": ""} {
		if _, _, err := s.Join(t.Context(), token, engine.AgentFacts{Hostname: "h2"}); !errors.Is(err, certctl.ErrUnauthenticated) {
			t.Errorf("%s token: %v", name, err)
		}
	}
}

func TestRetiredAgent(t *testing.T) {
	s := newSetup(t)
	s.run()
	token, _, err := s.CreateJoinToken(t.Context(), engine.JoinTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	a, credential, err := s.Join(t.Context(), token, engine.AgentFacts{Hostname: "h"})
	if err != nil {
		t.Fatal(err)
	}
	next, _, err := s.RotateAgentCredential(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{credential, next} { // both, for a while
		if _, err := s.Authenticate(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
	s.clock.Forward(11 * time.Minute)
	if _, err := s.Authenticate(t.Context(), credential); !errors.Is(err, certctl.ErrUnauthenticated) {
		t.Errorf("the old credential works on: %v", err)
	}
	if err := s.RetireAgent(t.Context(), a.ID, false, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(t.Context(), next); !errors.Is(err, certctl.ErrGone) {
		t.Errorf("a retired agent: %v", err)
	}
	busy := s.join("busy", "tgt-1")
	s.request("api", "tgt-1", 0)
	if err := s.RetireAgent(t.Context(), busy.id, false, ""); !errors.Is(err, certctl.ErrConflict) {
		t.Errorf("a busy agent was retired: %v", err)
	}
	if err := s.RetireAgent(t.Context(), busy.id, true, "stolen"); err != nil {
		t.Error(err)
	}
}

// TestRevokedWhileSigning revokes at the moment at which the CA signs: what it
// signed is recorded and revoked, and the certificate stays so (I1, I4).
func TestRevokedWhileSigning(t *testing.T) {
	s := newSetup(t)
	s.run()
	if _, err := s.CreateIssuer(t.Context(), engine.ConnectorInput{ID: "iss-slow", Name: "slow", Type: "slow"}); err != nil {
		t.Fatal(err)
	}
	out, err := s.RequestCertificate(t.Context(), engine.CertificateRequest{ID: "mc-api", IssuerID: "iss-slow", SANs: []string{"api.example.com"}, CSRPEM: csrFor(t, newKey(t), "api.example.com")})
	if err != nil {
		t.Fatal(err)
	}
	s.wait(out.Job.ID)
	s.gate.close()
	renewal, err := s.Renew(t.Context(), "mc-api", engine.RenewOptions{CSRPEM: csrFor(t, newKey(t), "api.example.com")})
	if err != nil {
		t.Fatal(err)
	}
	<-s.gate.entered
	if _, err := s.CancelJob(t.Context(), renewal.Job.ID); !errors.Is(err, certctl.ErrConflict) {
		t.Errorf("a job was cancelled under the CA's hands: %v", err)
	}
	if _, err := s.Revoke(t.Context(), "mc-api", engine.RevokeOptions{Reason: revocation.Superseded}); err != nil {
		t.Fatal(err)
	}
	s.gate.open()
	if j := s.wait(renewal.Job.ID); j.Status != certctl.JobCompleted {
		t.Fatalf("%+v", j)
	}
	if c := s.certificate("mc-api"); c.Status != certctl.CertificateRevoked || c.Generation != 1 {
		t.Fatalf("the renewal undid a revocation: %+v", c)
	}
	storetest.View(t, s.store, func(ctx context.Context, r certctl.Reader) error {
		page, err := r.Versions().List(ctx, certctl.VersionFilter{CertificateIDs: []string{"mc-api"}}, certctl.Page{})
		if err != nil || len(page.Items) != 2 {
			t.Fatalf("%v, %v", page, err)
		}
		for _, v := range page.Items {
			n, err := certctl.ParseSerial(v.Serial)
			if err != nil {
				return err
			}
			if st, err := s.store.Status(ctx, v.IssuerKeyID, n); err != nil || st.State != revocation.Revoked || st.Reason != revocation.Superseded {
				t.Errorf("generation %d: %+v, %v", v.Generation, st, err)
			}
		}
		return nil
	})
}

func TestHostileCSRs(t *testing.T) {
	s := newSetup(t)
	b := s.join("web1", "tgt-1")
	out := s.request("api", "tgt-1", 0)
	work, err := s.ClaimWork(t.Context(), b.id, 1, 0)
	if err != nil || len(work) != 1 {
		t.Fatal(work, err)
	}
	many := make([]string, 10000)
	for i := range many {
		many[i] = certctl.NewID("x", time.Now()) + ".example.com"
	}
	for name, csr := range map[string]string{
		"empty": "", "garbage": "hello", "extra name": csrFor(t, newKey(t), "api.example.com", "evil.example.com"), "10,000 SANs": csrFor(t, newKey(t), many...),
		"2 MB": strings.Repeat("A", 2<<20), "a certificate": "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
	} {
		begun := time.Now()
		_, err := s.SubmitCSR(t.Context(), b.id, out.Job.ID, work[0].Job.Fence, csr)
		if !errors.Is(err, certctl.ErrInvalid) || len(err.Error()) > 1<<20 || time.Since(begun) > 5*time.Second {
			t.Errorf("%s: %v after %s", name, err, time.Since(begun))
		}
	}
	if c := s.certificate("mc-api"); c.Generation != 0 || s.job(out.Job.ID).Status != certctl.JobAwaitingCSR {
		t.Errorf("something was issued: %+v", c)
	}
}
