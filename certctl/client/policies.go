package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/certctl/certctl/certctl/api"
)

// ListProfiles returns one page of profiles.
func (c *Client) ListProfiles(ctx context.Context, q api.NameQuery) (*api.List[api.Profile], error) {
	return list[api.Profile](ctx, c, "/profiles", q)
}

// Profiles goes through all profiles, page by page.
func (c *Client) Profiles(ctx context.Context, q api.NameQuery) iter.Seq2[*api.Profile, error] {
	return follow(q.ListOptions, func(o api.ListOptions) (*api.List[api.Profile], error) {
		q := q
		q.ListOptions = o
		return c.ListProfiles(ctx, q)
	})
}

// GetProfile returns a profile.
func (c *Client) GetProfile(ctx context.Context, id string) (*api.Profile, error) {
	return invoke[api.Profile](ctx, c, call{method: http.MethodGet, path: "/profiles/%s"}, nil, id)
}

// CreateProfile creates a profile.
func (c *Client) CreateProfile(ctx context.Context, r api.ProfileCreate, opts ...CallOption) (*api.Profile, error) {
	return invoke[api.Profile](ctx, c, call{method: http.MethodPost, path: "/profiles", body: r, keyed: true}, opts)
}

// UpdateProfile changes the fields that are present.
func (c *Client) UpdateProfile(ctx context.Context, id string, r api.ProfileUpdate, opts ...CallOption) (*api.Profile, error) {
	return invoke[api.Profile](ctx, c, call{method: http.MethodPut, path: "/profiles/%s", body: r}, opts, id)
}

// DeleteProfile removes a profile that nothing refers to.
func (c *Client) DeleteProfile(ctx context.Context, id string, opts ...CallOption) error {
	return c.exec(ctx, call{method: http.MethodDelete, path: "/profiles/%s"}, opts, id)
}

// ListRenewalPolicies returns one page of renewal policies.
func (c *Client) ListRenewalPolicies(ctx context.Context, q api.NameQuery) (*api.List[api.RenewalPolicy], error) {
	return list[api.RenewalPolicy](ctx, c, "/renewal-policies", q)
}

// RenewalPolicies goes through all renewal policies, page by page.
func (c *Client) RenewalPolicies(ctx context.Context, q api.NameQuery) iter.Seq2[*api.RenewalPolicy, error] {
	return follow(q.ListOptions, func(o api.ListOptions) (*api.List[api.RenewalPolicy], error) {
		q := q
		q.ListOptions = o
		return c.ListRenewalPolicies(ctx, q)
	})
}

// GetRenewalPolicy returns a renewal policy.
func (c *Client) GetRenewalPolicy(ctx context.Context, id string) (*api.RenewalPolicy, error) {
	return invoke[api.RenewalPolicy](ctx, c, call{method: http.MethodGet, path: "/renewal-policies/%s"}, nil, id)
}

// CreateRenewalPolicy creates a renewal policy.
func (c *Client) CreateRenewalPolicy(ctx context.Context, r api.RenewalPolicyCreate, opts ...CallOption) (*api.RenewalPolicy, error) {
	return invoke[api.RenewalPolicy](ctx, c, call{method: http.MethodPost, path: "/renewal-policies", body: r, keyed: true}, opts)
}

// UpdateRenewalPolicy changes the fields that are present.
func (c *Client) UpdateRenewalPolicy(ctx context.Context, id string, r api.RenewalPolicyUpdate, opts ...CallOption) (*api.RenewalPolicy, error) {
	return invoke[api.RenewalPolicy](ctx, c, call{method: http.MethodPut, path: "/renewal-policies/%s", body: r}, opts, id)
}

// DeleteRenewalPolicy removes a policy that nothing refers to.
func (c *Client) DeleteRenewalPolicy(ctx context.Context, id string, opts ...CallOption) error {
	return c.exec(ctx, call{method: http.MethodDelete, path: "/renewal-policies/%s"}, opts, id)
}
