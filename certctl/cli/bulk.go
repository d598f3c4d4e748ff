package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/urfave/cli/v2"
)

// bulkOutcome is what "bulk-revoke --wait" prints.
type bulkOutcome struct {
	api.BulkRevocation
	Failures []*api.BulkItem `json:"failures"`
}

func (s *session) bulkRevokeCommand() *cli.Command {
	return &cli.Command{
		Name: "bulk-revoke", Usage: "revoke all certificates that match every criterion", ArgsUsage: "[ID...]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "profile-id"}, &cli.StringFlag{Name: "owner-id"}, &cli.StringFlag{Name: "team-id"}, &cli.StringFlag{Name: "issuer-id"},
			&cli.StringFlag{Name: "agent-id", Usage: "bound to a target of this agent"},
			&cli.StringFlag{Name: "reason", Value: "unspecified", Usage: reasons},
			&cli.TimestampFlag{Name: "invalid-since", Layout: "2006-01-02T15:04:05Z07:00", Usage: "`TIME` since when they must not be trusted"},
			&cli.BoolFlag{Name: "dry-run", Usage: "only count them"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask; needed where nobody can be asked"},
			&cli.BoolFlag{Name: "wait", Usage: "until each was looked at; the exit code is 7 when some were not revoked"},
		},
		Action: func(c *cli.Context) error {
			cl, ctx, cancel, err := s.connect(c)
			if err != nil {
				return err
			}
			defer cancel()
			r := api.BulkRevokeRequest{Reason: c.String("reason"), DryRun: true, BulkCriteria: api.BulkCriteria{
				ProfileID: c.String("profile-id"), OwnerID: c.String("owner-id"), AgentID: c.String("agent-id"), IssuerID: c.String("issuer-id"),
				TeamID: c.String("team-id"), CertificateIDs: c.Args().Slice(),
			}}
			if t := c.Timestamp("invalid-since"); t != nil {
				r.InvalidSince = *t
			}
			return s.bulkRevoke(ctx, cl, c, r)
		},
	}
}

func (s *session) bulkRevoke(ctx context.Context, cl *client.Client, c *cli.Context, r api.BulkRevokeRequest) error {
	if c.Bool("dry-run") || !c.Bool("yes") {
		dry, err := cl.BulkRevokeCertificates(ctx, r)
		if err != nil {
			return err
		}
		if c.Bool("dry-run") {
			return showOne(s, c, func(x *api.BulkRevokeResponse) string { return fmt.Sprint(x.AffectedCount) }, dry)
		}
		if err := s.confirm(fmt.Sprintf("Revoke %d certificates (%s)?", dry.AffectedCount, r.Reason)); err != nil {
			return err
		}
	}
	r.DryRun = false
	begun, err := cl.BulkRevokeCertificates(ctx, r)
	if err != nil {
		return err
	}
	if !c.Bool("wait") {
		return showOne(s, c, func(x *api.BulkRevokeResponse) string { return x.JobID }, begun)
	}
	fmt.Fprintf(s.o.Err, "Revoking (%d affected, %s).\n", begun.AffectedCount, begun.JobID)
	b, err := waitFor(ctx, func() (*api.BulkRevocation, bool, error) {
		b, err := cl.GetBulkRevocation(ctx, begun.JobID)
		return b, err == nil && b.Status == "Completed", err
	})
	if err != nil {
		return s.bulkWaited(err, begun.JobID, b)
	}
	return s.bulkEnded(ctx, cl, c, b)
}

// bulkWaited says how far a bulk revocation was when the wait ended.
func (s *session) bulkWaited(err error, id string, b *api.BulkRevocation) error {
	if b == nil {
		return fmt.Errorf("bulk revocation %s: %w", id, err)
	}
	return fmt.Errorf("bulk revocation %s goes on (%d of %d are left): %w", id, b.PendingCount, b.AffectedCount, err)
}

