package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/certctl/certctl/certctl/api"
)

// ListCertificateVersions returns one page of what CAs signed for a certificate, newest first.
func (c *Client) ListCertificateVersions(ctx context.Context, id string, q api.ListOptions) (*api.List[api.CertificateVersion], error) {
	return list[api.CertificateVersion](ctx, c, "/certificates/%s/versions", q, id)
}

// CertificateVersions goes through what CAs signed for a certificate, newest first, page by page.
func (c *Client) CertificateVersions(ctx context.Context, id string, q api.ListOptions) iter.Seq2[*api.CertificateVersion, error] {
	return follow(q, func(o api.ListOptions) (*api.List[api.CertificateVersion], error) {
		return c.ListCertificateVersions(ctx, id, o)
	})
}

// ListCertificateDeployments returns one page of a certificate's bindings with their targets.
func (c *Client) ListCertificateDeployments(ctx context.Context, id string, q api.ListOptions) (*api.List[api.Deployment], error) {
	return list[api.Deployment](ctx, c, "/certificates/%s/deployments", q, id)
}

// CertificateDeployments goes through a certificate's bindings with their targets, page by page.
func (c *Client) CertificateDeployments(ctx context.Context, id string, q api.ListOptions) iter.Seq2[*api.Deployment, error] {
	return follow(q, func(o api.ListOptions) (*api.List[api.Deployment], error) {
		return c.ListCertificateDeployments(ctx, id, o)
	})
}

// ListCertificateBindings returns one page of a certificate's bindings.
func (c *Client) ListCertificateBindings(ctx context.Context, id string, q api.ListOptions) (*api.List[api.Binding], error) {
	return list[api.Binding](ctx, c, "/certificates/%s/bindings", q, id)
}

// CertificateBindings goes through a certificate's bindings, page by page.
func (c *Client) CertificateBindings(ctx context.Context, id string, q api.ListOptions) iter.Seq2[*api.Binding, error] {
	return follow(q, func(o api.ListOptions) (*api.List[api.Binding], error) { return c.ListCertificateBindings(ctx, id, o) })
}

// BindCertificate puts a certificate onto a target; binding twice is no error.
func (c *Client) BindCertificate(ctx context.Context, id string, targetID string, opts ...CallOption) (*api.Binding, error) {
	return invoke[api.Binding](ctx, c, call{method: http.MethodPut, path: "/certificates/%s/bindings/%s"}, opts, id, targetID)
}

// UnbindCertificate ends a binding; what the target serves stays as it is.
func (c *Client) UnbindCertificate(ctx context.Context, id string, targetID string, opts ...CallOption) error {
	return c.exec(ctx, call{method: http.MethodDelete, path: "/certificates/%s/bindings/%s"}, opts, id, targetID)
}
