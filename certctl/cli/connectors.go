package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/urfave/cli/v2"
)

// configFlags give a connector's configuration.
func configFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "name"}, &cli.StringFlag{Name: "config", Usage: "`JSON` as the kind's schema says; see the verb kinds"},
		&cli.BoolFlag{Name: "enabled", Value: true, Usage: "--enabled=false switches it off"},
	}
}

func config(c *cli.Context, to *json.RawMessage) error {
	if !c.IsSet("config") {
		return nil
	}
	text := c.String("config")
	if !json.Valid([]byte(text)) {
		return usagef("--config is not JSON")
	}
	*to = json.RawMessage(text)
	return nil
}

func (s *session) kindsCommand(list func(context.Context, *client.Client) (*api.List[api.Kind], error)) *cli.Command {
	return &cli.Command{
		Name: "kinds", Usage: "list the kinds that can be created; -o json has their schemas",
		Action: func(c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			cl, ctx, cancel, err := s.connect(c)
			if err != nil {
				return err
			}
			defer cancel()
			out, err := list(ctx, cl)
			if err != nil {
				return err
			}
			rows := make([]*api.Kind, len(out.Data))
			for i := range out.Data {
				rows[i] = &out.Data[i]
			}
			return show(s, c, []column[api.Kind]{
				{"KIND", func(k *api.Kind) string { return k.Name }}, {"TITLE", func(k *api.Kind) string { return k.Title }},
			}, func(k *api.Kind) string { return k.Name }, rows)
		},
	}
}

// testCommand reports a failed test as a failure.
func (s *session) testCommand(usage string, test func(context.Context, *client.Client, string) (*api.TestResult, error)) *cli.Command {
	return act(s, "test", usage, "", nil, func(ctx context.Context, cl *client.Client, c *cli.Context, id string) error {
		out, err := test(ctx, cl, id)
		if err != nil {
			return err
		}
		if err := showOne(s, c, func(r *api.TestResult) string { return r.Status }, out); err != nil {
			return err
		}
		if out.Status != "success" {
			return errors.New("the test of " + id + " failed: " + out.Message)
		}
		return nil
	})
}

func (s *session) issuers() *cli.Command {
	n := noun[api.Issuer]{
		what: "issuer", id: func(x *api.Issuer) string { return x.ID },
		columns: []column[api.Issuer]{
			{"ID", func(x *api.Issuer) string { return x.ID }}, {"NAME", func(x *api.Issuer) string { return x.Name }},
			{"TYPE", func(x *api.Issuer) string { return x.Type }}, {"ENABLED", func(x *api.Issuer) string { return fmt.Sprint(x.Enabled) }},
			{"TEST", func(x *api.Issuer) string { return x.TestStatus }}, {"MESSAGE", func(x *api.Issuer) string { return dash(x.TestMessage) }},
		},
		filters: []cli.Flag{&cli.StringSliceFlag{Name: "type"}},
		list: func(ctx context.Context, cl *client.Client, c *cli.Context) iter.Seq2[*api.Issuer, error] {
			return cl.Issuers(ctx, api.IssuerQuery{Type: c.StringSlice("type"), ListOptions: listOptions(c)})
		},
		get: func(ctx context.Context, cl *client.Client, id string) (*api.Issuer, error) {
			return cl.GetIssuer(ctx, id)
		},
	}
	return group("issuers", "certificate authorities", []string{"issuer"}, n.listCommand(s), n.getCommand(s),
		s.kindsCommand(func(ctx context.Context, cl *client.Client) (*api.List[api.Kind], error) {
			return cl.ListIssuerKinds(ctx)
		}),
		create(s, n, append(configFlags(), &cli.StringFlag{Name: "id"}, &cli.StringFlag{Name: "type"}), func(c *cli.Context, r *api.IssuerCreate) error {
			set(c, "id", c.String, &r.ID)
			set(c, "name", c.String, &r.Name)
			set(c, "type", c.String, &r.Type)
			setPtr(c, "enabled", c.Bool, &r.Enabled)
			return config(c, &r.Config)
		}, func(ctx context.Context, cl *client.Client, r api.IssuerCreate) (*api.Issuer, error) {
			return cl.CreateIssuer(ctx, r)
		}),
		update(s, n, configFlags(), func(c *cli.Context, r *api.IssuerUpdate) error {
			setPtr(c, "name", c.String, &r.Name)
			setPtr(c, "enabled", c.Bool, &r.Enabled)
			return config(c, &r.Config)
		}, func(ctx context.Context, cl *client.Client, id string, r api.IssuerUpdate) (*api.Issuer, error) {
			return cl.UpdateIssuer(ctx, id, r)
		}),
		s.testCommand("ask whether it could issue now", func(ctx context.Context, cl *client.Client, id string) (*api.TestResult, error) {
			return cl.TestIssuer(ctx, id)
		}),
		act(s, "ca", "write its CA certificates as PEM", "", nil, func(ctx context.Context, cl *client.Client, _ *cli.Context, id string) error {
			out, err := cl.GetIssuerCertificates(ctx, id)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(s.o.Out, out.PEM)
			return err
		}),
		act(s, "delete", "delete an issuer that never issued", "is deleted", nil, func(ctx context.Context, cl *client.Client, _ *cli.Context, id string) error {
			return cl.DeleteIssuer(ctx, id)
		}))
}