// bulkEnded prints counts and failures.
func (s *session) bulkEnded(ctx context.Context, cl *client.Client, c *cli.Context, b *api.BulkRevocation) error {
	out := bulkOutcome{BulkRevocation: *b, Failures: []*api.BulkItem{}}
	for i, err := range cl.BulkRevocationItems(ctx, b.ID, api.BulkItemQuery{Status: []string{"failed"}, ListOptions: api.ListOptions{PageSize: 500}}) {
		if err != nil {
			return err
		}
		out.Failures = append(out.Failures, i)
	}
	switch form := c.String("output"); form {
	case "table":
		fmt.Fprintf(s.o.Out, "%d affected: %d revoked, %d skipped (nothing to revoke), %d failed\n", b.AffectedCount, b.RevokedCount, b.SkippedCount, b.FailedCount)
		if len(out.Failures) > 0 {
			if err := show(s, c, itemColumns(s), func(i *api.BulkItem) string { return i.CertificateID }, out.Failures); err != nil {
				return err
			}
		}
	case "name":
		fmt.Fprintln(s.o.Out, b.ID)
	default:
		if err := s.print(form, out); err != nil {
			return err
		}
	}
	if b.FailedCount > 0 {
		return fmt.Errorf("%w: %d of %d certificates were not revoked", errPartial, b.FailedCount, b.AffectedCount)
	}
	return nil
}

// confirm asks a person, where there is one.
func (s *session) confirm(question string) error {
	f, ok := s.o.In.(*os.File)
	if !ok {
		return usagef("%s Nobody can be asked here; say --yes", question)
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return usagef("%s Nobody can be asked here; say --yes", question)
	}
	fmt.Fprintf(s.o.Err, "%s Type yes: ", question)
	answer, err := bufio.NewReader(io.LimitReader(f, 1024)).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != "yes" {
		return usagef("not confirmed; nothing was done")
	}
	return nil
}

func itemColumns(s *session) []column[api.BulkItem] {
	return []column[api.BulkItem]{
		{"CERTIFICATE", func(i *api.BulkItem) string { return i.CertificateID }},
		{"STATUS", func(i *api.BulkItem) string { return i.Status }},
		{"SERIALS", func(i *api.BulkItem) string { return fmt.Sprint(i.RevokedSerials) }},
		{"WHEN", func(i *api.BulkItem) string { return s.when(i.ProcessedAt) }},
		{"REASON", func(i *api.BulkItem) string { return dash(i.Reason) }},
	}
}

func (s *session) bulkRevocations() *cli.Command {
	n := noun[api.BulkRevocation]{
		what: "bulk revocation", id: func(x *api.BulkRevocation) string { return x.ID },
		columns: []column[api.BulkRevocation]{
			{"ID", func(x *api.BulkRevocation) string { return x.ID }},
			{"STATUS", func(x *api.BulkRevocation) string { return x.Status }},
			{"REASON", func(x *api.BulkRevocation) string { return x.Reason }},
			{"AFFECTED", func(x *api.BulkRevocation) string { return fmt.Sprint(x.AffectedCount) }},
			{"REVOKED", func(x *api.BulkRevocation) string { return fmt.Sprint(x.RevokedCount) }},
			{"SKIPPED", func(x *api.BulkRevocation) string { return fmt.Sprint(x.SkippedCount) }},
			{"FAILED", func(x *api.BulkRevocation) string { return fmt.Sprint(x.FailedCount) }},
			{"BEGUN", func(x *api.BulkRevocation) string { return s.when(x.CreatedAt) }},
		},
		filters: []cli.Flag{&cli.StringSliceFlag{Name: "status", Usage: "Pending, Running or Completed"}},
		list: func(ctx context.Context, cl *client.Client, c *cli.Context) iter.Seq2[*api.BulkRevocation, error] {
			o := listOptions(c)
			if o.Sort == "" {
				o.Sort = "-created_at"
			}
			return cl.BulkRevocations(ctx, api.BulkQuery{Status: c.StringSlice("status"), ListOptions: o})
		},
		get: func(ctx context.Context, cl *client.Client, id string) (*api.BulkRevocation, error) {
			return cl.GetBulkRevocation(ctx, id)
		},
	}
	items := act(s, "items", "list what became of each certificate", "",
		append([]cli.Flag{&cli.StringSliceFlag{Name: "status", Usage: "pending, revoked, skipped or failed"}}, listFlags...),
		func(ctx context.Context, cl *client.Client, c *cli.Context, id string) error {
			rows, err := collect(c, cl.BulkRevocationItems(ctx, id, api.BulkItemQuery{Status: c.StringSlice("status"), ListOptions: listOptions(c)}))
			if err != nil {
				return err
			}
			return show(s, c, itemColumns(s), func(i *api.BulkItem) string { return i.CertificateID }, rows)
		})
	return group("bulk-revocations", "revocations of many certificates, and how far they are", nil, n.listCommand(s), n.getCommand(s), items)
}
