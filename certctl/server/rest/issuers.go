package rest

import (
	"context"
	"net/http"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/server/rest/internal/input"
)

func (s *service) issuers() {
	const path, tag = v1 + "/issuers", "issuers"
	add(s, operation{id: "listIssuers", method: http.MethodGet, path: path, tag: tag, summary: "List issuers", access: viewer}, s.listIssuers)
	add(s, operation{id: "listIssuerKinds", method: http.MethodGet, path: path + "/kinds", tag: tag, summary: "List the kinds that can be configured", access: viewer}, s.listIssuerKinds)
	add(s, operation{id: "getIssuer", method: http.MethodGet, path: path + "/{id}", tag: tag, summary: "Read an issuer", access: viewer}, s.getIssuer)
	add(s, operation{id: "getIssuerCertificates", method: http.MethodGet, path: path + "/{id}/certificates", tag: tag, summary: "Read the CA's certificates", access: viewer}, s.getIssuerCertificates)
	add(s, operation{id: "createIssuer", method: http.MethodPost, path: path, tag: tag, summary: "Configure a certificate authority and test it", access: admin, status: http.StatusCreated, keyed: true}, s.createIssuer)
	add(s, operation{id: "updateIssuer", method: http.MethodPut, path: path + "/{id}", tag: tag, summary: "Change the fields that are present", access: admin}, s.updateIssuer)
	add(s, operation{id: "deleteIssuer", method: http.MethodDelete, path: path + "/{id}", tag: tag, summary: "Remove an issuer that never issued anything", access: admin}, s.deleteIssuer)
	add(s, operation{id: "testIssuer", method: http.MethodPost, path: path + "/{id}/test", tag: tag, summary: "Ask whether an issuer could issue now", access: admin, keyed: true}, s.testIssuer)
}

func issuerLookup(r certctl.Reader) certctl.Lookup[certctl.Issuer, certctl.IssuerFilter] {
	return r.Issuers()
}

func (s *service) listIssuers(ctx context.Context, in *struct{ api.IssuerQuery }) (*page[api.Issuer], error) {
	return listing[certctl.Issuer, certctl.IssuerFilter, api.Issuer]{
		filter: certctl.IssuerFilter{Names: in.Name, Types: in.Type, Enabled: tri(in.Enabled)}, lookup: issuerLookup, wire: wireIssuer,
	}.read(ctx, s, in.ListOptions)
}

func (s *service) getIssuer(ctx context.Context, in *oneByID) (*single[api.Issuer], error) {
	i, err := get(ctx, s, in.ID, issuerLookup, wireIssuer)
	if err != nil {
		return nil, err
	}
	return &single[api.Issuer]{ETag: etag(i.Revision), Body: *i}, nil
}

func (s *service) getIssuerCertificates(ctx context.Context, in *input.ByID) (*plain[api.CACertificates], error) {
	text, err := s.engine.IssuerCertificates(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &plain[api.CACertificates]{Body: api.CACertificates{PEM: text}}, nil
}

func (s *service) createIssuer(ctx context.Context, in *creating[api.IssuerCreate]) (*created[api.Issuer], error) {
	b := in.Body
	i, err := s.engine.CreateIssuer(ctx, engine.ConnectorInput{ID: b.ID, Name: b.Name, Type: b.Type, Config: b.Config, Enabled: b.Enabled})
	if err != nil {
		return nil, err
	}
	return &created[api.Issuer]{ETag: etag(i.Revision), Location: v1 + "/issuers/" + i.ID, Body: wireIssuer(i)}, nil
}

func (s *service) updateIssuer(ctx context.Context, in *changeByID[api.IssuerUpdate]) (*single[api.Issuer], error) {
	known, err := revision(in.Matching)
	if err != nil {
		return nil, err
	}
	i, err := s.engine.UpdateIssuer(ctx, in.ID, engine.ConnectorInput{Name: text(in.Body.Name), Config: in.Body.Config, Enabled: in.Body.Enabled}, known)
	if err != nil {
		return nil, err
	}
	return &single[api.Issuer]{ETag: etag(i.Revision), Body: wireIssuer(i)}, nil
}

func (s *service) deleteIssuer(ctx context.Context, in *deleteByID) (*nothing, error) {
	known, err := revision(in.Matching)
	if err != nil {
		return nil, err
	}
	return nil, s.engine.DeleteIssuer(ctx, in.ID, known)
}

func (s *service) testIssuer(ctx context.Context, in *input.ByID) (*plain[api.TestResult], error) {
	i, err := s.engine.TestIssuer(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &plain[api.TestResult]{Body: api.TestResult{Status: string(i.TestStatus), Message: i.TestMessage, TestedAt: utc(i.TestedAt)}}, nil
}

func (s *service) listIssuerKinds(_ context.Context, _ *nothing) (*plain[api.List[api.Kind]], error) {
	return kindList(s.engine.IssuerKinds()), nil
}

func kindList(kinds []engine.KindInfo) *plain[api.List[api.Kind]] {
	out := &plain[api.List[api.Kind]]{Body: api.List[api.Kind]{Data: make([]api.Kind, len(kinds)), PageSize: len(kinds)}}
	for i, k := range kinds {
		out.Body.Data[i] = api.Kind{Name: k.Name, Title: k.Title, Schema: k.Schema}
	}
	return out
}

// text is what a pointer points to, or nothing.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
