package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/certctl/certctl/certctl/api"
)

// GetAuthInfo tells how to authenticate.
func (c *Client) GetAuthInfo(ctx context.Context) (*api.AuthInfo, error) {
	return invoke[api.AuthInfo](ctx, c, call{method: http.MethodGet, path: "/auth/info"}, nil)
}

// CheckAuth tells whom the server takes the client for.
func (c *Client) CheckAuth(ctx context.Context) (*api.AuthCheck, error) {
	return invoke[api.AuthCheck](ctx, c, call{method: http.MethodGet, path: "/auth/check"}, nil)
}

// GetVersion tells what the server runs.
func (c *Client) GetVersion(ctx context.Context) (*api.Version, error) {
	return invoke[api.Version](ctx, c, call{method: http.MethodGet, path: "/version"}, nil)
}

// GetSummary returns the fleet in numbers.
func (c *Client) GetSummary(ctx context.Context) (*api.Summary, error) {
	return invoke[api.Summary](ctx, c, call{method: http.MethodGet, path: "/stats/summary"}, nil)
}

// GetHealth tells whether the server answers.
func (c *Client) GetHealth(ctx context.Context) (*api.Health, error) {
	return root(ctx, c, "/health")
}

// GetReady tells whether the server can work; ErrUnavailable when its database
// does not answer.
func (c *Client) GetReady(ctx context.Context) (*api.Health, error) {
	return root(ctx, c, "/ready")
}

func root(ctx context.Context, c *Client, path string) (*api.Health, error) {
	out := &api.Health{}
	if err := c.do(ctx, call{method: http.MethodGet, path: path, once: true}, nil, out); err != nil {
		return nil, err
	}
	return out, nil
}

// ListAudit returns one page of the record, newest first.
func (c *Client) ListAudit(ctx context.Context, q api.AuditQuery) (*api.List[api.AuditEntry], error) {
	return list[api.AuditEntry](ctx, c, "/audit", q)
}

// AuditEntries goes through the record, newest first, page by page.
func (c *Client) AuditEntries(ctx context.Context, q api.AuditQuery) iter.Seq2[*api.AuditEntry, error] {
	return follow(q.ListOptions, func(o api.ListOptions) (*api.List[api.AuditEntry], error) {
		q := q
		q.ListOptions = o
		return c.ListAudit(ctx, q)
	})
}

// GetAuditEntry returns one line of the record.
func (c *Client) GetAuditEntry(ctx context.Context, id string) (*api.AuditEntry, error) {
	return invoke[api.AuditEntry](ctx, c, call{method: http.MethodGet, path: "/audit/%s"}, nil, id)
}
