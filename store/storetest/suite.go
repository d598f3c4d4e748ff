package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/google/go-cmp/cmp"
)

// Run is the contract of certctl.Store. open returns a new, empty store.
func Run(t *testing.T, open func(*testing.T) certctl.Store) {
	for name, f := range map[string]func(*testing.T, certctl.Store){
		"RoundTrip": testRoundTrip, "Unique": testUnique, "Stale": testStale, "Rollback": testRollback, "Pages": testPages, "BadPages": testBadPages,
		"Filters": testFilters, "Claim": testClaim, "ClaimRace": testClaimRace, "Fence": testFence, "Release": testRelease, "LiveJobs": testLiveJobs, "OpenOrders": testOpenOrders,
		"Leases": testLeases, "Audit": testAudit, "Events": testEvents, "Watch": testWatch, "CRL": testCRL, "Vault": testVault, "Sequence": testSequence, "BulkRevocation": testBulk,
		"References": testReferences, "ViewIsASnapshot": testSnapshot, "Summary": testSummary, "Concurrent": testConcurrent, "Cancelled": testCancelled, "Text": testText,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

func want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got %v, want an error that is %q", err, target)
	}
}

func testRoundTrip(t *testing.T, s certctl.Store) {
	Seed(t, s)
	c := Certificate("mc-1")
	c.ExpiresAt = time.Date(2031, 2, 3, 4, 5, 6, 123456789, time.FixedZone("X", 3600))
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error { return tx.Certificates().Insert(ctx, c) })
	View(t, s, func(ctx context.Context, r certctl.Reader) error {
		got, err := r.Certificates().Get(ctx, "mc-1")
		if err != nil {
			return err
		}
		if d := cmp.Diff(c, got); d != "" {
			t.Error(d)
		}
		if got.ExpiresAt.Nanosecond() != 123456000 || got.ExpiresAt.Location() != time.UTC || got.Revision != 1 {
			t.Errorf("expires %v, revision %d", got.ExpiresAt, got.Revision)
		}
		if !got.RevokedAt.IsZero() || got.OwnerID != "" {
			t.Errorf("unset values came back as %v, %q", got.RevokedAt, got.OwnerID)
		}
		i, err := r.Issuers().Get(ctx, "iss-1")
		if err != nil {
			return err
		}
		if string(i.SealedConfig) != "\x01\x02" || len(i.Config) == 0 {
			t.Errorf("issuer came back as %s, %v", i.Config, i.SealedConfig)
		}
		_, err = r.Certificates().Get(ctx, "mc-none")
		want(t, err, certctl.ErrNotFound)
		return nil
	})
}

func testUnique(t *testing.T, s certctl.Store) {
	Seed(t, s)
	insert := func(c *certctl.Certificate) error {
		return s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error { return tx.Certificates().Insert(ctx, c) })
	}
	if err := insert(Certificate("mc-1")); err != nil {
		t.Fatal(err)
	}
	want(t, insert(Certificate("mc-1")), certctl.ErrConflict)
	same := Certificate("mc-2")
	same.Name = "mc-1"
	err := insert(same)
	want(t, err, certctl.ErrConflict)
	if err.Error() != "another certificate has the same name already" {
		t.Errorf("message: %v", err)
	}
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		c, err := tx.Certificates().Get(ctx, "mc-1")
		if err != nil {
			return err
		}
		c.Status = certctl.CertificateArchived
		return tx.Certificates().Update(ctx, c)
	})
	if err := insert(same); err != nil {
		t.Errorf("the name of an archived certificate is not free: %v", err)
	}
}

func testStale(t *testing.T, s certctl.Store) {
	Seed(t, s)
	team := &certctl.Team{ID: "t-1", Name: "one"}
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error { return tx.Teams().Insert(ctx, team) })
	old := *team
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		team.Name = "two"
		return tx.Teams().Update(ctx, team)
	})
	if team.Revision != 2 {
		t.Errorf("revision %d after an update", team.Revision)
	}
	runs := 0
	err := s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error {
		runs++
		row := old
		row.Name = "three"
		return tx.Teams().Update(ctx, &row)
	})
	want(t, err, certctl.ErrStale)
	if runs != 10 {
		t.Errorf("ran %d times", runs)
	}
	err = s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error {
		return tx.Teams().Update(ctx, &certctl.Team{ID: "t-none", Name: "x"})
	})
	want(t, err, certctl.ErrNotFound)
	err = s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error { return tx.Teams().Delete(ctx, "t-none") })
	want(t, err, certctl.ErrNotFound)
}

