package cli

import (
	"context"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/urfave/cli/v2"
)

const reasons = "unspecified, keyCompromise, caCompromise, affiliationChanged, superseded, cessationOfOperation, certificateHold or privilegeWithdrawn"

func (s *session) revokeCommand() *cli.Command {
	return act(s, "revoke", "revoke a certificate, or one of its versions", "is revoked; CRL and OCSP say so from now on", []cli.Flag{
		&cli.StringFlag{Name: "reason", Value: "unspecified", Usage: reasons},
		&cli.StringFlag{Name: "serial", Usage: "one version; all that have not expired without it"},
		&cli.TimestampFlag{Name: "invalid-since", Layout: "2006-01-02T15:04:05Z07:00", Usage: "`TIME` since when it must not be trusted, such as 2030-01-31T00:00:00Z: when the key was lost"},
	}, func(ctx context.Context, cl *client.Client, c *cli.Context, id string) error {
		r := api.RevokeRequest{Reason: c.String("reason"), SerialNumber: c.String("serial")}
		if t := c.Timestamp("invalid-since"); t != nil {
			r.InvalidSince = *t
		}
		out, err := cl.RevokeCertificate(ctx, id, r)
		if err != nil {
			return err
		}
		return s.showRevocations(c, out.Revocations)
	})
}

func (s *session) holdCommand() *cli.Command {
	return act(s, "hold", "revoke a certificate until it is released", "is on hold; CRL and OCSP say so from now on", []cli.Flag{
		&cli.StringFlag{Name: "serial", Usage: "one version; all that have not expired without it"},
	}, func(ctx context.Context, cl *client.Client, c *cli.Context, id string) error {
		out, err := cl.HoldCertificate(ctx, id, api.HoldRequest{SerialNumber: c.String("serial")})
		if err != nil {
			return err
		}
		return s.showRevocations(c, out.Revocations)
	})
}

func (s *session) releaseCommand() *cli.Command {
	return act(s, "release", "lift a hold; no other revocation can be undone", "is released", []cli.Flag{
		&cli.StringFlag{Name: "serial", Usage: "one version; all that are on hold without it"},
	}, func(ctx context.Context, cl *client.Client, c *cli.Context, id string) error {
		out, err := cl.ReleaseCertificate(ctx, id, api.ReleaseRequest{SerialNumber: c.String("serial")})
		if err != nil {
			return err
		}
		return s.showRevocations(c, out.Revocations)
	})
}

func (s *session) showRevocations(c *cli.Context, list []api.Revocation) error {
	rows := make([]*api.Revocation, len(list))
	for i := range list {
		rows[i] = &list[i]
	}
	return show(s, c, []column[api.Revocation]{
		{"SERIAL", func(r *api.Revocation) string { return r.SerialNumber }},
		{"REASON", func(r *api.Revocation) string { return r.Reason }},
		{"REVOKED AT", func(r *api.Revocation) string { return s.when(r.RevokedAt) }},
		{"INVALID SINCE", func(r *api.Revocation) string { return s.when(r.InvalidSince) }},
		{"RELEASED AT", func(r *api.Revocation) string { return s.when(r.ReleasedAt) }},
	}, func(r *api.Revocation) string { return r.SerialNumber }, rows)
}
