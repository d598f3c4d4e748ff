package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/certctl/certctl/certctl/api"
)

// ListIssuers returns one page of issuers.
func (c *Client) ListIssuers(ctx context.Context, q api.IssuerQuery) (*api.List[api.Issuer], error) {
	return list[api.Issuer](ctx, c, "/issuers", q)
}

// Issuers goes through all issuers, page by page.
func (c *Client) Issuers(ctx context.Context, q api.IssuerQuery) iter.Seq2[*api.Issuer, error] {
	return follow(q.ListOptions, func(o api.ListOptions) (*api.List[api.Issuer], error) {
		q := q
		q.ListOptions = o
		return c.ListIssuers(ctx, q)
	})
}

// GetIssuer returns an issuer.
func (c *Client) GetIssuer(ctx context.Context, id string) (*api.Issuer, error) {
	return invoke[api.Issuer](ctx, c, call{method: http.MethodGet, path: "/issuers/%s"}, nil, id)
}

// CreateIssuer creates an issuer.
func (c *Client) CreateIssuer(ctx context.Context, r api.IssuerCreate, opts ...CallOption) (*api.Issuer, error) {
	return invoke[api.Issuer](ctx, c, call{method: http.MethodPost, path: "/issuers", body: r, keyed: true}, opts)
}

// UpdateIssuer changes the fields that are present.
func (c *Client) UpdateIssuer(ctx context.Context, id string, r api.IssuerUpdate, opts ...CallOption) (*api.Issuer, error) {
	return invoke[api.Issuer](ctx, c, call{method: http.MethodPut, path: "/issuers/%s", body: r}, opts, id)
}

// DeleteIssuer removes an issuer that never issued anything.
func (c *Client) DeleteIssuer(ctx context.Context, id string, opts ...CallOption) error {
	return c.exec(ctx, call{method: http.MethodDelete, path: "/issuers/%s"}, opts, id)
}

// TestIssuer asks whether an issuer could issue now.
func (c *Client) TestIssuer(ctx context.Context, id string, opts ...CallOption) (*api.TestResult, error) {
	return invoke[api.TestResult](ctx, c, call{method: http.MethodPost, path: "/issuers/%s/test", keyed: true}, opts, id)
}

// ListIssuerKinds returns the kinds that can be configured.
func (c *Client) ListIssuerKinds(ctx context.Context) (*api.List[api.Kind], error) {
	return invoke[api.List[api.Kind]](ctx, c, call{method: http.MethodGet, path: "/issuers/kinds"}, nil)
}

// GetIssuerCertificates returns the CA's certificates.
func (c *Client) GetIssuerCertificates(ctx context.Context, id string) (*api.CACertificates, error) {
	return invoke[api.CACertificates](ctx, c, call{method: http.MethodGet, path: "/issuers/%s/certificates"}, nil, id)
}
