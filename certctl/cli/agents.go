package cli

import (
	"context"
	"fmt"
	"iter"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/urfave/cli/v2"
)

func (s *session) agents() *cli.Command {
	n := noun[api.Agent]{
		what: "agent", id: func(x *api.Agent) string { return x.ID },
		columns: []column[api.Agent]{
			{"ID", func(x *api.Agent) string { return x.ID }},
			{"NAME", func(x *api.Agent) string { return x.Name }},
			{"HOSTNAME", func(x *api.Agent) string { return dash(x.Hostname) }},
			{"STATUS", func(x *api.Agent) string { return x.Status }},
			{"OS", func(x *api.Agent) string { return dash(x.OS) }},
			{"ARCHITECTURE", func(x *api.Agent) string { return dash(x.Architecture) }},
			{"IP ADDRESS", func(x *api.Agent) string { return dash(x.IPAddress) }},
			{"LAST HEARD", func(x *api.Agent) string { return s.when(x.LastHeartbeatAt) }},
		},
		filters: []cli.Flag{&cli.StringSliceFlag{Name: "status"}, &cli.BoolFlag{Name: "retired", Usage: "the retired ones instead"}},
		list: func(ctx context.Context, cl *client.Client, c *cli.Context) iter.Seq2[*api.Agent, error] {
			q := api.AgentQuery{Status: c.StringSlice("status"), ListOptions: listOptions(c)}
			if c.Bool("retired") {
				return cl.RetiredAgents(ctx, q)
			}
			return cl.Agents(ctx, q)
		},
		get: func(ctx context.Context, cl *client.Client, id string) (*api.Agent, error) {
			return cl.GetAgent(ctx, id)
		},
	}
	return group("agents", "agents, which make keys and deploy", []string{"agent"}, n.listCommand(s), n.getCommand(s),
		act(s, "retire", "end an agent; its credential stops working at once", "is retired", []cli.Flag{
			&cli.BoolFlag{Name: "force", Usage: "also with certificates or jobs on it"}, &cli.StringFlag{Name: "reason"},
		}, func(ctx context.Context, cl *client.Client, c *cli.Context, id string) error {
			return cl.RetireAgent(ctx, id, api.RetireOptions{Force: c.Bool("force"), Reason: c.String("reason")})
		}),
		s.joinTokens())
}

func (s *session) joinTokens() *cli.Command {
	n := noun[api.JoinToken]{
		what: "join token", id: func(x *api.JoinToken) string { return x.ID },
		columns: []column[api.JoinToken]{
			{"ID", func(x *api.JoinToken) string { return x.ID }},
			{"FOR", func(x *api.JoinToken) string { return dash(x.AgentName) }},
			{"EXPIRES", func(x *api.JoinToken) string { return s.when(x.ExpiresAt) }},
			{"USED BY", func(x *api.JoinToken) string { return dash(x.UsedBy) }},
			{"REVOKED", func(x *api.JoinToken) string { return s.when(x.RevokedAt) }},
		},
		list: func(ctx context.Context, cl *client.Client, c *cli.Context) iter.Seq2[*api.JoinToken, error] {
			return cl.JoinTokens(ctx, listOptions(c))
		},
	}
	return group("join-token", "one-time tokens with which agents join", []string{"join-tokens"}, n.listCommand(s),
		&cli.Command{
			Name: "create", Usage: "make a token; it is shown this once", Flags: []cli.Flag{
				&cli.StringFlag{Name: "agent-name", Usage: "the name that the agent gets"}, &cli.DurationFlag{Name: "ttl", Usage: "how long it can be used; 1h without it"},
			},
			Action: func(c *cli.Context) error {
				if err := none(c); err != nil {
					return err
				}
				cl, ctx, cancel, err := s.connect(c)
				if err != nil {
					return err
				}
				defer cancel()
				out, err := cl.CreateJoinToken(ctx, api.JoinTokenRequest{AgentName: c.String("agent-name"), TTLSeconds: int64(c.Duration("ttl").Seconds())})
				if err != nil {
					return err
				}
				if c.String("output") != "table" {
					return showOne(s, c, func(x *api.JoinTokenCreated) string { return x.Token }, out)
				}
				fmt.Fprintf(s.o.Err, "Token %s can be used once, until %s. On the agent's host:\n", out.ID, s.when(out.ExpiresAt))
				fmt.Fprintf(s.o.Err, "  certctl-agent --server %s --ca-file CA.pem --join-token TOKEN\n", cl.Server())
				_, err = fmt.Fprintln(s.o.Out, out.Token)
				return err
			},
		},
		act(s, "revoke", "end an unused token", "is revoked", nil, func(ctx context.Context, cl *client.Client, _ *cli.Context, id string) error {
			return cl.RevokeJoinToken(ctx, id)
		}))
}
