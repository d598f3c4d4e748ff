package cli

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/urfave/cli/v2"
)

func (s *session) profiles() *cli.Command {
	n := noun[api.Profile]{
		what: "profile", id: func(x *api.Profile) string { return x.ID },
		columns: []column[api.Profile]{
			{"ID", func(x *api.Profile) string { return x.ID }}, {"NAME", func(x *api.Profile) string { return x.Name }},
			{"MAX TTL", func(x *api.Profile) string {
				if x.MaxTTLSeconds == 0 {
					return "-"
				}
				return (time.Duration(x.MaxTTLSeconds) * time.Second).String()
			}},
			{"EKUS", func(x *api.Profile) string { return dash(strings.Join(x.AllowedEKUs, ",")) }},
			{"ENABLED", func(x *api.Profile) string { return fmt.Sprint(x.Enabled) }},
		},
		list: func(ctx context.Context, cl *client.Client, c *cli.Context) iter.Seq2[*api.Profile, error] {
			return cl.Profiles(ctx, api.NameQuery{ListOptions: listOptions(c)})
		},
		get: func(ctx context.Context, cl *client.Client, id string) (*api.Profile, error) {
			return cl.GetProfile(ctx, id)
		},
	}
	seconds := func(c *cli.Context) func(string) int64 {
		return func(f string) int64 { return int64(c.Duration(f).Seconds()) }
	}
	flags := []cli.Flag{
		&cli.StringFlag{Name: "name"}, &cli.StringFlag{Name: "description"}, &cli.DurationFlag{Name: "max-ttl"},
		&cli.StringSliceFlag{Name: "eku", Usage: "serverAuth, clientAuth, codeSigning, emailProtection or timeStamping"},
		&cli.StringSliceFlag{Name: "san-pattern", Usage: "regular `EXPRESSION`; every name must match one"},
		&cli.BoolFlag{Name: "allow-short-lived"}, &cli.BoolFlag{Name: "enabled", Value: true},
	}
	return group("profiles", "what certificates may be", []string{"profile"}, n.listCommand(s), n.getCommand(s),
		create(s, n, append(flags, &cli.StringFlag{Name: "id"}), func(c *cli.Context, r *api.ProfileCreate) error {
			set(c, "id", c.String, &r.ID)
			set(c, "name", c.String, &r.Name)
			set(c, "description", c.String, &r.Description)
			set(c, "max-ttl", seconds(c), &r.MaxTTLSeconds)
			set(c, "eku", c.StringSlice, &r.AllowedEKUs)
			set(c, "san-pattern", c.StringSlice, &r.RequiredSANPatterns)
			set(c, "allow-short-lived", c.Bool, &r.AllowShortLived)
			setPtr(c, "enabled", c.Bool, &r.Enabled)
			return nil
		}, func(ctx context.Context, cl *client.Client, r api.ProfileCreate) (*api.Profile, error) {
			return cl.CreateProfile(ctx, r)
		}),
		update(s, n, flags, func(c *cli.Context, r *api.ProfileUpdate) error {
			setPtr(c, "name", c.String, &r.Name)
			setPtr(c, "description", c.String, &r.Description)
			setPtr(c, "max-ttl", seconds(c), &r.MaxTTLSeconds)
			setPtr(c, "eku", c.StringSlice, &r.AllowedEKUs)
			setPtr(c, "san-pattern", c.StringSlice, &r.RequiredSANPatterns)
			setPtr(c, "allow-short-lived", c.Bool, &r.AllowShortLived)
			setPtr(c, "enabled", c.Bool, &r.Enabled)
			return nil
		}, func(ctx context.Context, cl *client.Client, id string, r api.ProfileUpdate) (*api.Profile, error) {
			return cl.UpdateProfile(ctx, id, r)
		}),
		act(s, "delete", "delete a profile that nothing refers to", "is deleted", nil, func(ctx context.Context, cl *client.Client, _ *cli.Context, id string) error {
			return cl.DeleteProfile(ctx, id)
		}))
}

