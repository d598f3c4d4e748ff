package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/google/go-cmp/cmp"
)

func testAudit(t *testing.T, s certctl.Store) {
	ctx := certctl.WithActor(t.Context(), certctl.Actor{ID: "ak-1", Name: "ann", Type: certctl.ActorAPIKey, RequestID: "req-1"})
	err := s.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		return tx.Append(ctx, &certctl.AuditEntry{Action: "team_created", ResourceType: "team", ResourceID: "t-1", Details: map[string]any{"n": "x"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	View(t, s, func(ctx context.Context, r certctl.Reader) error {
		page, err := r.Audit().List(ctx, certctl.AuditFilter{Actors: []string{"ak-1"}, Actions: []string{"team_created"}}, certctl.Page{})
		if err != nil || len(page.Items) != 1 {
			t.Fatalf("%v, %v", page, err)
		}
		e := page.Items[0]
		if e.ID == "" || e.At.IsZero() || e.ActorName != "ann" || e.RequestID != "req-1" || e.Details["n"] != "x" {
			t.Errorf("%+v", e)
		}
		return nil
	})
}

func testEvents(t *testing.T, s certctl.Store) {
	const workers, rounds = 4, 8
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range rounds {
				err := s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error {
					return tx.Emit(ctx, certctl.JobFinished{JobID: fmt.Sprintf("%d-%d", w, i)}, certctl.AgentChanged{AgentID: "a"})
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	finished := make(chan struct{})
	go func() { group.Wait(); close(finished) }()
	seen, cursor := map[string]bool{}, int64(0)
	deadline := time.After(30 * time.Second)
	for done := false; len(seen) < 2*workers*rounds; {
		View(t, s, func(ctx context.Context, r certctl.Reader) error {
			events, err := r.EventsAfter(ctx, cursor, 5)
			for _, e := range events {
				if seen[e.ID] {
					t.Fatalf("event %s twice", e.ID)
				}
				seen[e.ID], cursor = true, e.Cursor
			}
			return err
		})
		select {
		case <-finished:
			done = true
		case <-deadline:
			t.Fatalf("%d of %d events after the deadline; all written: %v", len(seen), 2*workers*rounds, done)
		default:
		}
	}
}

func testWatch(t *testing.T, s certctl.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	mine, err := s.Watch(ctx, certctl.TopicJobs)
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.Watch(ctx, certctl.TopicConfig)
	if err != nil {
		t.Fatal(err)
	}
	Update(t, s, func(_ context.Context, tx certctl.Tx) error { tx.Nudge(certctl.TopicJobs); return nil })
	select {
	case <-mine:
	case <-time.After(5 * time.Second):
		t.Fatal("no nudge")
	}
	// A connection that has just been made may nudge everybody, a few times.
	// Whoever is nudged for nothing for ever would spin.
	spurious := 0
	for range 50 {
		Update(t, s, func(context.Context, certctl.Tx) error { return nil })
		for _, c := range []<-chan struct{}{mine, other} {
			select {
			case <-c:
				spurious++
			default:
			}
		}
	}
	if spurious > 5 {
		t.Errorf("%d spurious nudges after 50 transactions that nudged nobody", spurious)
	}
	cancel()
	deadline := time.After(5 * time.Second)
	for open := true; open; {
		select {
		case _, open = <-mine:
		case <-deadline:
			t.Fatal("the channel did not close with its context")
		}
	}
}

func testCRL(t *testing.T, s certctl.Store) {
	Seed(t, s)
	crl := func(n int64) *certctl.CRL {
		now := time.Now().UTC().Truncate(time.Microsecond)
		return &certctl.CRL{ID: "key", IssuerKeyID: "key", IssuerID: "iss-1", DER: []byte{1, byte(n)}, Number: n, ThisUpdate: now, NextUpdate: now.Add(time.Hour), GeneratedAt: now}
	}
	put := func(c *certctl.CRL) error {
		return s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error { return tx.PutCRL(ctx, c) })
	}
	for _, c := range []*certctl.CRL{crl(5), crl(7)} {
		if err := put(c); err != nil {
			t.Fatal(err)
		}
	}
	want(t, put(crl(7)), certctl.ErrConflict)
	want(t, put(crl(6)), certctl.ErrConflict)
	View(t, s, func(ctx context.Context, r certctl.Reader) error {
		got, err := r.CRLs().Get(ctx, "key")
		if err == nil && (got.Number != 7 || !cmp.Equal(got.DER, []byte{1, 7})) {
			t.Errorf("%+v", got)
		}
		return err
	})
}

func testVault(t *testing.T, s certctl.Store) {
	create := func(value string) (got *certctl.VaultItem) {
		Update(t, s, func(ctx context.Context, tx certctl.Tx) (err error) {
			got, err = tx.CreateVaultItem(ctx, &certctl.VaultItem{Owner: "o", Name: "n", Sealed: []byte(value), CreatedAt: tx.Now()})
			return err
		})
		return got
	}
	if a, b := create("first"), create("second"); string(a.Sealed) != "first" || string(b.Sealed) != "first" {
		t.Errorf("%s, %s", a.Sealed, b.Sealed)
	}
	err := s.View(t.Context(), func(ctx context.Context, r certctl.Reader) error {
		_, err := r.VaultItem(ctx, "o", "none")
		return err
	})
	want(t, err, certctl.ErrNotFound)
}

func testSequence(t *testing.T, s certctl.Store) {
	Seed(t, s)
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		if err := tx.Certificates().Insert(ctx, Certificate("mc-1")); err != nil {
			return err
		}
		for i := range 3 {
			id := fmt.Sprint(i)
			o := &certctl.Order{ID: "ord-" + id, CertificateID: "mc-1", JobID: "j", IssuerID: "iss-1", State: certctl.OrderIssued, NotBefore: tx.Now()}
			if err := tx.Orders().Insert(ctx, o); err != nil {
				return err
			}
			v := &certctl.CertificateVersion{
				ID: "cv-" + id, CertificateID: "mc-1", Generation: int64(i + 1), OrderID: o.ID, IssuerID: "iss-1", IssuerKeyID: "key",
				Serial: "a" + id, Fingerprint: id, NotBefore: tx.Now(), NotAfter: tx.Now().Add(time.Hour), CreatedAt: tx.Now(),
			}
			if err := tx.Versions().Insert(ctx, v); err != nil {
				return err
			}
			r := &certctl.Revocation{ID: "rev-" + id, IssuerID: "iss-1", IssuerKeyID: "key", Serial: v.Serial, CertificateID: "mc-1", VersionID: v.ID, RevokedAt: tx.Now(), NotAfter: v.NotAfter}
			if err := tx.Revocations().Insert(ctx, r); err != nil {
				return err
			}
			if r.Sequence != int64(i+1) {
				t.Errorf("sequence %d of revocation %d", r.Sequence, i)
			}
		}
		return nil
	})
	View(t, s, func(ctx context.Context, r certctl.Reader) error {
		n, err := r.RevocationSequence(ctx, "key", 0)
		if n != 3 {
			t.Errorf("sequence %d", n)
		}
		if m, err := r.RevocationSequence(ctx, "other", 0); m != 0 || err != nil {
			t.Errorf("%d, %v", m, err)
		}
		return err
	})
}
