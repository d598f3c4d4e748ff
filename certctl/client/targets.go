package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/certctl/certctl/certctl/api"
)

// ListTargets returns one page of targets.
func (c *Client) ListTargets(ctx context.Context, q api.TargetQuery) (*api.List[api.Target], error) {
	return list[api.Target](ctx, c, "/targets", q)
}

// Targets goes through all targets, page by page.
func (c *Client) Targets(ctx context.Context, q api.TargetQuery) iter.Seq2[*api.Target, error] {
	return follow(q.ListOptions, func(o api.ListOptions) (*api.List[api.Target], error) {
		q := q
		q.ListOptions = o
		return c.ListTargets(ctx, q)
	})
}

// GetTarget returns a target.
func (c *Client) GetTarget(ctx context.Context, id string) (*api.Target, error) {
	return invoke[api.Target](ctx, c, call{method: http.MethodGet, path: "/targets/%s"}, nil, id)
}

// CreateTarget creates a target.
func (c *Client) CreateTarget(ctx context.Context, r api.TargetCreate, opts ...CallOption) (*api.Target, error) {
	return invoke[api.Target](ctx, c, call{method: http.MethodPost, path: "/targets", body: r, keyed: true}, opts)
}

// UpdateTarget changes the fields that are present.
func (c *Client) UpdateTarget(ctx context.Context, id string, r api.TargetUpdate, opts ...CallOption) (*api.Target, error) {
	return invoke[api.Target](ctx, c, call{method: http.MethodPut, path: "/targets/%s", body: r}, opts, id)
}

// DeleteTarget retires a target to which nothing is bound.
func (c *Client) DeleteTarget(ctx context.Context, id string, opts ...CallOption) error {
	return c.exec(ctx, call{method: http.MethodDelete, path: "/targets/%s"}, opts, id)
}

// TestTarget tells whether a target's agent is there.
func (c *Client) TestTarget(ctx context.Context, id string, opts ...CallOption) (*api.TestResult, error) {
	return invoke[api.TestResult](ctx, c, call{method: http.MethodPost, path: "/targets/%s/test", keyed: true}, opts, id)
}

// ListTargetKinds returns the kinds that can be configured.
func (c *Client) ListTargetKinds(ctx context.Context) (*api.List[api.Kind], error) {
	return invoke[api.List[api.Kind]](ctx, c, call{method: http.MethodGet, path: "/targets/kinds"}, nil)
}
