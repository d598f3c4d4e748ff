package cli

import (
	"context"
	"iter"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/urfave/cli/v2"
)

func (s *session) teams() *cli.Command {
	n := noun[api.Team]{
		what: "team", id: func(x *api.Team) string { return x.ID },
		columns: []column[api.Team]{
			{"ID", func(x *api.Team) string { return x.ID }}, {"NAME", func(x *api.Team) string { return x.Name }},
			{"DESCRIPTION", func(x *api.Team) string { return dash(x.Description) }},
		},
		list: func(ctx context.Context, cl *client.Client, c *cli.Context) iter.Seq2[*api.Team, error] {
			return cl.Teams(ctx, api.NameQuery{ListOptions: listOptions(c)})
		},
		get: func(ctx context.Context, cl *client.Client, id string) (*api.Team, error) { return cl.GetTeam(ctx, id) },
	}
	flags := []cli.Flag{&cli.StringFlag{Name: "name"}, &cli.StringFlag{Name: "description"}}
	return group("teams", "groups of owners", []string{"team"}, n.listCommand(s), n.getCommand(s),
		create(s, n, append(flags, &cli.StringFlag{Name: "id"}), func(c *cli.Context, r *api.TeamCreate) error {
			set(c, "id", c.String, &r.ID)
			set(c, "name", c.String, &r.Name)
			set(c, "description", c.String, &r.Description)
			return nil
		}, func(ctx context.Context, cl *client.Client, r api.TeamCreate) (*api.Team, error) {
			return cl.CreateTeam(ctx, r)
		}),
		update(s, n, flags, func(c *cli.Context, r *api.TeamUpdate) error {
			setPtr(c, "name", c.String, &r.Name)
			setPtr(c, "description", c.String, &r.Description)
			return nil
		}, func(ctx context.Context, cl *client.Client, id string, r api.TeamUpdate) (*api.Team, error) {
			return cl.UpdateTeam(ctx, id, r)
		}),
		act(s, "delete", "delete a team that nothing refers to", "is deleted", nil, func(ctx context.Context, cl *client.Client, _ *cli.Context, id string) error {
			return cl.DeleteTeam(ctx, id)
		}))
}

func (s *session) owners() *cli.Command {
	n := noun[api.Owner]{
		what: "owner", id: func(x *api.Owner) string { return x.ID },
		columns: []column[api.Owner]{
			{"ID", func(x *api.Owner) string { return x.ID }}, {"NAME", func(x *api.Owner) string { return x.Name }},
			{"EMAIL", func(x *api.Owner) string { return dash(x.Email) }}, {"TEAM", func(x *api.Owner) string { return dash(x.TeamID) }},
		},
		filters: []cli.Flag{&cli.StringFlag{Name: "team-id"}},
		list: func(ctx context.Context, cl *client.Client, c *cli.Context) iter.Seq2[*api.Owner, error] {
			return cl.Owners(ctx, api.OwnerQuery{TeamID: c.String("team-id"), ListOptions: listOptions(c)})
		},
		get: func(ctx context.Context, cl *client.Client, id string) (*api.Owner, error) {
			return cl.GetOwner(ctx, id)
		},
	}
	flags := []cli.Flag{&cli.StringFlag{Name: "name"}, &cli.StringFlag{Name: "email"}, &cli.StringFlag{Name: "team-id"}}
	return group("owners", "who answers for certificates", []string{"owner"}, n.listCommand(s), n.getCommand(s),
		create(s, n, append(flags, &cli.StringFlag{Name: "id"}), func(c *cli.Context, r *api.OwnerCreate) error {
			set(c, "id", c.String, &r.ID)
			set(c, "name", c.String, &r.Name)
			set(c, "email", c.String, &r.Email)
			set(c, "team-id", c.String, &r.TeamID)
			return nil
		}, func(ctx context.Context, cl *client.Client, r api.OwnerCreate) (*api.Owner, error) {
			return cl.CreateOwner(ctx, r)
		}),
		update(s, n, flags, func(c *cli.Context, r *api.OwnerUpdate) error {
			setPtr(c, "name", c.String, &r.Name)
			setPtr(c, "email", c.String, &r.Email)
			setPtr(c, "team-id", c.String, &r.TeamID)
			return nil
		}, func(ctx context.Context, cl *client.Client, id string, r api.OwnerUpdate) (*api.Owner, error) {
			return cl.UpdateOwner(ctx, id, r)
		}),
		act(s, "delete", "delete an owner that nothing refers to", "is deleted", nil, func(ctx context.Context, cl *client.Client, _ *cli.Context, id string) error {
			return cl.DeleteOwner(ctx, id)
		}))
}
