package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/certctl/certctl/certctl/api"
)

// ListAgents returns one page of agents that are not retired.
func (c *Client) ListAgents(ctx context.Context, q api.AgentQuery) (*api.List[api.Agent], error) {
	return list[api.Agent](ctx, c, "/agents", q)
}

// Agents goes through all agents that are not retired, page by page.
func (c *Client) Agents(ctx context.Context, q api.AgentQuery) iter.Seq2[*api.Agent, error] {
	return follow(q.ListOptions, func(o api.ListOptions) (*api.List[api.Agent], error) {
		q := q
		q.ListOptions = o
		return c.ListAgents(ctx, q)
	})
}

// ListRetiredAgents returns one page of retired agents.
func (c *Client) ListRetiredAgents(ctx context.Context, q api.AgentQuery) (*api.List[api.Agent], error) {
	return list[api.Agent](ctx, c, "/agents/retired", q)
}

// RetiredAgents goes through all retired agents, page by page.
func (c *Client) RetiredAgents(ctx context.Context, q api.AgentQuery) iter.Seq2[*api.Agent, error] {
	return follow(q.ListOptions, func(o api.ListOptions) (*api.List[api.Agent], error) {
		q := q
		q.ListOptions = o
		return c.ListRetiredAgents(ctx, q)
	})
}

// GetAgent returns an agent.
func (c *Client) GetAgent(ctx context.Context, id string) (*api.Agent, error) {
	return invoke[api.Agent](ctx, c, call{method: http.MethodGet, path: "/agents/%s"}, nil, id)
}

// RetireAgent ends an agent: its credential stops working at once. With active
// targets, certificates or jobs that takes Force and a Reason; ErrConflict
// otherwise.
func (c *Client) RetireAgent(ctx context.Context, id string, o api.RetireOptions, opts ...CallOption) error {
	return c.exec(ctx, call{method: http.MethodDelete, path: "/agents/%s", query: values(o)}, opts, id)
}

// ListJoinTokens returns one page of join tokens.
func (c *Client) ListJoinTokens(ctx context.Context, q api.ListOptions) (*api.List[api.JoinToken], error) {
	return list[api.JoinToken](ctx, c, "/agents/join-tokens", q)
}

// JoinTokens goes through all join tokens, page by page.
func (c *Client) JoinTokens(ctx context.Context, q api.ListOptions) iter.Seq2[*api.JoinToken, error] {
	return follow(q, func(o api.ListOptions) (*api.List[api.JoinToken], error) { return c.ListJoinTokens(ctx, o) })
}

// CreateJoinToken makes a token with which one agent can join, once. It is
// shown this once, so the call is never repeated by itself.
func (c *Client) CreateJoinToken(ctx context.Context, r api.JoinTokenRequest, opts ...CallOption) (*api.JoinTokenCreated, error) {
	return invoke[api.JoinTokenCreated](ctx, c, call{method: http.MethodPost, path: "/agents/join-tokens", body: r, once: true}, opts)
}

// RevokeJoinToken ends a token that was not used.
func (c *Client) RevokeJoinToken(ctx context.Context, id string, opts ...CallOption) error {
	return c.exec(ctx, call{method: http.MethodDelete, path: "/agents/join-tokens/%s"}, opts, id)
}
