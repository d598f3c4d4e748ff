package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/certctl/certctl/certctl/api"
)

// ListOwners returns one page of owners.
func (c *Client) ListOwners(ctx context.Context, q api.OwnerQuery) (*api.List[api.Owner], error) {
	return list[api.Owner](ctx, c, "/owners", q)
}

// Owners goes through all owners, page by page.
func (c *Client) Owners(ctx context.Context, q api.OwnerQuery) iter.Seq2[*api.Owner, error] {
	return follow(q.ListOptions, func(o api.ListOptions) (*api.List[api.Owner], error) {
		q := q
		q.ListOptions = o
		return c.ListOwners(ctx, q)
	})
}

// GetOwner returns an owner.
func (c *Client) GetOwner(ctx context.Context, id string) (*api.Owner, error) {
	return invoke[api.Owner](ctx, c, call{method: http.MethodGet, path: "/owners/%s"}, nil, id)
}

// CreateOwner creates an owner.
func (c *Client) CreateOwner(ctx context.Context, r api.OwnerCreate, opts ...CallOption) (*api.Owner, error) {
	return invoke[api.Owner](ctx, c, call{method: http.MethodPost, path: "/owners", body: r, keyed: true}, opts)
}

// UpdateOwner changes the fields that are present.
func (c *Client) UpdateOwner(ctx context.Context, id string, r api.OwnerUpdate, opts ...CallOption) (*api.Owner, error) {
	return invoke[api.Owner](ctx, c, call{method: http.MethodPut, path: "/owners/%s", body: r}, opts, id)
}

// DeleteOwner removes an owner that nothing refers to.
func (c *Client) DeleteOwner(ctx context.Context, id string, opts ...CallOption) error {
	return c.exec(ctx, call{method: http.MethodDelete, path: "/owners/%s"}, opts, id)
}

// ListTeams returns one page of teams.
func (c *Client) ListTeams(ctx context.Context, q api.NameQuery) (*api.List[api.Team], error) {
	return list[api.Team](ctx, c, "/teams", q)
}

// Teams goes through all teams, page by page.
func (c *Client) Teams(ctx context.Context, q api.NameQuery) iter.Seq2[*api.Team, error] {
	return follow(q.ListOptions, func(o api.ListOptions) (*api.List[api.Team], error) {
		q := q
		q.ListOptions = o
		return c.ListTeams(ctx, q)
	})
}

// GetTeam returns a team.
func (c *Client) GetTeam(ctx context.Context, id string) (*api.Team, error) {
	return invoke[api.Team](ctx, c, call{method: http.MethodGet, path: "/teams/%s"}, nil, id)
}

// CreateTeam creates a team.
func (c *Client) CreateTeam(ctx context.Context, r api.TeamCreate, opts ...CallOption) (*api.Team, error) {
	return invoke[api.Team](ctx, c, call{method: http.MethodPost, path: "/teams", body: r, keyed: true}, opts)
}

// UpdateTeam changes the fields that are present.
func (c *Client) UpdateTeam(ctx context.Context, id string, r api.TeamUpdate, opts ...CallOption) (*api.Team, error) {
	return invoke[api.Team](ctx, c, call{method: http.MethodPut, path: "/teams/%s", body: r}, opts, id)
}

// DeleteTeam removes a team that nothing refers to.
func (c *Client) DeleteTeam(ctx context.Context, id string, opts ...CallOption) error {
	return c.exec(ctx, call{method: http.MethodDelete, path: "/teams/%s"}, opts, id)
}
