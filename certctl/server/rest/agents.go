package rest

import (
	"context"
	"net/http"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/server/rest/internal/input"
)

func (s *service) agents() {
	const path, tag = v1 + "/agents", "agents"
	add(s, operation{id: "listAgents", method: http.MethodGet, path: path, tag: tag, summary: "List agents that are not retired", access: viewer}, s.listAgents)
	add(s, operation{id: "listRetiredAgents", method: http.MethodGet, path: path + "/retired", tag: tag, summary: "List retired agents", access: viewer}, s.listRetiredAgents)
	add(s, operation{id: "getAgent", method: http.MethodGet, path: path + "/{id}", tag: tag, summary: "Read an agent", access: viewer}, s.getAgent)
	add(s, operation{id: "retireAgent", method: http.MethodDelete, path: path + "/{id}", tag: tag, summary: "Retire an agent; its credential stops working at once", access: admin}, s.retireAgent)
	add(s, operation{id: "listJoinTokens", method: http.MethodGet, path: path + "/join-tokens", tag: tag, summary: "List join tokens", access: operator}, s.listJoinTokens)
	add(s, operation{id: "createJoinToken", method: http.MethodPost, path: path + "/join-tokens", tag: tag, summary: "Make a token with which one agent can join, once", access: operator, status: http.StatusCreated, keyed: true, secret: true}, s.createJoinToken)
	add(s, operation{id: "revokeJoinToken", method: http.MethodDelete, path: path + "/join-tokens/{id}", tag: tag, summary: "Revoke a join token that was not used", access: operator}, s.revokeJoinToken)
}

func agentLookup(r certctl.Reader) certctl.Lookup[certctl.Agent, certctl.AgentFilter] {
	return r.Agents()
}

type agentQuery = struct{ api.AgentQuery }

func (s *service) listAgents(ctx context.Context, in *agentQuery) (*page[api.Agent], error) {
	return s.agentList(ctx, in, false)
}

func (s *service) listRetiredAgents(ctx context.Context, in *agentQuery) (*page[api.Agent], error) {
	return s.agentList(ctx, in, true)
}

func (s *service) agentList(ctx context.Context, in *agentQuery, retired bool) (*page[api.Agent], error) {
	return listing[certctl.Agent, certctl.AgentFilter, api.Agent]{
		filter: certctl.AgentFilter{Names: in.Name, Statuses: in.Status, Retired: &retired}, lookup: agentLookup, wire: wireAgent,
	}.read(ctx, s, in.ListOptions)
}

func (s *service) getAgent(ctx context.Context, in *oneByID) (*single[api.Agent], error) {
	a, err := get(ctx, s, in.ID, agentLookup, wireAgent)
	if err != nil {
		return nil, err
	}
	return &single[api.Agent]{ETag: etag(a.Revision), Body: *a}, nil
}

func (s *service) retireAgent(ctx context.Context, in *struct {
	input.ByID
	api.RetireOptions
}) (*nothing, error) {
	return nil, s.engine.RetireAgent(ctx, in.ID, in.Force, in.Reason)
}

func (s *service) listJoinTokens(ctx context.Context, in *struct{ api.ListOptions }) (*page[api.JoinToken], error) {
	return listing[certctl.JoinToken, certctl.JoinTokenFilter, api.JoinToken]{
		lookup: func(r certctl.Reader) certctl.Lookup[certctl.JoinToken, certctl.JoinTokenFilter] {
			return r.JoinTokens()
		},
		wire: wireJoinToken, newest: true,
	}.read(ctx, s, in.ListOptions)
}

func (s *service) createJoinToken(ctx context.Context, in *struct{ Body *api.JoinTokenRequest }) (*created[api.JoinTokenCreated], error) {
	var o engine.JoinTokenInput
	if in.Body != nil {
		o = engine.JoinTokenInput{AgentName: in.Body.AgentName, TTL: duration(in.Body.TTLSeconds)}
	}
	token, row, err := s.engine.CreateJoinToken(ctx, o)
	if err != nil {
		return nil, err
	}
	return &created[api.JoinTokenCreated]{
		ETag: etag(row.Revision), Location: v1 + "/agents/join-tokens/" + row.ID,
		Body: api.JoinTokenCreated{JoinToken: wireJoinToken(row), Token: token},
	}, nil
}

func (s *service) revokeJoinToken(ctx context.Context, in *input.ByID) (*nothing, error) {
	return nil, s.engine.RevokeJoinToken(ctx, in.ID)
}