func (s *session) policies() *cli.Command {
	n := noun[api.RenewalPolicy]{
		what: "renewal policy", id: func(x *api.RenewalPolicy) string { return x.ID },
		columns: []column[api.RenewalPolicy]{
			{"ID", func(x *api.RenewalPolicy) string { return x.ID }}, {"NAME", func(x *api.RenewalPolicy) string { return x.Name }},
			{"AUTO", func(x *api.RenewalPolicy) string { return fmt.Sprint(x.AutoRenew) }},
			{"RENEWS", func(x *api.RenewalPolicy) string {
				if x.RenewalWindowDays > 0 {
					return fmt.Sprintf("%d days before expiry", x.RenewalWindowDays)
				}
				return fmt.Sprintf("with %.0f %% of the lifetime left", 100*x.RemainingFraction)
			}},
			{"ALERTS (DAYS)", func(x *api.RenewalPolicy) string { return strings.Trim(fmt.Sprint(x.AlertThresholdsDays), "[]") }},
		},
		list: func(ctx context.Context, cl *client.Client, c *cli.Context) iter.Seq2[*api.RenewalPolicy, error] {
			return cl.RenewalPolicies(ctx, api.NameQuery{ListOptions: listOptions(c)})
		},
		get: func(ctx context.Context, cl *client.Client, id string) (*api.RenewalPolicy, error) {
			return cl.GetRenewalPolicy(ctx, id)
		},
	}
	flags := []cli.Flag{
		&cli.StringFlag{Name: "name"}, &cli.BoolFlag{Name: "auto-renew", Value: true}, &cli.IntFlag{Name: "window-days"},
		&cli.Float64Flag{Name: "remaining-fraction"}, &cli.IntFlag{Name: "max-retries"}, &cli.DurationFlag{Name: "retry-interval"},
		&cli.IntSliceFlag{Name: "alert-days"},
	}
	return group("renewal-policies", "when certificates are renewed", []string{"renewal-policy"}, n.listCommand(s), n.getCommand(s),
		create(s, n, append(flags, &cli.StringFlag{Name: "id"}), func(c *cli.Context, r *api.RenewalPolicyCreate) error {
			set(c, "id", c.String, &r.ID)
			set(c, "name", c.String, &r.Name)
			setPtr(c, "auto-renew", c.Bool, &r.AutoRenew)
			set(c, "window-days", c.Int, &r.RenewalWindowDays)
			set(c, "remaining-fraction", c.Float64, &r.RemainingFraction)
			setPtr(c, "max-retries", c.Int, &r.MaxRetries)
			set(c, "retry-interval", func(f string) int64 { return int64(c.Duration(f).Seconds()) }, &r.RetryIntervalSeconds)
			set(c, "alert-days", c.IntSlice, &r.AlertThresholdsDays)
			return nil
		}, func(ctx context.Context, cl *client.Client, r api.RenewalPolicyCreate) (*api.RenewalPolicy, error) {
			return cl.CreateRenewalPolicy(ctx, r)
		}),
		update(s, n, flags, func(c *cli.Context, r *api.RenewalPolicyUpdate) error {
			setPtr(c, "name", c.String, &r.Name)
			setPtr(c, "auto-renew", c.Bool, &r.AutoRenew)
			setPtr(c, "window-days", c.Int, &r.RenewalWindowDays)
			setPtr(c, "remaining-fraction", c.Float64, &r.RemainingFraction)
			setPtr(c, "max-retries", c.Int, &r.MaxRetries)
			setPtr(c, "retry-interval", func(f string) int64 { return int64(c.Duration(f).Seconds()) }, &r.RetryIntervalSeconds)
			setPtr(c, "alert-days", c.IntSlice, &r.AlertThresholdsDays)
			return nil
		}, func(ctx context.Context, cl *client.Client, id string, r api.RenewalPolicyUpdate) (*api.RenewalPolicy, error) {
			return cl.UpdateRenewalPolicy(ctx, id, r)
		}),
		act(s, "delete", "delete a policy that nothing refers to", "is deleted", nil, func(ctx context.Context, cl *client.Client, _ *cli.Context, id string) error {
			return cl.DeleteRenewalPolicy(ctx, id)
		}))
}
