package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/certctl/certctl/certctl/api"
)

// ListJobs returns one page of jobs.
func (c *Client) ListJobs(ctx context.Context, q api.JobQuery) (*api.List[api.Job], error) {
	return list[api.Job](ctx, c, "/jobs", q)
}

// Jobs goes through all jobs that match, page by page.
func (c *Client) Jobs(ctx context.Context, q api.JobQuery) iter.Seq2[*api.Job, error] {
	return follow(q.ListOptions, func(o api.ListOptions) (*api.List[api.Job], error) {
		q := q
		q.ListOptions = o
		return c.ListJobs(ctx, q)
	})
}

// GetJob returns a job.
func (c *Client) GetJob(ctx context.Context, id string) (*api.Job, error) {
	return invoke[api.Job](ctx, c, call{method: http.MethodGet, path: "/jobs/%s"}, nil, id)
}

// CancelJob ends a job that can still be ended.
func (c *Client) CancelJob(ctx context.Context, id string, opts ...CallOption) (*api.Job, error) {
	return invoke[api.Job](ctx, c, call{method: http.MethodPost, path: "/jobs/%s/cancel", keyed: true}, opts, id)
}
