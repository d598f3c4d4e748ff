package rest

import (
	"context"
	"net/http"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/server/rest/internal/input"
)

func (s *service) jobs() {
	const path, tag = v1 + "/jobs", "jobs"
	add(s, operation{id: "listJobs", method: http.MethodGet, path: path, tag: tag, summary: "List jobs, newest first", access: viewer}, s.listJobs)
	add(s, operation{id: "getJob", method: http.MethodGet, path: path + "/{id}", tag: tag, summary: "Read a job", access: viewer}, s.getJob)
	add(s, operation{id: "cancelJob", method: http.MethodPost, path: path + "/{id}/cancel", tag: tag, summary: "Cancel a job", access: operator, keyed: true}, s.cancelJob)
}

func jobLookup(r certctl.Reader) certctl.Lookup[certctl.Job, certctl.JobFilter] { return r.Jobs() }

func (s *service) listJobs(ctx context.Context, in *struct{ api.JobQuery }) (*page[api.Job], error) {
	return listing[certctl.Job, certctl.JobFilter, api.Job]{
		filter: certctl.JobFilter{
			Types: in.Type, Statuses: in.Status, CertificateIDs: in.CertificateID, TargetIDs: in.TargetID, AgentIDs: in.AgentID, CreatedAfter: in.CreatedAfter,
		},
		lookup: jobLookup, wire: wireJob, newest: true,
	}.read(ctx, s, in.ListOptions)
}

func (s *service) getJob(ctx context.Context, in *oneByID) (*single[api.Job], error) {
	j, err := get(ctx, s, in.ID, jobLookup, wireJob)
	if err != nil {
		return nil, err
	}
	return &single[api.Job]{ETag: etag(j.Revision), Body: *j}, nil
}

func (s *service) cancelJob(ctx context.Context, in *input.ByID) (*single[api.Job], error) {
	j, err := s.engine.CancelJob(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &single[api.Job]{ETag: etag(j.Revision), Body: wireJob(j)}, nil
}
