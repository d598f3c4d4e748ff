package rest

import (
	"context"
	"net/http"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/server/rest/internal/input"
	"github.com/certctl/certctl/revocation"
)

func (s *service) bulkRevocations() {
	const path, tag = v1 + "/bulk-revocations", "bulk-revocations"
	add(s, operation{id: "bulkRevokeCertificates", method: http.MethodPost, path: v1 + "/certificates/bulk-revoke", tag: tag, summary: "Revoke many certificates, resumably; dry_run only counts them", access: admin, status: http.StatusAccepted, keyed: true}, s.bulkRevoke)
	add(s, operation{id: "listBulkRevocations", method: http.MethodGet, path: path, tag: tag, summary: "List bulk revocations, newest first", access: viewer}, s.listBulkRevocations)
	add(s, operation{id: "getBulkRevocation", method: http.MethodGet, path: path + "/{id}", tag: tag, summary: "Read how far a bulk revocation is", access: viewer}, s.getBulkRevocation)
	add(s, operation{id: "listBulkRevocationItems", method: http.MethodGet, path: path + "/{id}/items", tag: tag, summary: "List what became of each certificate", access: viewer}, s.listBulkItems)
}

func bulkLookup(r certctl.Reader) certctl.Lookup[certctl.BulkRevocation, certctl.BulkFilter] {
	return r.BulkRevocations()
}

func (s *service) bulkRevoke(ctx context.Context, in *creating[api.BulkRevokeRequest]) (*accepted[api.BulkRevokeResponse], error) {
	reason, err := reasonOf(in.Body.Reason)
	if err != nil {
		return nil, err
	}
	b, err := s.engine.BulkRevoke(ctx, engine.BulkRevocation{
		Criteria: certctl.BulkCriteria(in.Body.BulkCriteria), Reason: reason, InvalidSince: in.Body.InvalidSince, DryRun: in.Body.DryRun,
	})
	if err != nil {
		return nil, err
	}
	out := &accepted[api.BulkRevokeResponse]{Body: api.BulkRevokeResponse{
		JobID: b.ID, Criteria: api.BulkCriteria(b.Criteria), AffectedCount: b.Affected, Status: string(b.Status),
	}}
	if in.Body.DryRun {
		out.Body.Status = api.StatusDryRun
	} else {
		out.Location = v1 + "/bulk-revocations/" + b.ID
	}
	return out, nil
}

func (s *service) listBulkRevocations(ctx context.Context, in *struct{ api.BulkQuery }) (*page[api.BulkRevocation], error) {
	return listing[certctl.BulkRevocation, certctl.BulkFilter, api.BulkRevocation]{
		filter: certctl.BulkFilter{Statuses: in.Status}, lookup: bulkLookup, wire: wireBulk, newest: true,
	}.read(ctx, s, in.ListOptions)
}

func (s *service) getBulkRevocation(ctx context.Context, in *oneByID) (*single[api.BulkRevocation], error) {
	b, err := get(ctx, s, in.ID, bulkLookup, wireBulk)
	if err != nil {
		return nil, err
	}
	return &single[api.BulkRevocation]{ETag: etag(b.Revision), Body: *b}, nil
}

func (s *service) listBulkItems(ctx context.Context, in *struct {
	input.ByID
	api.BulkItemQuery
}) (*page[api.BulkItem], error) {
	return listing[certctl.BulkItem, certctl.BulkItemFilter, api.BulkItem]{
		filter: certctl.BulkItemFilter{BulkID: in.ID, Statuses: in.Status, CertificateIDs: in.CertificateID}, wire: wireBulkItem,
		lookup: func(r certctl.Reader) certctl.Lookup[certctl.BulkItem, certctl.BulkItemFilter] { return r.BulkItems() },
		before: func(ctx context.Context, r certctl.Reader) error {
			_, err := r.BulkRevocations().Get(ctx, in.ID)
			return err
		},
	}.read(ctx, s, in.ListOptions)
}

func wireBulk(b *certctl.BulkRevocation) api.BulkRevocation {
	return api.BulkRevocation{
		ID: b.ID, Status: string(b.Status), Criteria: api.BulkCriteria(b.Criteria), Reason: revocation.Reason(b.Reason).String(), InvalidSince: utc(b.InvalidSince),
		RequestedBy: b.RequestedBy, RequestedByName: b.RequestedByName, AffectedCount: b.Affected, PendingCount: b.Affected - b.Revoked - b.Skipped - b.Failed,
		RevokedCount: b.Revoked, SkippedCount: b.Skipped, FailedCount: b.Failed, StartedAt: utc(b.StartedAt), CompletedAt: utc(b.CompletedAt), Meta: wireMeta(b.Meta),
	}
}

func wireBulkItem(i *certctl.BulkItem) api.BulkItem {
	return api.BulkItem{CertificateID: i.CertificateID, Status: string(i.Status), RevokedSerials: i.Serials, Reason: i.Reason, ProcessedAt: utc(i.ProcessedAt)}
}
