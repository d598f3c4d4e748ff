package rest

import (
	"context"
	"net/http"
	"reflect"
	"strings"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/server/rest/internal/input"
	"github.com/danielgtaylor/huma/v2"
)

const v1 = "/api/v1"

func (s *service) certificates() {
	const path, tag = v1 + "/certificates", "certificates"
	add(s, operation{id: "listCertificates", method: http.MethodGet, path: path, tag: tag, summary: "List certificates", access: viewer}, s.listCertificates)
	add(s, operation{id: "getCertificate", method: http.MethodGet, path: path + "/{id}", tag: tag, summary: "Read a certificate", access: viewer}, s.getCertificate)
	add(s, operation{id: "createCertificate", method: http.MethodPost, path: path, tag: tag, summary: "Request a certificate", access: operator, status: http.StatusCreated, keyed: true}, s.createCertificate)
	add(s, operation{id: "updateCertificate", method: http.MethodPut, path: path + "/{id}", tag: tag, summary: "Change the fields that are present", access: operator}, s.updateCertificate)
	add(s, operation{id: "patchCertificate", method: http.MethodPatch, path: path + "/{id}", tag: tag, summary: "Change the fields that are present", access: operator}, s.updateCertificate)
	add(s, operation{id: "archiveCertificate", method: http.MethodDelete, path: path + "/{id}", tag: tag, summary: "Archive a certificate; it is not revoked by that", access: operator}, s.archiveCertificate)
	add(s, operation{id: "renewCertificate", method: http.MethodPost, path: path + "/{id}/renew", tag: tag, summary: "Renew a certificate now", access: operator, status: http.StatusAccepted, keyed: true}, s.renewCertificate)
	add(s, operation{id: "deployCertificate", method: http.MethodPost, path: path + "/{id}/deploy", tag: tag, summary: "Deploy the current version again", access: operator, status: http.StatusAccepted, keyed: true}, s.deployCertificate)
	add(s, operation{id: "revokeCertificate", method: http.MethodPost, path: path + "/{id}/revoke", tag: tag, summary: "Revoke a certificate", access: operator, keyed: true}, s.revokeCertificate)
	add(s, operation{id: "holdCertificate", method: http.MethodPost, path: path + "/{id}/hold", tag: tag, summary: "Put a certificate on hold: revoked until it is released", access: operator, keyed: true}, s.holdCertificate)
	add(s, operation{id: "releaseCertificate", method: http.MethodPost, path: path + "/{id}/release", tag: tag, summary: "Lift a hold; no other revocation can be undone", access: operator, keyed: true}, s.releaseCertificate)
	add(s, operation{id: "exportCertificatePEM", method: http.MethodGet, path: path + "/{id}/export/pem", tag: tag, summary: "Export certificate and chain", access: viewer,
		responses: map[string]*huma.Response{"200": {Content: map[string]*huma.MediaType{
			"application/json":       {Schema: s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Export](), true, "Export")},
			"application/x-pem-file": {Schema: &huma.Schema{Type: huma.TypeString, Description: "With download=true"}},
		}}}}, s.exportCertificate)
}

func certificateLookup(r certctl.Reader) certctl.Lookup[certctl.Certificate, certctl.CertificateFilter] {
	return r.Certificates()
}

func (s *service) listCertificates(ctx context.Context, in *struct{ api.CertificateQuery }) (*page[api.Certificate], error) {
	f := certctl.CertificateFilter{
		Statuses: in.Status, Names: in.Name, Environments: in.Environment, OwnerIDs: in.OwnerID, TeamIDs: in.TeamID, IssuerIDs: in.IssuerID,
		AgentIDs: in.AgentID, TargetIDs: in.TargetID, ProfileIDs: in.ProfileID, RenewalPolicyIDs: in.RenewalPolicyID,
		Fingerprint: strings.ToLower(strings.ReplaceAll(in.Fingerprint, ":", "")), Search: in.Search,
		ExpiresBefore: in.ExpiresBefore, ExpiresAfter: in.ExpiresAfter, CreatedAfter: in.CreatedAfter, UpdatedAfter: in.UpdatedAfter,
	}
	if in.SerialNumber != "" {
		n, err := certctl.ParseSerial(in.SerialNumber)
		if err != nil {
			return nil, invalid("serial_number", err.Error())
		}
		f.Serial = certctl.SerialText(n)
	}
	return listing[certctl.Certificate, certctl.CertificateFilter, api.Certificate]{
		filter: f, lookup: certificateLookup, wire: wireCertificate,
	}.read(ctx, s, in.ListOptions)
}

func (s *service) getCertificate(ctx context.Context, in *oneByID) (*single[api.Certificate], error) {
	out := &single[api.Certificate]{}
	err := s.engine.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		c, err := r.Certificates().Get(ctx, in.ID)
		if err != nil {
			return err
		}
		out.Body = wireCertificate(c)
		out.Body.TargetIDs, err = boundTo(ctx, r, in.ID)
		return err
	})
	out.ETag = etagWith(out.Body.Revision, out.Body.TargetIDs)
	return out, err
}

