package cli

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/urfave/cli/v2"
)

func (s *session) keys() *cli.Command {
	n := noun[api.APIKey]{
		what: "API key", id: func(x *api.APIKey) string { return x.ID },
		columns: []column[api.APIKey]{
			{"ID", func(x *api.APIKey) string { return x.ID }}, {"NAME", func(x *api.APIKey) string { return x.Name }},
			{"ROLE", func(x *api.APIKey) string { return x.Role }}, {"EXPIRES", func(x *api.APIKey) string { return s.when(x.ExpiresAt) }},
			{"LAST USED", func(x *api.APIKey) string { return s.when(x.LastUsedAt) }}, {"REVOKED", func(x *api.APIKey) string { return s.when(x.RevokedAt) }},
		},
		filters: []cli.Flag{&cli.StringSliceFlag{Name: "role"}},
		list: func(ctx context.Context, cl *client.Client, c *cli.Context) iter.Seq2[*api.APIKey, error] {
			return cl.APIKeys(ctx, api.APIKeyQuery{Role: c.StringSlice("role"), ListOptions: listOptions(c)})
		},
		get: func(ctx context.Context, cl *client.Client, id string) (*api.APIKey, error) {
			return cl.GetAPIKey(ctx, id)
		},
	}
	return group("api-keys", "keys of people and programs", []string{"api-key"}, n.listCommand(s), n.getCommand(s),
		&cli.Command{
			Name: "create", Usage: "make a key; its secret is shown this once", Flags: []cli.Flag{
				&cli.StringFlag{Name: "name", Required: true}, &cli.StringFlag{Name: "role", Required: true, Usage: "admin, operator or viewer"},
				&cli.DurationFlag{Name: "ttl", Usage: "does not expire without it"},
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
				out, err := cl.CreateAPIKey(ctx, api.APIKeyCreate{Name: c.String("name"), Role: c.String("role"), TTLSeconds: int64(c.Duration("ttl").Seconds())})
				if err != nil {
					return err
				}
				return s.secret(c, out)
			},
		},
		act(s, "rotate", "give a key a new secret", "", []cli.Flag{&cli.DurationFlag{Name: "overlap", Value: time.Hour, Usage: "how long the old secret still works"}},
			func(ctx context.Context, cl *client.Client, c *cli.Context, id string) error {
				out, err := cl.RotateAPIKey(ctx, id, api.APIKeyRotate{OverlapSeconds: int64(c.Duration("overlap").Seconds())})
				if err != nil {
					return err
				}
				return s.secret(c, out)
			}),
		act(s, "revoke", "end a key at once", "is revoked", nil, func(ctx context.Context, cl *client.Client, _ *cli.Context, id string) error {
			return cl.RevokeAPIKey(ctx, id)
		}))
}

// secret shows a new key: the secret alone on standard output.
func (s *session) secret(c *cli.Context, k *api.APIKeySecret) error {
	if c.String("output") != "table" {
		return showOne(s, c, func(x *api.APIKeySecret) string { return x.ID }, k)
	}
	fmt.Fprintf(s.o.Err, "Key %s (%s, %s). Its secret is shown this once:\n", k.ID, k.Name, k.Role)
	_, err := fmt.Fprintln(s.o.Out, k.Key)
	return err
}
