package rest

import (
	"context"
	"net/http"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/server/rest/internal/input"
)

func (s *service) audit() {
	const path, tag = v1 + "/audit", "audit"
	add(s, operation{id: "listAudit", method: http.MethodGet, path: path, tag: tag, summary: "List the record, newest first", access: viewer}, s.listAudit)
	add(s, operation{id: "getAuditEntry", method: http.MethodGet, path: path + "/{id}", tag: tag, summary: "Read one line of the record", access: viewer}, s.getAuditEntry)
}

func auditLookup(r certctl.Reader) certctl.Lookup[certctl.AuditEntry, certctl.AuditFilter] {
	return r.Audit()
}

func (s *service) listAudit(ctx context.Context, in *struct{ api.AuditQuery }) (*page[api.AuditEntry], error) {
	return listing[certctl.AuditEntry, certctl.AuditFilter, api.AuditEntry]{
		filter: certctl.AuditFilter{
			Actors: in.Actor, Actions: in.Action, ResourceTypes: in.ResourceType, ResourceIDs: in.ResourceID, Since: in.Since, Until: in.Until,
		},
		lookup: auditLookup, wire: wireAudit, newest: true,
	}.read(ctx, s, in.ListOptions)
}

func (s *service) getAuditEntry(ctx context.Context, in *input.ByID) (*plain[api.AuditEntry], error) {
	a, err := get(ctx, s, in.ID, auditLookup, wireAudit)
	if err != nil {
		return nil, err
	}
	return &plain[api.AuditEntry]{Body: *a}, nil
}