// boundTo reads the targets of a certificate.
func boundTo(ctx context.Context, r certctl.Reader, id string) ([]string, error) {
	var ids []string
	next := certctl.Page{Limit: 500}
	for {
		rows, err := r.Bindings().List(ctx, certctl.BindingFilter{CertificateIDs: []string{id}}, next)
		if err != nil {
			return nil, err
		}
		for _, b := range rows.Items {
			ids = append(ids, b.TargetID)
		}
		if rows.Next == "" {
			return ids, nil
		}
		next.Cursor = rows.Next
	}
}

func (s *service) createCertificate(ctx context.Context, in *creating[api.CertificateRequest]) (*created[api.CertificateCreated], error) {
	b := in.Body
	out, err := s.engine.RequestCertificate(ctx, engine.CertificateRequest{
		ID: b.ID, Name: b.Name, CommonName: b.CommonName, SANs: b.SANs, Environment: b.Environment, OwnerID: b.OwnerID, TeamID: b.TeamID,
		IssuerID: b.IssuerID, RenewalPolicyID: b.RenewalPolicyID, ProfileID: b.CertificateProfileID, KeyAlgorithm: b.KeyAlgorithm,
		TTL: duration(b.TTLSeconds), TargetIDs: b.TargetIDs, Tags: b.Tags, CSRPEM: b.CSRPEM,
	})
	if err != nil {
		return nil, err
	}
	body := api.CertificateCreated{Certificate: wireCertificate(out.Certificate), JobID: out.Job.ID}
	body.TargetIDs = b.TargetIDs
	return &created[api.CertificateCreated]{ETag: etagWith(body.Revision, body.TargetIDs), Location: v1 + "/certificates/" + body.ID, Body: body}, nil
}

func (s *service) updateCertificate(ctx context.Context, in *changeByID[api.CertificateUpdate]) (*single[api.Certificate], error) {
	known, err := revision(in.Matching)
	if err != nil {
		return nil, err
	}
	b := in.Body
	change := engine.CertificateChange{
		Name: b.Name, CommonName: b.CommonName, Environment: b.Environment, OwnerID: b.OwnerID, TeamID: b.TeamID, IssuerID: b.IssuerID,
		RenewalPolicyID: b.RenewalPolicyID, ProfileID: b.CertificateProfileID, KeyAlgorithm: b.KeyAlgorithm, SANs: b.SANs, Tags: b.Tags,
	}
	if b.TTLSeconds != nil {
		ttl := duration(*b.TTLSeconds)
		change.TTL = &ttl
	}
	if _, err := s.engine.UpdateCertificate(ctx, in.ID, change, known); err != nil {
		return nil, err
	}
	return s.getCertificate(ctx, &oneByID{ByID: in.ByID})
}

func (s *service) archiveCertificate(ctx context.Context, in *deleteByID) (*nothing, error) {
	known, err := revision(in.Matching)
	if err != nil {
		return nil, err
	}
	return nil, s.engine.ArchiveCertificate(ctx, in.ID, known)
}

func (s *service) renewCertificate(ctx context.Context, in *struct {
	input.ByID
	Body *api.RenewRequest
}) (*accepted[api.RenewResponse], error) {
	var o engine.RenewOptions
	if in.Body != nil {
		o = engine.RenewOptions{Force: in.Body.Force, CSRPEM: in.Body.CSRPEM}
	}
	out, err := s.engine.Renew(ctx, in.ID, o)
	if err != nil {
		return nil, err
	}
	return &accepted[api.RenewResponse]{
		Location: v1 + "/jobs/" + out.Job.ID, Body: api.RenewResponse{Status: api.StatusRenewalTriggered, JobID: out.Job.ID},
	}, nil
}

func (s *service) deployCertificate(ctx context.Context, in *struct {
	input.ByID
	Body *api.DeployRequest
}) (*accepted[api.DeployResponse], error) {
	target := ""
	if in.Body != nil {
		target = in.Body.TargetID
	}
	jobs, err := s.engine.Deploy(ctx, in.ID, target)
	if err != nil {
		return nil, err
	}
	out := &accepted[api.DeployResponse]{Body: api.DeployResponse{Status: api.StatusDeploymentTriggered, JobIDs: []string{}}}
	for _, j := range jobs {
		out.Body.JobIDs = append(out.Body.JobIDs, j.ID)
	}
	if len(jobs) == 1 {
		out.Location = v1 + "/jobs/" + jobs[0].ID
	}
	return out, nil
}

type exportOutput struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	Disposition string `header:"Content-Disposition" doc:"With download=true"`
	Body        any
}

func (s *service) exportCertificate(ctx context.Context, in *struct {
	input.ByID
	SerialNumber string `query:"serial_number" maxLength:"96" doc:"Of the version; the current one when absent"`
	Download     bool   `query:"download" doc:"Answer the full chain as a PEM file"`
}) (*exportOutput, error) {
	x, err := s.engine.ExportPEM(ctx, in.ID, in.SerialNumber)
	if err != nil {
		return nil, err
	}
	if in.Download {
		return &exportOutput{
			ContentType: "application/x-pem-file", Disposition: `attachment; filename="` + in.ID + `.pem"`, Body: []byte(x.FullPEM),
		}, nil
	}
	return &exportOutput{Body: api.Export{SerialNumber: x.Serial, CertPEM: x.CertPEM, ChainPEM: x.ChainPEM, FullPEM: x.FullPEM}}, nil
}
