package rest

import (
	"context"
	"net/http"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/engine"
)

func (s *service) crlCache() {
	add(s, operation{id: "getCRLCache", method: http.MethodGet, path: v1 + "/admin/crl/cache", tag: "admin", summary: "Read which CRLs are served, and how they came about", access: admin}, s.getCRLCache)
}

func (s *service) getCRLCache(ctx context.Context, _ *struct{}) (*plain[api.CRLCache], error) {
	rows, at, err := s.engine.CRLCache(ctx)
	if err != nil {
		return nil, err
	}
	out := &plain[api.CRLCache]{Body: api.CRLCache{Rows: make([]api.CRLCacheRow, len(rows)), RowCount: len(rows), GeneratedAt: utc(at)}}
	for i, row := range rows {
		out.Body.Rows[i] = wireCRL(row)
	}
	return out, nil
}

func wireCRL(row engine.CRLCacheRow) api.CRLCacheRow {
	c := row.CRL
	out := api.CRLCacheRow{
		IssuerID: c.IssuerID, IssuerKeyID: c.IssuerKeyID, Shard: c.Shard, Delta: c.Delta, CRLNumber: c.Number, BaseNumber: c.BaseNumber,
		ThisUpdate: utc(c.ThisUpdate), NextUpdate: utc(c.NextUpdate), GeneratedAt: utc(c.GeneratedAt), GenerationDurationMillis: c.Duration.Milliseconds(),
		RevokedCount: c.RevokedCount, IsStale: row.Stale, RecentEvents: make([]api.CRLEvent, len(row.Events)),
	}
	for i, g := range row.Events {
		out.RecentEvents[i] = wireCRLEvent(g)
	}
	return out
}

func wireCRLEvent(g *certctl.CRLGeneration) api.CRLEvent {
	return api.CRLEvent{
		CRLNumber: g.Number, DurationMillis: g.Duration.Milliseconds(), RevokedCount: g.RevokedCount, StartedAt: utc(g.StartedAt), Succeeded: g.Succeeded, Error: g.Error,
	}
}
