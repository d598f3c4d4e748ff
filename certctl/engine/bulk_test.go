package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/issuer/local"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/store/storetest"
)

// fleet writes n Active certificates, each with a version of the local CA, as
// if they had been issued.
func (s *setup) fleet(n int, change ...func(i int, c *certctl.Certificate)) {
	s.t.Helper()
	keyID := revocation.KeyID(s.ca())
	for begin := 0; begin < n; begin += 500 {
		storetest.Update(s.t, s.store, func(ctx context.Context, tx certctl.Tx) error {
			var certs []*certctl.Certificate
			var orders []*certctl.Order
			var versions []*certctl.CertificateVersion
			for i := begin; i < min(n, begin+500); i++ {
				id, now := fmt.Sprintf("mc-%06d", i), tx.Now()
				v := &certctl.CertificateVersion{
					ID: "cv-" + id, CertificateID: id, Generation: 1, OrderID: "ord-" + id, IssuerID: "iss-local", IssuerKeyID: keyID,
					Serial: certctl.SerialText(issuer.NewSerial()), Fingerprint: id, NotBefore: now, NotAfter: now.Add(24 * time.Hour), CreatedAt: now, CRLShard: i % 3,
				}
				c := &certctl.Certificate{
					ID: id, Name: id, CommonName: id, SANs: []string{id}, IssuerID: "iss-local", RenewalPolicyID: engine.DefaultRenewalPolicy, KeyAlgorithm: "ECDSA-P256", Source: "API",
					Status: certctl.CertificateActive, Generation: 1, CurrentVersionID: v.ID, Serial: v.Serial, NotBefore: v.NotBefore, ExpiresAt: v.NotAfter,
				}
				for _, f := range change {
					f(i, c)
				}
				v.IssuerID = c.IssuerID
				certs, versions = append(certs, c), append(versions, v)
				orders = append(orders, &certctl.Order{ID: v.OrderID, CertificateID: id, JobID: "j", IssuerID: c.IssuerID, State: certctl.OrderIssued, NotBefore: now})
			}
			return errors.Join(tx.Certificates().Insert(ctx, certs...), tx.Orders().Insert(ctx, orders...), tx.Versions().Insert(ctx, versions...))
		})
	}
}

