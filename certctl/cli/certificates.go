package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/urfave/cli/v2"
)

func (s *session) certificateNoun() noun[api.Certificate] {
	return noun[api.Certificate]{
		what: "certificate", id: func(x *api.Certificate) string { return x.ID },
		columns: []column[api.Certificate]{
			{"ID", func(x *api.Certificate) string { return x.ID }},
			{"COMMON NAME", func(x *api.Certificate) string { return dash(x.CommonName) }},
			{"STATUS", func(x *api.Certificate) string { return x.Status }},
			{"EXPIRES", func(x *api.Certificate) string { return s.when(x.ExpiresAt) }},
			{"ISSUER", func(x *api.Certificate) string { return x.IssuerID }},
		},
		filters: []cli.Flag{
			&cli.StringSliceFlag{Name: "status", Usage: "Pending, Active, Expiring, Expired, RenewalInProgress, Failed, Revoked or Archived"},
			&cli.StringSliceFlag{Name: "environment"}, &cli.StringSliceFlag{Name: "owner-id"}, &cli.StringSliceFlag{Name: "team-id"},
			&cli.StringSliceFlag{Name: "issuer-id"}, &cli.StringSliceFlag{Name: "agent-id"}, &cli.StringSliceFlag{Name: "profile-id"},
			&cli.StringFlag{Name: "search", Usage: "part of a name"}, &cli.StringFlag{Name: "serial", Usage: "of any version"},
			&cli.TimestampFlag{Name: "expires-before", Layout: "2006-01-02T15:04:05Z07:00", Usage: "`TIME` such as 2030-01-31T00:00:00Z"},
		},
		list: func(ctx context.Context, cl *client.Client, c *cli.Context) iter.Seq2[*api.Certificate, error] {
			q := api.CertificateQuery{
				Status: c.StringSlice("status"), Environment: c.StringSlice("environment"), OwnerID: c.StringSlice("owner-id"),
				TeamID: c.StringSlice("team-id"), IssuerID: c.StringSlice("issuer-id"), AgentID: c.StringSlice("agent-id"),
				ProfileID: c.StringSlice("profile-id"), Search: c.String("search"), SerialNumber: c.String("serial"), ListOptions: listOptions(c),
			}
			if t := c.Timestamp("expires-before"); t != nil {
				q.ExpiresBefore = *t
			}
			return cl.Certificates(ctx, q)
		},
		get: func(ctx context.Context, cl *client.Client, id string) (*api.Certificate, error) {
			return cl.GetCertificate(ctx, id)
		},
	}
}

var waitFlag = &cli.BoolFlag{Name: "wait", Usage: "until it is issued, deployed and seen; --timeout says how long"}

func certificateFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "name"}, &cli.StringFlag{Name: "common-name", Aliases: []string{"cn"}},
		&cli.StringSliceFlag{Name: "san", Usage: "DNS `NAME`, address, e-mail or URI; repeat, or separate by commas"},
		&cli.StringFlag{Name: "environment"}, &cli.StringFlag{Name: "owner-id"}, &cli.StringFlag{Name: "team-id"}, &cli.StringFlag{Name: "issuer-id"},
		&cli.StringFlag{Name: "renewal-policy-id"}, &cli.StringFlag{Name: "profile-id"},
		&cli.StringFlag{Name: "key-algorithm", Usage: "ECDSA-P256, ECDSA-P384, RSA-2048, RSA-3072, RSA-4096 or Ed25519"},
		&cli.DurationFlag{Name: "ttl", Usage: "wanted lifetime, such as 2160h"},
	}
}

