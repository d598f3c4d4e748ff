package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
)

// Update runs f in a transaction, or fails the test.
func Update(t testing.TB, s certctl.Store, f func(context.Context, certctl.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// View runs f in a snapshot, or fails the test.
func View(t testing.TB, s certctl.Store, f func(context.Context, certctl.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// Seed writes the rows that most others refer to: issuer iss-1, policy rp-1,
// agent ag-1, target tgt-1.
func Seed(t testing.TB, s certctl.Store) {
	t.Helper()
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		if err := tx.RenewalPolicies().Insert(ctx, &certctl.RenewalPolicy{ID: "rp-1", Name: "policy", AutoRenew: true, RemainingFraction: 1.0 / 3, AlertThresholdsDays: []int{30, 7}}); err != nil {
			return err
		}
		if err := tx.Issuers().Insert(ctx, &certctl.Issuer{ID: "iss-1", Name: "issuer", Type: "local", Config: []byte(`{"a": 1}`), SealedConfig: []byte{1, 2}, Enabled: true, TestStatus: certctl.TestUntested}); err != nil {
			return err
		}
		if err := tx.Agents().Insert(ctx, &certctl.Agent{ID: "ag-1", Name: "agent", Status: certctl.AgentOnline, RegisteredAt: tx.Now()}); err != nil {
			return err
		}
		return tx.Targets().Insert(ctx, &certctl.Target{ID: "tgt-1", Name: "target", Type: "files", AgentID: "ag-1", Paths: []string{"/etc/a.pem"}, Enabled: true, TestStatus: certctl.TestUntested})
	})
}

// Certificate returns a certificate of Seed's issuer and policy.
func Certificate(id string) *certctl.Certificate {
	return &certctl.Certificate{
		ID: id, Name: id, CommonName: id + ".example.com", SANs: []string{id + ".example.com"}, IssuerID: "iss-1", RenewalPolicyID: "rp-1",
		KeyAlgorithm: "ECDSA-P256", Source: "API", Status: certctl.CertificatePending, Tags: map[string]string{"k": "v"},
	}
}

// Job returns a job that the server can claim.
func Job(id, certificateID string, now time.Time) *certctl.Job {
	return &certctl.Job{
		ID: id, Type: certctl.JobIssuance, Status: certctl.JobPending, CertificateID: certificateID, Generation: 1,
		Executor: certctl.ExecutorServer, RunAt: now, Deadline: now.Add(time.Hour), MaxAttempts: 3, Verification: certctl.VerificationSkipped,
	}
}
