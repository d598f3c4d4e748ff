package cli

import (
	"context"
	"fmt"
	"iter"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/urfave/cli/v2"
)

func (s *session) jobs() *cli.Command {
	n := noun[api.Job]{
		what: "job", id: func(x *api.Job) string { return x.ID },
		columns: []column[api.Job]{
			{"ID", func(x *api.Job) string { return x.ID }},
			{"TYPE", func(x *api.Job) string { return x.Type }},
			{"CERTIFICATE", func(x *api.Job) string { return x.CertificateID }},
			{"TARGET", func(x *api.Job) string { return dash(x.TargetID) }},
			{"STATUS", func(x *api.Job) string { return x.Status }},
			{"ATTEMPTS", func(x *api.Job) string { return fmt.Sprintf("%d/%d", x.Attempts, x.MaxAttempts) }},
			{"NEWS", func(x *api.Job) string {
				if x.LastError != "" {
					return x.LastError
				}
				return dash(x.Waiting)
			}},
		},
		filters: []cli.Flag{
			&cli.StringSliceFlag{Name: "status", Usage: "Pending, AwaitingCSR, AwaitingApproval, Running, Completed, Failed or Cancelled"},
			&cli.StringSliceFlag{Name: "type", Usage: "Issuance, Renewal, Deployment or Validation"},
			&cli.StringSliceFlag{Name: "certificate-id"}, &cli.StringSliceFlag{Name: "target-id"}, &cli.StringSliceFlag{Name: "agent-id"},
		},
		list: func(ctx context.Context, cl *client.Client, c *cli.Context) iter.Seq2[*api.Job, error] {
			o := listOptions(c)
			if o.Sort == "" {
				o.Sort = "-created_at"
			}
			return cl.Jobs(ctx, api.JobQuery{
				Status: c.StringSlice("status"), Type: c.StringSlice("type"), CertificateID: c.StringSlice("certificate-id"),
				TargetID: c.StringSlice("target-id"), AgentID: c.StringSlice("agent-id"), ListOptions: o,
			})
		},
		get: func(ctx context.Context, cl *client.Client, id string) (*api.Job, error) { return cl.GetJob(ctx, id) },
	}
	return group("jobs", "work that is done, or waits", []string{"job"}, n.listCommand(s), n.getCommand(s),
		act(s, "cancel", "end a job that nobody works on", "is cancelled", nil, func(ctx context.Context, cl *client.Client, _ *cli.Context, id string) error {
			_, err := cl.CancelJob(ctx, id)
			return err
		}))
}

func (s *session) audit() *cli.Command {
	n := noun[api.AuditEntry]{
		what: "audit entry", id: func(x *api.AuditEntry) string { return x.ID },
		columns: []column[api.AuditEntry]{
			{"TIME", func(x *api.AuditEntry) string { return x.Timestamp.UTC().Format("2006-01-02 15:04:05") }},
			{"ACTOR", func(x *api.AuditEntry) string {
				if x.ActorName != "" {
					return x.ActorName
				}
				return x.Actor
			}},
			{"ACTION", func(x *api.AuditEntry) string { return x.Action }},
			{"RESOURCE", func(x *api.AuditEntry) string { return x.ResourceType + "/" + x.ResourceID }},
		},
		filters: []cli.Flag{
			&cli.StringSliceFlag{Name: "actor"}, &cli.StringSliceFlag{Name: "action"}, &cli.StringSliceFlag{Name: "resource-type"}, &cli.StringSliceFlag{Name: "resource-id"},
			&cli.TimestampFlag{Name: "since", Layout: "2006-01-02T15:04:05Z07:00"}, &cli.TimestampFlag{Name: "until", Layout: "2006-01-02T15:04:05Z07:00"},
		},
		list: func(ctx context.Context, cl *client.Client, c *cli.Context) iter.Seq2[*api.AuditEntry, error] {
			o := listOptions(c)
			if o.Sort == "" {
				o.SortDesc = true // the newest are what people look for
			}
			q := api.AuditQuery{
				Actor: c.StringSlice("actor"), Action: c.StringSlice("action"), ResourceType: c.StringSlice("resource-type"),
				ResourceID: c.StringSlice("resource-id"), ListOptions: o,
			}
			if t := c.Timestamp("since"); t != nil {
				q.Since = *t
			}
			if t := c.Timestamp("until"); t != nil {
				q.Until = *t
			}
			return cl.AuditEntries(ctx, q)
		},
		get: func(ctx context.Context, cl *client.Client, id string) (*api.AuditEntry, error) {
			return cl.GetAuditEntry(ctx, id)
		},
	}
	return group("audit", "who did what, and when", nil, n.listCommand(s), n.getCommand(s))
}
