package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"github.com/certctl/certctl/certctl/api"
)

// ListCertificates returns one page of certificates.
func (c *Client) ListCertificates(ctx context.Context, q api.CertificateQuery) (*api.List[api.Certificate], error) {
	return list[api.Certificate](ctx, c, "/certificates", q)
}

// Certificates goes through all certificates that match, page by page.
func (c *Client) Certificates(ctx context.Context, q api.CertificateQuery) iter.Seq2[*api.Certificate, error] {
	return follow(q.ListOptions, func(o api.ListOptions) (*api.List[api.Certificate], error) {
		q := q
		q.ListOptions = o
		return c.ListCertificates(ctx, q)
	})
}

// GetCertificate returns a certificate.
func (c *Client) GetCertificate(ctx context.Context, id string) (*api.Certificate, error) {
	return invoke[api.Certificate](ctx, c, call{method: http.MethodGet, path: "/certificates/%s"}, nil, id)
}

// CreateCertificate requests a managed certificate; the job in the answer
// issues it.
func (c *Client) CreateCertificate(ctx context.Context, r api.CertificateRequest, opts ...CallOption) (*api.CertificateCreated, error) {
	return invoke[api.CertificateCreated](ctx, c, call{method: http.MethodPost, path: "/certificates", body: r, keyed: true}, opts)
}

// UpdateCertificate changes the fields that are present; names, issuer and
// profile take effect with the next version.
func (c *Client) UpdateCertificate(ctx context.Context, id string, r api.CertificateUpdate, opts ...CallOption) (*api.Certificate, error) {
	return invoke[api.Certificate](ctx, c, call{method: http.MethodPut, path: "/certificates/%s", body: r}, opts, id)
}

// PatchCertificate is UpdateCertificate by another HTTP method.
func (c *Client) PatchCertificate(ctx context.Context, id string, r api.CertificateUpdate, opts ...CallOption) (*api.Certificate, error) {
	return invoke[api.Certificate](ctx, c, call{method: http.MethodPatch, path: "/certificates/%s", body: r}, opts, id)
}

// ArchiveCertificate takes a certificate out of management; it is not revoked
// by that.
func (c *Client) ArchiveCertificate(ctx context.Context, id string, opts ...CallOption) error {
	return c.exec(ctx, call{method: http.MethodDelete, path: "/certificates/%s"}, opts, id)
}

// RenewCertificate begins a renewal; ErrConflict when one is under way.
func (c *Client) RenewCertificate(ctx context.Context, id string, r api.RenewRequest, opts ...CallOption) (*api.RenewResponse, error) {
	return invoke[api.RenewResponse](ctx, c, call{method: http.MethodPost, path: "/certificates/%s/renew", body: r, keyed: true}, opts, id)
}

// DeployCertificate deploys the current version again.
func (c *Client) DeployCertificate(ctx context.Context, id string, r api.DeployRequest, opts ...CallOption) (*api.DeployResponse, error) {
	return invoke[api.DeployResponse](ctx, c, call{method: http.MethodPost, path: "/certificates/%s/deploy", body: r, keyed: true}, opts, id)
}

// RevokeCertificate revokes every version that has not expired, or one.
func (c *Client) RevokeCertificate(ctx context.Context, id string, r api.RevokeRequest, opts ...CallOption) (*api.RevokeResponse, error) {
	return invoke[api.RevokeResponse](ctx, c, call{method: http.MethodPost, path: "/certificates/%s/revoke", body: r, keyed: true}, opts, id)
}

// HoldCertificate revokes in the way that ReleaseCertificate can undo.
func (c *Client) HoldCertificate(ctx context.Context, id string, r api.HoldRequest, opts ...CallOption) (*api.HoldResponse, error) {
	return invoke[api.HoldResponse](ctx, c, call{method: http.MethodPost, path: "/certificates/%s/hold", body: r, keyed: true}, opts, id)
}

// ReleaseCertificate lifts a hold; ErrIllegalTransition for every other
// revocation.
func (c *Client) ReleaseCertificate(ctx context.Context, id string, r api.ReleaseRequest, opts ...CallOption) (*api.ReleaseResponse, error) {
	return invoke[api.ReleaseResponse](ctx, c, call{method: http.MethodPost, path: "/certificates/%s/release", body: r, keyed: true}, opts, id)
}

// ExportCertificatePEM returns a version's certificate and chain; an empty
// serial number is the current version.
func (c *Client) ExportCertificatePEM(ctx context.Context, id, serial string) (*api.Export, error) {
	r := call{method: http.MethodGet, path: "/certificates/%s/export/pem"}
	if serial != "" {
		r.query = url.Values{"serial_number": {serial}}
	}
	return invoke[api.Export](ctx, c, r, nil, id)
}
