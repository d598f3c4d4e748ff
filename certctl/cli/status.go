package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/urfave/cli/v2"
)

// report is what "status" prints.
type report struct {
	Server        string        `json:"server"`
	Ready         bool          `json:"ready"`
	ServerVersion string        `json:"server_version,omitempty"`
	User          string        `json:"user,omitempty"`
	Role          string        `json:"role,omitempty"`
	Latency       time.Duration `json:"latency_ns"`
	Summary       *api.Summary  `json:"summary,omitempty"`
	Problem       string        `json:"problem,omitempty"`
}

func (s *session) status() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "is the server there, who am I, and how is the fleet",
		Action: func(c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			cl, ctx, cancel, err := s.connect(c)
			if err != nil {
				return err
			}
			defer cancel()
			r, failed := s.look(ctx, cl)
			if c.String("output") == "table" {
				s.tell(r)
			} else if err := s.print(c.String("output"), r); err != nil {
				return err
			}
			return failed
		},
	}
}

func (s *session) look(ctx context.Context, cl *client.Client) (*report, error) {
	r := &report{Server: cl.Server()}
	begun := s.o.Now()
	_, failed := cl.GetReady(ctx)
	r.Latency, r.Ready = s.o.Now().Sub(begun), failed == nil
	if v, err := cl.GetVersion(ctx); err == nil {
		r.ServerVersion = v.Version
	}
	if failed == nil {
		var who *api.AuthCheck
		if who, failed = cl.CheckAuth(ctx); failed == nil {
			r.User, r.Role = who.User, who.Role
			r.Summary, failed = cl.GetSummary(ctx)
		}
	}
	if failed != nil {
		r.Problem = failed.Error()
	}
	return r, failed
}

func (s *session) tell(r *report) {
	fmt.Fprintf(s.o.Out, "Server        %s, version %s, ready: %v (%s)\n", r.Server, dash(r.ServerVersion), r.Ready, r.Latency.Round(time.Millisecond))
	if r.User != "" {
		fmt.Fprintf(s.o.Out, "You           %s, %s\n", plain(r.User), r.Role)
	}
	if r.Summary == nil {
		return
	}
	fmt.Fprintf(s.o.Out, "Certificates  %d%s\n", r.Summary.TotalCertificates, counts(r.Summary.CertificatesByStatus))
	fmt.Fprintf(s.o.Out, "Targets       %s\n", counts(r.Summary.BindingsByState))
	fmt.Fprintf(s.o.Out, "Agents        %d%s\n", r.Summary.TotalAgents, counts(r.Summary.AgentsByStatus))
	fmt.Fprintf(s.o.Out, "Jobs          %s\n", counts(r.Summary.JobsByStatus))
	fmt.Fprintf(s.o.Out, "Next expiry   %s\n", s.when(r.Summary.NextExpiry))
}

func counts(m map[string]int64) string {
	names := make([]string, 0, len(m))
	for name, n := range m {
		if n > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := ""
	for _, name := range names {
		out += fmt.Sprintf("  %s %d", name, m[name])
	}
	return out
}

func (s *session) version() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print the version of this program, and of the server if there is one",
		Action: func(c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			fmt.Fprintf(s.o.Out, "certctl-cli %s\n", s.o.Version)
			cl, ctx, cancel, err := s.connect(c)
			if errors.Is(err, errUsage) {
				return nil // no server is known, and none was asked about
			}
			if err != nil {
				return err
			}
			defer cancel()
			v, err := cl.GetVersion(ctx)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.o.Out, "server %s (%s)\n", v.Version, cl.Server())
			return nil
		},
	}
}
