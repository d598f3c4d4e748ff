package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/certctl/certctl/certctl/api"
)

// BulkRevokeCertificates begins the revocation of many certificates;
// GetBulkRevocation tells how far it is.
func (c *Client) BulkRevokeCertificates(ctx context.Context, r api.BulkRevokeRequest, opts ...CallOption) (*api.BulkRevokeResponse, error) {
	return invoke[api.BulkRevokeResponse](ctx, c, call{method: http.MethodPost, path: "/certificates/bulk-revoke", body: r, keyed: true}, opts)
}

// ListBulkRevocations returns one page of bulk revocations, newest first.
func (c *Client) ListBulkRevocations(ctx context.Context, q api.BulkQuery) (*api.List[api.BulkRevocation], error) {
	return list[api.BulkRevocation](ctx, c, "/bulk-revocations", q)
}

// BulkRevocations goes through all bulk revocations that match, page by page.
func (c *Client) BulkRevocations(ctx context.Context, q api.BulkQuery) iter.Seq2[*api.BulkRevocation, error] {
	return follow(q.ListOptions, func(o api.ListOptions) (*api.List[api.BulkRevocation], error) {
		q := q
		q.ListOptions = o
		return c.ListBulkRevocations(ctx, q)
	})
}

// GetBulkRevocation returns a bulk revocation with its counts.
func (c *Client) GetBulkRevocation(ctx context.Context, id string) (*api.BulkRevocation, error) {
	return invoke[api.BulkRevocation](ctx, c, call{method: http.MethodGet, path: "/bulk-revocations/%s"}, nil, id)
}

// ListBulkRevocationItems returns one page of what became of each certificate.
func (c *Client) ListBulkRevocationItems(ctx context.Context, id string, q api.BulkItemQuery) (*api.List[api.BulkItem], error) {
	return list[api.BulkItem](ctx, c, "/bulk-revocations/%s/items", q, id)
}

// BulkRevocationItems goes through all items that match, page by page.
func (c *Client) BulkRevocationItems(ctx context.Context, id string, q api.BulkItemQuery) iter.Seq2[*api.BulkItem, error] {
	return follow(q.ListOptions, func(o api.ListOptions) (*api.List[api.BulkItem], error) {
		q := q
		q.ListOptions = o
		return c.ListBulkRevocationItems(ctx, id, q)
	})
}

// GetCRLCache tells of every CRL that is served; for administrators.
func (c *Client) GetCRLCache(ctx context.Context) (*api.CRLCache, error) {
	return invoke[api.CRLCache](ctx, c, call{method: http.MethodGet, path: "/admin/crl/cache"}, nil)
}