func testRollback(t *testing.T, s certctl.Store) {
	boom := errors.New("boom")
	err := s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error {
		if err := tx.Teams().Insert(ctx, &certctl.Team{ID: "t-1", Name: "one"}); err != nil {
			return err
		}
		return boom
	})
	want(t, err, boom)
	View(t, s, func(ctx context.Context, r certctl.Reader) error {
		n, err := r.Teams().Count(ctx, certctl.NameFilter{})
		if n != 0 {
			t.Errorf("%d rows survived a rollback", n)
		}
		return err
	})
}

func testPages(t *testing.T, s certctl.Store) {
	Seed(t, s)
	base := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		for i := range 23 {
			c := Certificate(fmt.Sprintf("mc-%02d", i))
			if i%3 != 0 { // a third never expires: unset times must page, too
				c.ExpiresAt = base.Add(time.Duration(i/2) * time.Hour)
			}
			if err := tx.Certificates().Insert(ctx, c); err != nil {
				return err
			}
		}
		return nil
	})
	for _, sort := range []string{"", "expiresAt", "name", "status", "createdAt", "notAfter"} {
		for _, desc := range []bool{false, true} {
			seen := map[string]bool{}
			page := certctl.Page{Limit: 5, Sort: sort, Desc: desc, Total: true}
			for pages := 0; ; pages++ {
				var r *certctl.Result[certctl.Certificate]
				View(t, s, func(ctx context.Context, rd certctl.Reader) (err error) {
					r, err = rd.Certificates().List(ctx, certctl.CertificateFilter{}, page)
					return err
				})
				for _, c := range r.Items {
					if seen[c.ID] {
						t.Fatalf("%s twice, sorted by %q", c.ID, sort)
					}
					seen[c.ID] = true
				}
				if pages == 1 { // inserts do not move what was read
					extra := Certificate(fmt.Sprintf("mc-new-%s-%v", sort, desc))
					Update(t, s, func(ctx context.Context, tx certctl.Tx) error { return tx.Certificates().Insert(ctx, extra) })
				}
				if r.Next == "" {
					break
				}
				page.Cursor = r.Next
			}
			for i := range 23 {
				if id := fmt.Sprintf("mc-%02d", i); !seen[id] {
					t.Errorf("%s was never listed, sorted by %q, descending %v", id, sort, desc)
				}
			}
		}
	}
}

func testBadPages(t *testing.T, s certctl.Store) {
	for _, p := range []certctl.Page{
		{Sort: "id; DROP TABLE certificates"}, {Sort: "nope"}, {Cursor: "!!!"}, {Cursor: "e30"},
		{Cursor: "eyJzIjoibmFtZSIsIngiOiJhIiwiaSI6ImIifQ"}, // of another order
	} {
		err := s.View(t.Context(), func(ctx context.Context, r certctl.Reader) error {
			_, err := r.Certificates().List(ctx, certctl.CertificateFilter{}, p)
			return err
		})
		want(t, err, certctl.ErrInvalid)
	}
}

func testFilters(t *testing.T, s certctl.Store) {
	Seed(t, s)
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		a, b := Certificate("mc-a"), Certificate("mc-b")
		a.Environment, a.Status, a.ExpiresAt = "prod", certctl.CertificateActive, tx.Now().Add(time.Hour)
		b.SANs, b.RenewAt = []string{"special_name.example.org"}, tx.Now().Add(-time.Minute)
		if err := tx.Certificates().Insert(ctx, a, b); err != nil {
			return err
		}
		return tx.Bindings().Insert(ctx, &certctl.Binding{ID: "bnd-1", CertificateID: "mc-a", TargetID: "tgt-1", State: certctl.BindingPending, Verification: certctl.VerificationPending})
	})
	now := time.Now()
	for name, c := range map[string]struct {
		f    certctl.CertificateFilter
		want []string
	}{
		"all":           {certctl.CertificateFilter{}, []string{"mc-a", "mc-b"}},
		"status":        {certctl.CertificateFilter{Statuses: []string{"Active"}}, []string{"mc-a"}},
		"environment":   {certctl.CertificateFilter{Environments: []string{"prod", "x"}}, []string{"mc-a"}},
		"agent":         {certctl.CertificateFilter{AgentIDs: []string{"ag-1"}}, []string{"mc-a"}},
		"target":        {certctl.CertificateFilter{TargetIDs: []string{"tgt-1"}}, []string{"mc-a"}},
		"other agent":   {certctl.CertificateFilter{AgentIDs: []string{"ag-2"}}, nil},
		"expires":       {certctl.CertificateFilter{ExpiresBefore: now.Add(2 * time.Hour), ExpiresAfter: now}, []string{"mc-a"}},
		"renew":         {certctl.CertificateFilter{RenewBefore: now}, []string{"mc-b"}},
		"search":        {certctl.CertificateFilter{Search: "SPECIAL_N"}, []string{"mc-b"}},
		"search escape": {certctl.CertificateFilter{Search: "special%"}, nil},
		"injection":     {certctl.CertificateFilter{IDs: []string{"' OR 1=1 --"}}, nil},
	} {
		View(t, s, func(ctx context.Context, r certctl.Reader) error {
			got, err := r.Certificates().List(ctx, c.f, certctl.Page{Sort: "name"})
			if err != nil {
				return err
			}
			var ids []string
			for _, row := range got.Items {
				ids = append(ids, row.ID)
			}
			if d := cmp.Diff(c.want, ids); d != "" {
				t.Errorf("%s: %s", name, d)
			}
			n, err := r.Certificates().Count(ctx, c.f)
			if int(n) != len(c.want) {
				t.Errorf("%s: counted %d", name, n)
			}
			return err
		})
	}
}