func (s *session) certificates() *cli.Command {
	n := s.certificateNoun()
	return group("certs", "certificates, and what becomes of them", []string{"certificates", "cert"},
		n.listCommand(s), n.getCommand(s), s.requestCommand(n),
		update(s, n, certificateFlags(), func(c *cli.Context, r *api.CertificateUpdate) error {
			setPtr(c, "name", c.String, &r.Name)
			setPtr(c, "common-name", c.String, &r.CommonName)
			setPtr(c, "san", c.StringSlice, &r.SANs)
			setPtr(c, "environment", c.String, &r.Environment)
			setPtr(c, "owner-id", c.String, &r.OwnerID)
			setPtr(c, "team-id", c.String, &r.TeamID)
			setPtr(c, "issuer-id", c.String, &r.IssuerID)
			setPtr(c, "renewal-policy-id", c.String, &r.RenewalPolicyID)
			setPtr(c, "profile-id", c.String, &r.CertificateProfileID)
			setPtr(c, "key-algorithm", c.String, &r.KeyAlgorithm)
			setPtr(c, "ttl", func(f string) int64 { return int64(c.Duration(f).Seconds()) }, &r.TTLSeconds)
			return nil
		}, func(ctx context.Context, cl *client.Client, id string, r api.CertificateUpdate) (*api.Certificate, error) {
			return cl.UpdateCertificate(ctx, id, r)
		}),
		s.renewCommand(), s.deployCommand(), s.revokeCommand(), s.holdCommand(), s.releaseCommand(), s.bulkRevokeCommand(), s.exportCommand(), s.versionsCommand(), s.bindingsCommand(),
		s.bindCommand(),
		act(s, "unbind", "end a binding; what the target serves stays", "is unbound",
			[]cli.Flag{&cli.StringFlag{Name: "target-id", Required: true}},
			func(ctx context.Context, cl *client.Client, c *cli.Context, id string) error {
				return cl.UnbindCertificate(ctx, id, c.String("target-id"))
			}),
		act(s, "archive", "take a certificate out of management; it is not revoked by that", "is archived", nil,
			func(ctx context.Context, cl *client.Client, _ *cli.Context, id string) error {
				return cl.ArchiveCertificate(ctx, id)
			}),
	)
}

func (s *session) requestCommand(n noun[api.Certificate]) *cli.Command {
	flags := append(certificateFlags(), fileFlag, waitFlag, &cli.StringFlag{Name: "id"},
		&cli.StringSliceFlag{Name: "target-id", Usage: "where to deploy it"}, &cli.StringFlag{Name: "csr", Usage: "PEM `FILE`, when the key exists already"})
	return &cli.Command{
		Name: "create", Aliases: []string{"request"}, Usage: "request a certificate", Flags: flags,
		Action: func(c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			var r api.CertificateRequest
			if err := s.fill(c, &r); err != nil {
				return err
			}
			set(c, "id", c.String, &r.ID)
			set(c, "name", c.String, &r.Name)
			set(c, "common-name", c.String, &r.CommonName)
			set(c, "san", c.StringSlice, &r.SANs)
			set(c, "environment", c.String, &r.Environment)
			set(c, "owner-id", c.String, &r.OwnerID)
			set(c, "team-id", c.String, &r.TeamID)
			set(c, "issuer-id", c.String, &r.IssuerID)
			set(c, "renewal-policy-id", c.String, &r.RenewalPolicyID)
			set(c, "profile-id", c.String, &r.CertificateProfileID)
			set(c, "key-algorithm", c.String, &r.KeyAlgorithm)
			set(c, "ttl", func(f string) int64 { return int64(c.Duration(f).Seconds()) }, &r.TTLSeconds)
			set(c, "target-id", c.StringSlice, &r.TargetIDs)
			if err := s.csr(c, &r.CSRPEM); err != nil {
				return err
			}
			cl, ctx, cancel, err := s.connect(c)
			if err != nil {
				return err
			}
			defer cancel()
			out, err := cl.CreateCertificate(ctx, r)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.o.Err, "Requested %s (job %s).\n", out.ID, out.JobID)
			row := &out.Certificate
			if c.Bool("wait") {
				if row, err = s.await(ctx, cl, out.ID, []string{out.JobID}); err != nil {
					return err
				}
			}
			return showOne(s, c, n.id, row)
		},
	}
}

func (s *session) csr(c *cli.Context, to *string) error {
	path := c.String("csr")
	if path == "" {
		return nil
	}
	text, err := s.readFile(path)
	if err != nil {
		return err
	}
	*to = string(text)
	return nil
}

