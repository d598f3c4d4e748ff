package rest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
)

// ended waits until a bulk revocation is completed.
func ended(t testing.TB, c *client.Client, id string) *api.BulkRevocation {
	t.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		b, err := c.GetBulkRevocation(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if b.Status == "Completed" {
			return b
		}
		select {
		case <-deadline:
			t.Fatalf("after the deadline: %+v", b)
		case <-tick.C:
		}
	}
}

func TestBulkRevocation(t *testing.T) {
	s := newSetup(t)
	s.run()
	c, ctx := s.admin(), t.Context()
	owner, err := c.CreateOwner(ctx, api.OwnerCreate{Name: "Ann"})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"mc-a", "mc-b", "mc-c"} {
		s.issue(id, func(r *api.CertificateRequest) {
			if id != "mc-c" {
				r.OwnerID = owner.ID
			}
		})
	}
	r := api.BulkRevokeRequest{BulkCriteria: api.BulkCriteria{OwnerID: owner.ID}, Reason: "cessationOfOperation", DryRun: true}
	dry, err := c.BulkRevokeCertificates(ctx, r)
	if err != nil || dry.JobID != "" || dry.AffectedCount != 2 || dry.Status != api.StatusDryRun {
		t.Fatalf("%+v, %v", dry, err)
	}
	body := `{"owner_id":"` + owner.ID + `","reason":"cessationOfOperation"}`
	first := s.send(s.keys[certctl.RoleAdmin], http.MethodPost, "/api/v1/certificates/bulk-revoke", body, "Idempotency-Key: once")
	again := s.send(s.keys[certctl.RoleAdmin], http.MethodPost, "/api/v1/certificates/bulk-revoke", body, "Idempotency-Key: once")
	if first.StatusCode != http.StatusAccepted || first.body != again.body || !strings.Contains(first.body, `"status":"Pending"`) {
		t.Fatalf("%d %s\n%s", first.StatusCode, first.body, again.body)
	}
	list, err := c.ListBulkRevocations(ctx, api.BulkQuery{})
	if err != nil || len(list.Data) != 1 || list.Data[0].AffectedCount != 2 || list.Data[0].Criteria.OwnerID != owner.ID {
		t.Fatalf("%+v, %v", list, err)
	}
	id := list.Data[0].ID
	if first.Header.Get("Location") != "/api/v1/bulk-revocations/"+id {
		t.Errorf("Location %q", first.Header.Get("Location"))
	}
	if b := ended(t, c, id); b.RevokedCount != 2 || b.PendingCount+b.FailedCount+b.SkippedCount != 0 || b.Reason != "cessationOfOperation" {
		t.Errorf("%+v", b)
	}
	items, err := c.ListBulkRevocationItems(ctx, id, api.BulkItemQuery{Status: []string{"revoked"}, ListOptions: api.ListOptions{PageSize: 1}})
	if err != nil || len(items.Data) != 1 || items.Data[0].CertificateID != "mc-a" || items.Data[0].RevokedSerials != 1 || items.NextCursor == "" {
		t.Errorf("%+v, %v", items, err)
	}
	for id, want := range map[string]string{"mc-a": "Revoked", "mc-b": "Revoked", "mc-c": "Active"} {
		if cert, err := c.GetCertificate(ctx, id); err != nil || cert.Status != want {
			t.Errorf("%s: %+v, %v", id, cert, err)
		}
	}
	named, err := c.BulkRevokeCertificates(ctx, api.BulkRevokeRequest{BulkCriteria: api.BulkCriteria{CertificateIDs: []string{"mc-c", "mc-none"}}})
	if err != nil || named.AffectedCount != 2 {
		t.Fatalf("%+v, %v", named, err)
	}
	ended(t, c, named.JobID)
	failed, err := c.ListBulkRevocationItems(ctx, named.JobID, api.BulkItemQuery{Status: []string{"failed"}})
	if err != nil || len(failed.Data) != 1 || failed.Data[0].CertificateID != "mc-none" || failed.Data[0].Reason == "" {
		t.Errorf("%+v, %v", failed, err)
	}
	if _, err := c.BulkRevokeCertificates(ctx, api.BulkRevokeRequest{}); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("without criteria: %v", err)
	}
	if _, err := c.ListBulkRevocationItems(ctx, "bulk-none", api.BulkItemQuery{}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("items of none: %v", err)
	}
	if _, err := s.client(s.keys[certctl.RoleOperator]).BulkRevokeCertificates(ctx, r); !errors.Is(err, client.ErrForbidden) {
		t.Errorf("an operator: %v", err)
	}
}

func TestCRLCache(t *testing.T) {
	s := newSetup(t)
	s.run()
	s.issue("mc-a")
	if _, err := s.admin().RevokeCertificate(t.Context(), "mc-a", api.RevokeRequest{}); err != nil {
		t.Fatal(err)
	}
	list, err := s.engine.CRL(t.Context(), "iss-local")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := s.admin().GetCRLCache(t.Context())
	if err != nil || cache.RowCount != 1 || len(cache.Rows) != 1 || cache.GeneratedAt.IsZero() {
		t.Fatalf("%+v, %v", cache, err)
	}
	row := cache.Rows[0]
	if row.IssuerID != "iss-local" || row.CRLNumber != list.Number || row.RevokedCount != 1 || row.IsStale || len(row.RecentEvents) == 0 || !row.RecentEvents[0].Succeeded {
		t.Errorf("%+v", row)
	}
	for _, role := range []certctl.Role{certctl.RoleOperator, certctl.RoleViewer} {
		if _, err := s.client(s.keys[role]).GetCRLCache(t.Context()); !errors.Is(err, client.ErrForbidden) {
			t.Errorf("%s: %v", role, err)
		}
	}
}
