package rest

import (
	"context"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/server/rest/internal/input"
	"github.com/certctl/certctl/revocation"
)

func (s *service) revokeCertificate(ctx context.Context, in *struct {
	input.ByID
	Body *api.RevokeRequest
}) (*plain[api.RevokeResponse], error) {
	var o engine.RevokeOptions
	if in.Body != nil {
		reason, err := reasonOf(in.Body.Reason)
		if err != nil {
			return nil, err
		}
		o = engine.RevokeOptions{Reason: reason, Serial: in.Body.SerialNumber, InvalidSince: in.Body.InvalidSince}
	}
	revoked, err := s.engine.Revoke(ctx, in.ID, o)
	if err != nil {
		return nil, err
	}
	return &plain[api.RevokeResponse]{Body: api.RevokeResponse{Status: api.StatusRevoked, Revocations: wireRevocations(revoked)}}, nil
}

// reasonOf reads a reason; "" is unspecified.
func reasonOf(name string) (revocation.Reason, error) {
	if name == "" {
		return revocation.Unspecified, nil
	}
	reason, err := revocation.ParseReason(name)
	if err != nil {
		return 0, invalid("reason", err.Error())
	}
	return reason, nil
}

func wireRevocations(rows []*certctl.Revocation) []api.Revocation {
	out := make([]api.Revocation, len(rows))
	for i, r := range rows {
		out[i] = wireRevocation(r)
	}
	return out
}

func (s *service) holdCertificate(ctx context.Context, in *struct {
	input.ByID
	Body *api.HoldRequest
}) (*plain[api.HoldResponse], error) {
	serial := ""
	if in.Body != nil {
		serial = in.Body.SerialNumber
	}
	rows, err := s.engine.Hold(ctx, in.ID, serial)
	if err != nil {
		return nil, err
	}
	return &plain[api.HoldResponse]{Body: api.HoldResponse{Status: api.StatusHeld, Revocations: wireRevocations(rows)}}, nil
}

func (s *service) releaseCertificate(ctx context.Context, in *struct {
	input.ByID
	Body *api.ReleaseRequest
}) (*plain[api.ReleaseResponse], error) {
	serial := ""
	if in.Body != nil {
		serial = in.Body.SerialNumber
	}
	rows, err := s.engine.Release(ctx, in.ID, serial)
	if err != nil {
		return nil, err
	}
	return &plain[api.ReleaseResponse]{Body: api.ReleaseResponse{Status: api.StatusReleased, Revocations: wireRevocations(rows)}}, nil
}

// addRevocations tells of each version whether it is revoked. One that was
// released is not.
func addRevocations(ctx context.Context, r certctl.Reader, id string, versions []api.CertificateVersion) error {
	released := false
	next := certctl.Page{Limit: 500}
	for {
		rows, err := r.Revocations().List(ctx, certctl.RevocationFilter{CertificateIDs: []string{id}, Released: &released}, next)
		if err != nil {
			return err
		}
		for _, row := range rows.Items {
			for i := range versions {
				if versions[i].ID == row.VersionID {
					w := wireRevocation(row)
					versions[i].Revocation = &w
				}
			}
		}
		if rows.Next == "" {
			return nil
		}
		next.Cursor = rows.Next
	}
}