func (s *session) renewCommand() *cli.Command {
	return act(s, "renew", "make and deploy a new version now", "", []cli.Flag{
		waitFlag, &cli.BoolFlag{Name: "force", Usage: "also when a job is waiting: it is cancelled"},
		&cli.StringFlag{Name: "csr", Usage: "PEM `FILE`, for certificates without a target"},
	}, func(ctx context.Context, cl *client.Client, c *cli.Context, id string) error {
		r := api.RenewRequest{Force: c.Bool("force")}
		if err := s.csr(c, &r.CSRPEM); err != nil {
			return err
		}
		out, err := cl.RenewCertificate(ctx, id, r)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.o.Err, "Renewing %s (job %s).\n", id, out.JobID)
		if !c.Bool("wait") {
			return nil
		}
		row, err := s.await(ctx, cl, id, []string{out.JobID})
		if err != nil {
			return err
		}
		return showOne(s, c, func(x *api.Certificate) string { return x.ID }, row)
	})
}

func (s *session) deployCommand() *cli.Command {
	return act(s, "deploy", "send the current version to its targets again", "", []cli.Flag{
		waitFlag, &cli.StringFlag{Name: "target-id", Usage: "this one alone"},
	}, func(ctx context.Context, cl *client.Client, c *cli.Context, id string) error {
		out, err := cl.DeployCertificate(ctx, id, api.DeployRequest{TargetID: c.String("target-id")})
		if err != nil {
			return err
		}
		fmt.Fprintf(s.o.Err, "Deploying %s (%s).\n", id, strings.Join(out.JobIDs, ", "))
		if !c.Bool("wait") {
			return nil
		}
		row, err := s.await(ctx, cl, id, out.JobIDs)
		if err != nil {
			return err
		}
		return showOne(s, c, func(x *api.Certificate) string { return x.ID }, row)
	})
}

func (s *session) exportCommand() *cli.Command {
	return act(s, "export", "write the certificate and its chain as PEM", "", []cli.Flag{
		&cli.StringFlag{Name: "serial", Usage: "another version than the current one"},
		&cli.StringFlag{Name: "out", Usage: "`FILE`; standard output without it"},
		&cli.StringFlag{Name: "part", Value: "full", Usage: "full, cert or chain"},
	}, func(ctx context.Context, cl *client.Client, c *cli.Context, id string) error {
		x, err := cl.ExportCertificatePEM(ctx, id, c.String("serial"))
		if err != nil {
			return err
		}
		text, ok := map[string]string{"full": x.FullPEM, "cert": x.CertPEM, "chain": x.ChainPEM}[c.String("part")]
		if !ok {
			return usagef("--part is full, cert or chain")
		}
		if path := c.String("out"); path != "" {
			return os.WriteFile(path, []byte(text), 0o644)
		}
		_, err = fmt.Fprint(s.o.Out, text)
		return err
	})
}

// await waits until jobs have ended and every target has the current version.
func (s *session) await(ctx context.Context, cl *client.Client, id string, jobs []string) (*api.Certificate, error) {
	for _, job := range jobs {
		j, err := waitFor(ctx, func() (*api.Job, bool, error) {
			j, err := cl.GetJob(ctx, job)
			return j, err == nil && !j.Live(), err
		})
		if err != nil {
			return nil, s.waited(err, j)
		}
		if j.Status != "Completed" {
			return nil, fmt.Errorf("job %s is %s: %s", j.ID, j.Status, j.LastError)
		}
	}
	cert, err := cl.GetCertificate(ctx, id)
	if err != nil {
		return nil, err
	}
	var lagging *api.Binding
	_, err = waitFor(ctx, func() (*api.Binding, bool, error) {
		lagging = nil
		for b, err := range cl.CertificateBindings(ctx, id, api.ListOptions{}) {
			switch {
			case err != nil:
				return nil, false, err
			case b.State == "Failed" || b.State == "RollbackFailed":
				return nil, false, fmt.Errorf("%w: it was issued, but target %s is %s: %s", errPartial, b.TargetID, b.State, b.StateReason)
			case b.State != "InSync" || b.DeployedGeneration < cert.Generation:
				lagging = b
			}
		}
		return lagging, lagging == nil, nil
	})
	if err != nil {
		if lagging != nil && errors.Is(err, errWaiting) {
			err = fmt.Errorf("%w: target %s is %s", err, lagging.TargetID, lagging.State)
		}
		return nil, err
	}
	return cl.GetCertificate(ctx, id)
}

func (s *session) waited(err error, j *api.Job) error {
	if j != nil && errors.Is(err, errWaiting) {
		return fmt.Errorf("%w: job %s is %s %s", err, j.ID, j.Status, j.Waiting)
	}
	return err
}
