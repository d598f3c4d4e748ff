package rest

import (
	"context"
	"net/http"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/server/rest/internal/input"
)

func (s *service) targets() {
	const path, tag = v1 + "/targets", "targets"
	add(s, operation{id: "listTargets", method: http.MethodGet, path: path, tag: tag, summary: "List targets", access: viewer}, s.listTargets)
	add(s, operation{id: "listTargetKinds", method: http.MethodGet, path: path + "/kinds", tag: tag, summary: "List the kinds that can be configured", access: viewer}, s.listTargetKinds)
	add(s, operation{id: "getTarget", method: http.MethodGet, path: path + "/{id}", tag: tag, summary: "Read a target", access: viewer}, s.getTarget)
	add(s, operation{id: "createTarget", method: http.MethodPost, path: path, tag: tag, summary: "Configure a place to deploy to", access: operator, status: http.StatusCreated, keyed: true}, s.createTarget)
	add(s, operation{id: "updateTarget", method: http.MethodPut, path: path + "/{id}", tag: tag, summary: "Change the fields that are present", access: operator}, s.updateTarget)
	add(s, operation{id: "deleteTarget", method: http.MethodDelete, path: path + "/{id}", tag: tag, summary: "Retire a target to which nothing is bound", access: operator}, s.deleteTarget)
	add(s, operation{id: "testTarget", method: http.MethodPost, path: path + "/{id}/test", tag: tag, summary: "Tell whether a target's agent is there", access: operator, keyed: true}, s.testTarget)
}

func targetLookup(r certctl.Reader) certctl.Lookup[certctl.Target, certctl.TargetFilter] {
	return r.Targets()
}

func (s *service) listTargets(ctx context.Context, in *struct{ api.TargetQuery }) (*page[api.Target], error) {
	retired := tri(in.Retired)
	if retired == nil {
		retired = new(bool)
	}
	return listing[certctl.Target, certctl.TargetFilter, api.Target]{
		filter: certctl.TargetFilter{Names: in.Name, Types: in.Type, AgentIDs: in.AgentID, Enabled: tri(in.Enabled), Retired: retired},
		lookup: targetLookup, wire: wireTarget,
	}.read(ctx, s, in.ListOptions)
}

func (s *service) getTarget(ctx context.Context, in *oneByID) (*single[api.Target], error) {
	t, err := get(ctx, s, in.ID, targetLookup, wireTarget)
	if err != nil {
		return nil, err
	}
	return &single[api.Target]{ETag: etag(t.Revision), Body: *t}, nil
}

func (s *service) createTarget(ctx context.Context, in *creating[api.TargetCreate]) (*created[api.Target], error) {
	b := in.Body
	t, err := s.engine.CreateTarget(ctx, engine.ConnectorInput{
		ID: b.ID, Name: b.Name, Type: b.Type, AgentID: b.AgentID, Config: b.Config, Enabled: b.Enabled,
	})
	if err != nil {
		return nil, err
	}
	return &created[api.Target]{ETag: etag(t.Revision), Location: v1 + "/targets/" + t.ID, Body: wireTarget(t)}, nil
}

func (s *service) updateTarget(ctx context.Context, in *changeByID[api.TargetUpdate]) (*single[api.Target], error) {
	known, err := revision(in.Matching)
	if err != nil {
		return nil, err
	}
	t, err := s.engine.UpdateTarget(ctx, in.ID, engine.ConnectorInput{Name: text(in.Body.Name), Config: in.Body.Config, Enabled: in.Body.Enabled}, known)
	if err != nil {
		return nil, err
	}
	return &single[api.Target]{ETag: etag(t.Revision), Body: wireTarget(t)}, nil
}

func (s *service) deleteTarget(ctx context.Context, in *deleteByID) (*nothing, error) {
	known, err := revision(in.Matching)
	if err != nil {
		return nil, err
	}
	return nil, s.engine.DeleteTarget(ctx, in.ID, known)
}

func (s *service) testTarget(ctx context.Context, in *input.ByID) (*plain[api.TestResult], error) {
	t, err := s.engine.TestTarget(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &plain[api.TestResult]{Body: api.TestResult{Status: string(t.TestStatus), Message: t.TestMessage, TestedAt: utc(t.TestedAt)}}, nil
}

func (s *service) listTargetKinds(_ context.Context, _ *nothing) (*plain[api.List[api.Kind]], error) {
	return kindList(s.engine.TargetKinds()), nil
}
