package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/urfave/cli/v2"
)

func (s *session) versionsCommand() *cli.Command {
	return act(s, "versions", "list what was issued", "", listFlags, func(ctx context.Context, cl *client.Client, c *cli.Context, id string) error {
		rows, err := collect(c, cl.CertificateVersions(ctx, id, listOptions(c)))
		if err != nil {
			return err
		}
		return show(s, c, []column[api.CertificateVersion]{
			{"GENERATION", func(v *api.CertificateVersion) string { return fmt.Sprint(v.Generation) }},
			{"SERIAL", func(v *api.CertificateVersion) string { return v.SerialNumber }},
			{"NOT AFTER", func(v *api.CertificateVersion) string { return s.when(v.NotAfter) }},
			{"KEY", func(v *api.CertificateVersion) string { return fmt.Sprintf("%s %d", v.KeyAlgorithm, v.KeySize) }},
			{"ISSUED", func(v *api.CertificateVersion) string { return s.when(v.CreatedAt) }},
		}, func(v *api.CertificateVersion) string { return v.SerialNumber }, rows)
	})
}

func (s *session) bindingsCommand() *cli.Command {
	return act(s, "bindings", "list its targets, and what they serve", "", listFlags, func(ctx context.Context, cl *client.Client, c *cli.Context, id string) error {
		rows, err := collect(c, cl.CertificateBindings(ctx, id, listOptions(c)))
		if err != nil {
			return err
		}
		return show(s, c, []column[api.Binding]{
			{"TARGET", func(b *api.Binding) string { return b.TargetID }},
			{"STATE", func(b *api.Binding) string { return b.State }},
			{"SERIAL", func(b *api.Binding) string { return dash(b.DeployedSerial) }},
			{"VERIFIED", func(b *api.Binding) string { return b.VerificationStatus }},
			{"SEEN AT", func(b *api.Binding) string {
				var out []string
				for _, o := range b.Observed {
					out = append(out, o.Endpoint)
				}
				return dash(strings.Join(out, ", "))
			}},
			{"REASON", func(b *api.Binding) string { return dash(b.StateReason) }},
		}, func(b *api.Binding) string { return b.TargetID }, rows)
	})
}

func (s *session) bindCommand() *cli.Command {
	return act(s, "bind", "deploy it to another target, too", "", []cli.Flag{&cli.StringFlag{Name: "target-id", Required: true}, waitFlag},
		func(ctx context.Context, cl *client.Client, c *cli.Context, id string) error {
			b, err := cl.BindCertificate(ctx, id, c.String("target-id"))
			if err != nil {
				return err
			}
			if c.Bool("wait") {
				row, err := s.await(ctx, cl, id, nil)
				if err != nil {
					return err
				}
				return showOne(s, c, func(x *api.Certificate) string { return x.ID }, row)
			}
			return showOne(s, c, func(x *api.Binding) string { return x.ID }, b)
		})
}
