package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/revocation"
	"github.com/google/go-cmp/cmp"
)

// insertVersion writes a certificate with one version, revoked or not.
func insertVersion(ctx context.Context, tx certctl.Tx, id string, notAfter time.Time, r *certctl.Revocation) error {
	if err := tx.Certificates().Insert(ctx, Certificate(id)); err != nil {
		return err
	}
	o := &certctl.Order{ID: "ord-" + id, CertificateID: id, JobID: "j", IssuerID: "iss-1", State: certctl.OrderIssued, NotBefore: tx.Now()}
	if err := tx.Orders().Insert(ctx, o); err != nil {
		return err
	}
	v := &certctl.CertificateVersion{
		ID: "cv-" + id, CertificateID: id, Generation: 1, OrderID: o.ID, IssuerID: "iss-1", IssuerKeyID: "key",
		Serial: fmt.Sprintf("%x", id), Fingerprint: id, NotBefore: tx.Now(), NotAfter: notAfter, CreatedAt: tx.Now(),
	}
	if err := tx.Versions().Insert(ctx, v); err != nil || r == nil {
		return err
	}
	r.ID, r.IssuerID, r.IssuerKeyID, r.Serial, r.CertificateID, r.VersionID = "rev-"+id, "iss-1", "key", v.Serial, id, v.ID
	r.RevokedAt, r.NotAfter = tx.Now(), notAfter
	return tx.Revocations().Insert(ctx, r)
}

func testBulk(t *testing.T, s certctl.Store) {
	Seed(t, s)
	bulk := &certctl.BulkRevocation{
		ID: "bulk-1", Status: certctl.BulkPending, Criteria: certctl.BulkCriteria{IssuerID: "iss-1", CertificateIDs: []string{"a", "b"}}, Reason: 1,
		RequestedBy: "ak-1", RequestedByName: "ann", RequestedByType: certctl.ActorAPIKey, RequestID: "req-1",
	}
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		later := tx.Now().Add(time.Hour)
		for id, x := range map[string]struct {
			end time.Time
			r   *certctl.Revocation
		}{
			"mc-good": {later, nil}, "mc-held": {later, &certctl.Revocation{Reason: int(revocation.CertificateHold)}},
			"mc-released": {later, &certctl.Revocation{Reason: int(revocation.CertificateHold), ReleasedAt: tx.Now()}},
			"mc-revoked":  {later, &certctl.Revocation{Reason: int(revocation.Superseded)}}, "mc-expired": {tx.Now(), nil},
		} {
			if err := insertVersion(ctx, tx, id, x.end, x.r); err != nil {
				return err
			}
		}
		if err := tx.Certificates().Insert(ctx, Certificate("mc-never")); err != nil {
			return err
		}
		if err := tx.BulkRevocations().Insert(ctx, bulk); err != nil {
			return err
		}
		n, err := tx.BulkItems().Enlist(ctx, bulk.ID, certctl.CertificateFilter{IssuerIDs: []string{"iss-1"}, RevocableAt: tx.Now()})
		if err == nil && n != 3 {
			t.Errorf("%d were enlisted, want 3", n)
		}
		return err
	})
	Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		got, err := tx.BulkRevocations().Get(ctx, bulk.ID)
		if err != nil {
			return err
		}
		if d := cmp.Diff(bulk, got); d != "" {
			t.Error(d)
		}
		page, err := tx.BulkItems().List(ctx, certctl.BulkItemFilter{BulkID: bulk.ID, Statuses: []string{"pending"}}, certctl.Page{Limit: 2})
		if err != nil {
			return err
		}
		if len(page.Items) != 2 || page.Items[0].CertificateID != "mc-good" || page.Items[1].ID != certctl.BulkItemID(bulk.ID, "mc-held") || page.Next == "" {
			t.Errorf("%+v", page)
		}
		item := page.Items[0]
		item.Status, item.Serials, item.ProcessedAt = certctl.BulkItemRevoked, 1, tx.Now()
		return tx.BulkItems().Update(ctx, item)
	})
	View(t, s, func(ctx context.Context, r certctl.Reader) error {
		for status, want := range map[string]int64{"pending": 2, "revoked": 1, "failed": 0} {
			if n, err := r.BulkItems().Count(ctx, certctl.BulkItemFilter{BulkID: bulk.ID, Statuses: []string{status}}); err != nil || n != want {
				t.Errorf("%d %s, want %d: %v", n, status, want, err)
			}
		}
		page, err := r.BulkRevocations().List(ctx, certctl.BulkFilter{Statuses: []string{"Pending", "Running"}}, certctl.Page{})
		if err == nil && len(page.Items) != 1 {
			t.Errorf("%+v", page)
		}
		return err
	})
	err := s.Update(t.Context(), func(ctx context.Context, tx certctl.Tx) error {
		_, err := tx.BulkItems().Enlist(ctx, bulk.ID, certctl.CertificateFilter{IDs: []string{"mc-good"}})
		return err
	})
	want(t, err, certctl.ErrConflict)
}
