package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/certctl/certctl/certctl/api"
)

// ListAPIKeys returns one page of API keys.
func (c *Client) ListAPIKeys(ctx context.Context, q api.APIKeyQuery) (*api.List[api.APIKey], error) {
	return list[api.APIKey](ctx, c, "/api-keys", q)
}

// APIKeys goes through all API keys, page by page.
func (c *Client) APIKeys(ctx context.Context, q api.APIKeyQuery) iter.Seq2[*api.APIKey, error] {
	return follow(q.ListOptions, func(o api.ListOptions) (*api.List[api.APIKey], error) {
		q := q
		q.ListOptions = o
		return c.ListAPIKeys(ctx, q)
	})
}

// GetAPIKey returns an API key, without its secret.
func (c *Client) GetAPIKey(ctx context.Context, id string) (*api.APIKey, error) {
	return invoke[api.APIKey](ctx, c, call{method: http.MethodGet, path: "/api-keys/%s"}, nil, id)
}

// CreateAPIKey makes a key. Its secret is shown this once, so the call is
// never repeated by itself.
func (c *Client) CreateAPIKey(ctx context.Context, r api.APIKeyCreate, opts ...CallOption) (*api.APIKeySecret, error) {
	return invoke[api.APIKeySecret](ctx, c, call{method: http.MethodPost, path: "/api-keys", body: r, once: true}, opts)
}

// RotateAPIKey gives a key a new secret, which is shown this once, so the
// call is never repeated by itself.
func (c *Client) RotateAPIKey(ctx context.Context, id string, r api.APIKeyRotate, opts ...CallOption) (*api.APIKeySecret, error) {
	return invoke[api.APIKeySecret](ctx, c, call{method: http.MethodPost, path: "/api-keys/%s/rotate", body: r, once: true}, opts, id)
}

// RevokeAPIKey ends a key at once.
func (c *Client) RevokeAPIKey(ctx context.Context, id string, opts ...CallOption) error {
	return c.exec(ctx, call{method: http.MethodDelete, path: "/api-keys/%s"}, opts, id)
}