func testReferences(t *testing.T, s certctl.Store) {
	Seed(t, s)
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		return tx.Certificates().Insert(ctx, Certificate("mc-1"))
	})
	err := s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error { return tx.RenewalPolicies().Delete(ctx, "rp-1") })
	want(t, err, certctl.ErrConflict)
	err = s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error {
		c := Certificate("mc-2")
		c.IssuerID = "iss-none"
		return tx.Certificates().Insert(ctx, c)
	})
	want(t, err, certctl.ErrInvalid)
}

func testSnapshot(t *testing.T, s certctl.Store) {
	View(t, s, func(ctx context.Context, r certctl.Reader) error {
		before, err := r.Teams().Count(ctx, certctl.NameFilter{})
		if err != nil {
			return err
		}
		Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
			return tx.Teams().Insert(ctx, &certctl.Team{ID: "t-1", Name: "one"})
		})
		after, err := r.Teams().Count(ctx, certctl.NameFilter{})
		if before != 0 || after != 0 {
			t.Errorf("a snapshot saw %d, then %d rows", before, after)
		}
		return err
	})
}

func testSummary(t *testing.T, s certctl.Store) {
	Seed(t, s)
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		a, b := Certificate("mc-1"), Certificate("mc-2")
		a.Status, a.ExpiresAt = certctl.CertificateActive, soon
		return tx.Certificates().Insert(ctx, a, b)
	})
	View(t, s, func(ctx context.Context, r certctl.Reader) error {
		sum, err := r.Reports().Summary(ctx)
		if err != nil {
			return err
		}
		if sum.Certificates[certctl.CertificateActive] != 1 || sum.Certificates[certctl.CertificatePending] != 1 || sum.Agents[certctl.AgentOnline] != 1 || !sum.NextExpiry.Equal(soon) {
			t.Errorf("%+v", sum)
		}
		return nil
	})
}

// testConcurrent raises one counter from many sides: none is lost.
func testConcurrent(t *testing.T, s certctl.Store) {
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		return tx.Teams().Insert(ctx, &certctl.Team{ID: "t-1", Name: "0"})
	})
	const workers, rounds = 4, 10
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range rounds {
				for done := false; !done; { // ten collisions in a row are possible, and legal
					err := s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error {
						team, err := tx.Teams().Get(ctx, "t-1")
						if err != nil {
							return err
						}
						team.Description += "x"
						return tx.Teams().Update(ctx, team)
					})
					done = err == nil
					if err != nil && !errors.Is(err, certctl.ErrStale) && !errors.Is(err, certctl.ErrUnavailable) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	group.Wait()
	View(t, s, func(ctx context.Context, r certctl.Reader) error {
		team, err := r.Teams().Get(ctx, "t-1")
		if err == nil && len(team.Description) != workers*rounds {
			t.Errorf("%d of %d updates are there", len(team.Description), workers*rounds)
		}
		return err
	})
}

func testCancelled(t *testing.T, s certctl.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	want(t, s.Update(ctx, func(context.Context, certctl.Tx) error { return nil }), context.Canceled)
	want(t, s.View(ctx, func(context.Context, certctl.Reader) error { return nil }), context.Canceled)
}

// testText stores what people and certificates contain.
func testText(t *testing.T, s certctl.Store) {
	for i, text := range []string{"it's", `back\slash`, "?", "ünïcödé ✓", "'; DROP TABLE teams; --", "$1 :a @b", "line\nbreak\ttab", `{"json": [1]}`} {
		id := fmt.Sprintf("t-%d", i)
		Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
			return tx.Teams().Insert(ctx, &certctl.Team{ID: id, Name: text, Description: text})
		})
		View(t, s, func(ctx context.Context, r certctl.Reader) error {
			row, err := r.Teams().Get(ctx, id)
			if err == nil && row.Description != text {
				t.Errorf("%q came back as %q", text, row.Description)
			}
			return err
		})
	}
}