// bulk waits for the end of a bulk revocation.
func (s *setup) bulk(id string, until func(*certctl.BulkRevocation) bool) *certctl.BulkRevocation {
	s.t.Helper()
	deadline, tick := time.After(60*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for {
		var b *certctl.BulkRevocation
		err := s.store.View(s.t.Context(), func(ctx context.Context, r certctl.Reader) (err error) {
			b, err = r.BulkRevocations().Get(ctx, id)
			return err
		})
		if err == nil && until(b) { // a test's fault may hit this very statement
			return b
		}
		select {
		case <-deadline:
			s.t.Fatalf("after the deadline: %+v, %v", b, err)
		case <-tick.C:
		}
	}
}

func completed(b *certctl.BulkRevocation) bool { return b.Status == certctl.BulkCompleted }

func (s *setup) items(id string, status certctl.BulkItemStatus) (out []*certctl.BulkItem) {
	s.t.Helper()
	storetest.View(s.t, s.store, func(ctx context.Context, r certctl.Reader) error {
		page, err := r.BulkItems().List(ctx, certctl.BulkItemFilter{BulkID: id, Statuses: []string{string(status)}}, certctl.Page{Limit: 500})
		out = page.Items
		return err
	})
	return out
}

// count counts rows of the fleet.
func (s *setup) count(f func(context.Context, certctl.Reader) (int64, error)) (n int64) {
	s.t.Helper()
	storetest.View(s.t, s.store, func(ctx context.Context, r certctl.Reader) (err error) {
		n, err = f(ctx, r)
		return err
	})
	return n
}

// replica is another engine on the same database, with other connectors.
func (s *setup) replica(name string, kinds ...connector.Kind[issuer.Issuer]) *engine.Engine {
	s.t.Helper()
	o := s.opts
	o.Replica = name
	var err error
	if o.Issuers, err = connector.NewRegistry(kinds...); err != nil {
		s.t.Fatal(err)
	}
	e, err := engine.New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// start runs an engine; stop ends it and waits.
func start(t testing.TB, e *engine.Engine) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); _ = e.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// TestBulkRevocationLists revokes 44 of 47: three are of a CA that cannot be
// opened. They are listed with the reason, and a later one gets them alone.
func TestBulkRevocationLists(t *testing.T) {
	s := newSetup(t)
	if _, err := s.CreateIssuer(t.Context(), engine.ConnectorInput{ID: "iss-slow", Name: "slow", Type: "slow"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Teams().Create(t.Context(), &certctl.Team{ID: "t-1", Name: "one"}); err != nil {
		t.Fatal(err)
	}
	s.fleet(60, func(i int, c *certctl.Certificate) {
		if i < 50 {
			c.TeamID = "t-1"
		}
		if i >= 44 && i < 47 {
			c.IssuerID = "iss-slow"
		}
	})
	for i := range 3 { // of the team, and revoked before
		if _, err := s.Revoke(t.Context(), fmt.Sprintf("mc-%06d", 47+i), engine.RevokeOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	ask := engine.BulkRevocation{Criteria: certctl.BulkCriteria{TeamID: "t-1"}, Reason: revocation.KeyCompromise, DryRun: true}
	if b, err := s.BulkRevoke(t.Context(), ask); err != nil || b.Affected != 47 || b.ID != "" {
		t.Fatalf("dry run: %+v, %v", b, err)
	}
	stop := start(t, s.replica("lacks a connector", local.Kind()))
	ask.DryRun = false
	ctx := certctl.WithActor(t.Context(), certctl.Actor{ID: "ak-ann", Name: "ann", Type: certctl.ActorAPIKey, Role: certctl.RoleAdmin, RequestID: "req-1"})
	b, err := s.BulkRevoke(ctx, ask)
	if err != nil || b.Affected != 47 || b.Status != certctl.BulkPending {
		t.Fatalf("%+v, %v", b, err)
	}
	b = s.bulk(b.ID, completed)
	if b.Revoked != 44 || b.Failed != 3 || b.Skipped != 0 || b.StartedAt.IsZero() || b.CompletedAt.IsZero() {
		t.Errorf("%+v", b)
	}
	failed := s.items(b.ID, certctl.BulkItemFailed)
	if len(failed) != 3 || failed[0].CertificateID != "mc-000044" || failed[0].Reason == "" {
		t.Errorf("%+v", failed)
	}
	if len(s.items(b.ID, certctl.BulkItemRevoked)) != 44 {
		t.Error("not all revoked ones are listed")
	}
	if c := s.certificate("mc-000007"); c.Status != certctl.CertificateRevoked || c.RevocationReason != "keyCompromise" {
		t.Errorf("%+v", c)
	}
	if c := s.certificate("mc-000055"); c.Status != certctl.CertificateActive {
		t.Errorf("another team's certificate: %+v", c)
	}
	storetest.View(t, s.store, func(ctx context.Context, r certctl.Reader) error {
		page, err := r.Audit().List(ctx, certctl.AuditFilter{Actors: []string{"ak-ann"}}, certctl.Page{Limit: 500})
		if err != nil {
			return err
		}
		seen := map[string]int{}
		for _, e := range page.Items {
			seen[e.Action]++
			if e.RequestID != "req-1" || e.ActorName != "ann" {
				t.Errorf("%+v", e)
			}
		}
		if seen["bulk_revocation_initiated"] != 1 || seen["certificate_revoked"] != 44 || seen["bulk_revocation_completed"] != 1 {
			t.Errorf("%v", seen)
		}
		rows, err := r.Revocations().List(ctx, certctl.RevocationFilter{CertificateIDs: []string{"mc-000007", "mc-000008"}}, certctl.Page{})
		if len(rows.Items) != 2 || rows.Items[0].CRLShard+rows.Items[1].CRLShard != 7%3+8%3 {
			t.Errorf("the shards are not those of the certificates: %+v", rows.Items)
		}
		return err
	})
	stop()
	start(t, s.Engine)
	again, err := s.BulkRevoke(t.Context(), ask)
	if err != nil || again.Affected != 3 {
		t.Fatalf("%+v, %v", again, err)
	}
	if again = s.bulk(again.ID, completed); again.Revoked != 3 || again.Failed != 0 {
		t.Errorf("%+v", again)
	}
}

// TestBulkRevocationByName answers for every certificate that is named.
func TestBulkRevocationByName(t *testing.T) {
	s := newSetup(t)
	s.fleet(6)
	s.run()
	if _, err := s.Revoke(t.Context(), "mc-000001", engine.RevokeOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Hold(t.Context(), "mc-000002", ""); err != nil {
		t.Fatal(err)
	}
	b, err := s.BulkRevoke(t.Context(), engine.BulkRevocation{Criteria: certctl.BulkCriteria{
		IssuerID: "iss-local", CertificateIDs: []string{"mc-000000", "mc-000002", "mc-000001", "mc-none", "mc-000000"},
	}})
	if err != nil || b.Affected != 4 {
		t.Fatalf("%+v, %v", b, err)
	}
	b = s.bulk(b.ID, completed)
	if b.Revoked != 2 || b.Skipped != 1 || b.Failed != 1 {
		t.Errorf("%+v", b)
	}
	if x := s.items(b.ID, certctl.BulkItemSkipped); len(x) != 1 || x[0].CertificateID != "mc-000001" || x[0].Reason == "" {
		t.Errorf("%+v", x)
	}
	if x := s.items(b.ID, certctl.BulkItemFailed); len(x) != 1 || x[0].CertificateID != "mc-none" {
		t.Errorf("%+v", x)
	}
	if c := s.certificate("mc-000002"); c.Held() || c.RevocationReason != "unspecified" {
		t.Errorf("a hold that became final: %+v", c)
	}
	for name, c := range map[string]certctl.BulkCriteria{
		"nothing": {}, "unknown team": {TeamID: "t-none"}, "unknown profile": {ProfileID: "prof-none"}, "unknown agent": {AgentID: "ag-none"},
		"no ID": {CertificateIDs: []string{"a b"}}, "too many": {CertificateIDs: func() (ids []string) {
			for i := range 10_001 {
				ids = append(ids, fmt.Sprint(i))
			}
			return ids
		}()},
	} {
		if _, err := s.BulkRevoke(t.Context(), engine.BulkRevocation{Criteria: c}); !errors.Is(err, certctl.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBulkRevocationGoesOn stops the process in the middle, several times:
// the next one revokes the rest, and nothing twice.
func TestBulkRevocationGoesOn(t *testing.T) {
	const n = 900
	s := newSetup(t)
	s.fleet(n)
	b, err := s.BulkRevoke(t.Context(), engine.BulkRevocation{Criteria: certctl.BulkCriteria{IssuerID: "iss-local"}, Reason: revocation.CessationOfOperation})
	if err != nil || b.Affected != n {
		t.Fatalf("%+v, %v", b, err)
	}
	for _, enough := range []int64{1, n / 3, 2 * n / 3} {
		stop := start(t, s.replica(fmt.Sprint("stops after ", enough), local.Kind(), s.gate.kind()))
		s.bulk(b.ID, func(b *certctl.BulkRevocation) bool { return b.Revoked >= enough })
		stop()
	}
	if b = s.bulk(b.ID, func(*certctl.BulkRevocation) bool { return true }); completed(b) {
		t.Error("it had ended before the last process came; the test proves less than it should")
	}
	start(t, s.Engine)
	if b = s.bulk(b.ID, completed); b.Revoked != n || b.Failed != 0 || b.Skipped != 0 {
		t.Errorf("%+v", b)
	}
	s.revokedOnce(n)
}

// revokedOnce checks that n certificates have one revocation and one audit
// entry each.
func (s *setup) revokedOnce(n int64) {
	s.t.Helper()
	for what, f := range map[string]func(context.Context, certctl.Reader) (int64, error){
		"revocations": func(ctx context.Context, r certctl.Reader) (int64, error) {
			return r.Revocations().Count(ctx, certctl.RevocationFilter{})
		},
		"audit entries": func(ctx context.Context, r certctl.Reader) (int64, error) {
			return r.Audit().Count(ctx, certctl.AuditFilter{Actions: []string{"certificate_revoked"}})
		},
		"revoked certificates": func(ctx context.Context, r certctl.Reader) (int64, error) {
			return r.Certificates().Count(ctx, certctl.CertificateFilter{Statuses: []string{string(certctl.CertificateRevoked)}})
		},
	} {
		if got := s.count(f); got != n {
			s.t.Errorf("%d %s, want %d", got, what, n)
		}
	}
}

// TestBulkRevocationUnderFaults lets a statement fail, before and after its
// effect: everything is revoked, once.
func TestBulkRevocationUnderFaults(t *testing.T) {
	const n = 120
	faults := &storetest.Faults{}
	c := &clock{}
	s := newSetupOn(t, c, storetest.Open(t, storetest.WithNow(c.Now), storetest.WithWrap(faults.Wrap)))
	s.fleet(n)
	b, err := s.BulkRevoke(t.Context(), engine.BulkRevocation{Criteria: certctl.BulkCriteria{IssuerID: "iss-local"}})
	if err != nil {
		t.Fatal(err)
	}
	start(t, s.Engine)
	var hits []bool
	for i := range 6 {
		faults.Arm(100+50*i, i%2 == 0)
		now := s.bulk(b.ID, func(b *certctl.BulkRevocation) bool { return faults.Hit() || completed(b) })
		hits = append(hits, faults.Hit())
		if completed(now) {
			break
		}
	}
	if !slices.Contains(hits, true) {
		t.Error("no statement failed; the test proves nothing")
	}
	if b = s.bulk(b.ID, completed); b.Revoked != n || b.Failed != 0 {
		t.Errorf("%+v", b)
	}
	s.revokedOnce(n)
}

func BenchmarkBulkRevocation(b *testing.B) {
	const n = 10_000
	for b.Loop() {
		b.StopTimer()
		s := newSetup(b)
		s.fleet(n)
		job, err := s.BulkRevoke(b.Context(), engine.BulkRevocation{Criteria: certctl.BulkCriteria{IssuerID: "iss-local"}})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		stop := start(b, s.Engine)
		s.bulk(job.ID, completed)
		b.StopTimer()
		stop()
		b.StartTimer()
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "certificates/s")
}

func TestBulkRevocationOnPostgres(t *testing.T) {
	const n = 300
	c := &clock{}
	s := newSetupOn(t, c, storetest.OpenPostgres(t, storetest.WithNow(c.Now)))
	s.fleet(n)
	for range 2 { // two replicas, and one lease
		start(t, s.replica(fmt.Sprint("replica ", time.Now().UnixNano()), local.Kind(), s.gate.kind()))
	}
	b, err := s.BulkRevoke(t.Context(), engine.BulkRevocation{Criteria: certctl.BulkCriteria{IssuerID: "iss-local"}})
	if err != nil || b.Affected != n {
		t.Fatalf("%+v, %v", b, err)
	}
	if b = s.bulk(b.ID, completed); b.Revoked != n || b.Failed != 0 {
		t.Errorf("%+v", b)
	}
	s.revokedOnce(n)
}