func (s *session) targets() *cli.Command {
	n := noun[api.Target]{
		what: "target", id: func(x *api.Target) string { return x.ID },
		columns: []column[api.Target]{
			{"ID", func(x *api.Target) string { return x.ID }}, {"NAME", func(x *api.Target) string { return x.Name }},
			{"TYPE", func(x *api.Target) string { return x.Type }}, {"AGENT", func(x *api.Target) string { return x.AgentID }},
			{"ENABLED", func(x *api.Target) string { return fmt.Sprint(x.Enabled) }}, {"TEST", func(x *api.Target) string { return x.TestStatus }},
		},
		filters: []cli.Flag{&cli.StringSliceFlag{Name: "type"}, &cli.StringSliceFlag{Name: "agent-id"}},
		list: func(ctx context.Context, cl *client.Client, c *cli.Context) iter.Seq2[*api.Target, error] {
			return cl.Targets(ctx, api.TargetQuery{Type: c.StringSlice("type"), AgentID: c.StringSlice("agent-id"), ListOptions: listOptions(c)})
		},
		get: func(ctx context.Context, cl *client.Client, id string) (*api.Target, error) {
			return cl.GetTarget(ctx, id)
		},
	}
	return group("targets", "places to deploy to", []string{"target"}, n.listCommand(s), n.getCommand(s),
		s.kindsCommand(func(ctx context.Context, cl *client.Client) (*api.List[api.Kind], error) {
			return cl.ListTargetKinds(ctx)
		}),
		create(s, n, append(configFlags(), &cli.StringFlag{Name: "id"}, &cli.StringFlag{Name: "type"}, &cli.StringFlag{Name: "agent-id"}),
			func(c *cli.Context, r *api.TargetCreate) error {
				set(c, "id", c.String, &r.ID)
				set(c, "name", c.String, &r.Name)
				set(c, "type", c.String, &r.Type)
				set(c, "agent-id", c.String, &r.AgentID)
				setPtr(c, "enabled", c.Bool, &r.Enabled)
				return config(c, &r.Config)
			}, func(ctx context.Context, cl *client.Client, r api.TargetCreate) (*api.Target, error) {
				return cl.CreateTarget(ctx, r)
			}),
		update(s, n, configFlags(), func(c *cli.Context, r *api.TargetUpdate) error {
			setPtr(c, "name", c.String, &r.Name)
			setPtr(c, "enabled", c.Bool, &r.Enabled)
			return config(c, &r.Config)
		}, func(ctx context.Context, cl *client.Client, id string, r api.TargetUpdate) (*api.Target, error) {
			return cl.UpdateTarget(ctx, id, r)
		}),
		s.testCommand("ask whether its agent is there", func(ctx context.Context, cl *client.Client, id string) (*api.TestResult, error) {
			return cl.TestTarget(ctx, id)
		}),
		act(s, "delete", "delete a target that nothing is bound to", "is deleted", nil, func(ctx context.Context, cl *client.Client, _ *cli.Context, id string) error {
			return cl.DeleteTarget(ctx, id)
		}))
}
