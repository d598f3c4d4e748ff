package rest

import (
	"context"
	"net/http"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/server/rest/internal/input"
)

func (s *service) bindings() {
	const path, tag = v1 + "/certificates/{id}", "certificates"
	add(s, operation{id: "listCertificateVersions", method: http.MethodGet, path: path + "/versions", tag: tag, summary: "List what CAs signed, newest first", access: viewer}, s.listVersions)
	add(s, operation{id: "listCertificateDeployments", method: http.MethodGet, path: path + "/deployments", tag: tag, summary: "List bindings with their targets and what was seen there", access: viewer}, s.listDeployments)
	add(s, operation{id: "listCertificateBindings", method: http.MethodGet, path: path + "/bindings", tag: tag, summary: "List bindings", access: viewer}, s.listBindings)
	add(s, operation{id: "bindCertificate", method: http.MethodPut, path: path + "/bindings/{target_id}", tag: tag, summary: "Put a certificate onto a target", access: operator}, s.bind)
	add(s, operation{id: "unbindCertificate", method: http.MethodDelete, path: path + "/bindings/{target_id}", tag: tag, summary: "End a binding; what the target serves stays as it is", access: operator}, s.unbind)
}

type listOfCertificate struct {
	input.ByID
	api.ListOptions
}

func certificateExists(id string) func(context.Context, certctl.Reader) error {
	return func(ctx context.Context, r certctl.Reader) error {
		_, err := r.Certificates().Get(ctx, id)
		return err
	}
}

func bindingLookup(r certctl.Reader) certctl.Lookup[certctl.Binding, certctl.BindingFilter] {
	return r.Bindings()
}

func (s *service) listVersions(ctx context.Context, in *listOfCertificate) (*page[api.CertificateVersion], error) {
	return listing[certctl.CertificateVersion, certctl.VersionFilter, api.CertificateVersion]{
		filter: certctl.VersionFilter{CertificateIDs: []string{in.ID}}, wire: wireVersion, newest: true, before: certificateExists(in.ID),
		lookup: func(r certctl.Reader) certctl.Lookup[certctl.CertificateVersion, certctl.VersionFilter] {
			return r.Versions()
		},
		after: func(ctx context.Context, r certctl.Reader, items []api.CertificateVersion) error {
			return addRevocations(ctx, r, in.ID, items)
		},
	}.read(ctx, s, in.ListOptions)
}

func (s *service) listBindings(ctx context.Context, in *listOfCertificate) (*page[api.Binding], error) {
	return listing[certctl.Binding, certctl.BindingFilter, api.Binding]{
		filter: certctl.BindingFilter{CertificateIDs: []string{in.ID}}, wire: wireBinding, lookup: bindingLookup, before: certificateExists(in.ID),
	}.read(ctx, s, in.ListOptions)
}

func (s *service) listDeployments(ctx context.Context, in *listOfCertificate) (*page[api.Deployment], error) {
	return listing[certctl.Binding, certctl.BindingFilter, api.Deployment]{
		filter: certctl.BindingFilter{CertificateIDs: []string{in.ID}}, lookup: bindingLookup, before: certificateExists(in.ID),
		wire: func(b *certctl.Binding) api.Deployment { return api.Deployment{Binding: wireBinding(b)} },
		after: func(ctx context.Context, r certctl.Reader, items []api.Deployment) error {
			for i := range items {
				t, err := r.Targets().Get(ctx, items[i].TargetID)
				if err != nil {
					return err
				}
				items[i].Target = api.DeploymentTarget{ID: t.ID, Name: t.Name, Type: t.Type, AgentID: t.AgentID, Enabled: t.Enabled}
			}
			return nil
		},
	}.read(ctx, s, in.ListOptions)
}

type bindingByIDs struct {
	input.ByID
	TargetID string `path:"target_id" maxLength:"128" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]*$"`
}

func (s *service) bind(ctx context.Context, in *bindingByIDs) (*single[api.Binding], error) {
	b, err := s.engine.Bind(ctx, in.ID, in.TargetID)
	if err != nil {
		return nil, err
	}
	return &single[api.Binding]{ETag: etag(b.Revision), Body: wireBinding(b)}, nil
}

func (s *service) unbind(ctx context.Context, in *bindingByIDs) (*nothing, error) {
	return nil, s.engine.Unbind(ctx, in.ID, in.TargetID)
}
