package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/certctl/certctl/certctl/agent"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/target/all"
)

// runAgent joins when there is a token and no identity yet, and works until
// ctx ends.
func runAgent(ctx context.Context, c Config) error {
	server, err := c.serverForRun(ctx)
	if err != nil {
		return err
	}
	kinds, err := connector.NewRegistry(all.Kinds()...)
	if err != nil {
		return fmt.Errorf("target kinds: %w", err)
	}
	a, err := agent.New(agent.Options{
		Server: server, Targets: kinds, Dir: c.DataDir, KeyDir: c.KeyDir, AgentID: c.AgentID,
		Now: time.Now, Logger: c.Logger, Facts: c.facts(), HTTP: targetClient(),
	})
	if err != nil {
		return err
	}
	c.Logger.Info("certctl-agent starts", slog.String("version", version()), slog.String("agent_id", a.Status().AgentID),
		slog.String("server", c.address()), slog.String("data_dir", c.DataDir))
	err = a.Run(ctx)
	c.Logger.Info("certctl-agent ends")
	return errors.Join(err, a.Close())
}

// serverForRun returns a control plane that speaks with this agent's
// credential.
func (c Config) serverForRun(ctx context.Context) (agent.ControlPlane, error) {
	if c.AgentID != "" {
		return c.connect(c.address(), c.APIKey)
	}
	_, err := agent.LoadIdentity(c.DataDir)
	if errors.Is(err, agent.ErrNotJoined) {
		_, err = c.join(ctx)
	}
	if err != nil {
		return nil, err
	}
	return agent.Reloading(c.DataDir, func(id *agent.Identity) (agent.ControlPlane, error) {
		return c.connect(c.address(), id.Credential.Reveal())
	})
}

func (c Config) join(ctx context.Context) (*agent.Identity, error) {
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	if token == "" {
		return nil, usagef("there is no identity in %s; give a one-time --join-token or --join-token-file, which an operator of the control plane makes, or --agent-id and --api-key", c.DataDir)
	}
	server, err := c.connect(c.address(), "")
	if err != nil {
		return nil, err
	}
	id, err := agent.Join(ctx, server, token, c.DataDir, c.facts().JoinRequest(ctx, c.Name))
	if err != nil {
		return nil, err
	}
	c.Logger.Info("joined", slog.String("agent_id", id.AgentID), slog.String("name", id.Name), slog.String("server", id.ServerURL))
	return id, nil
}

func joinOnly(ctx context.Context, c Config) error {
	if id, err := agent.LoadIdentity(c.DataDir); err == nil {
		return fmt.Errorf("%w as %s (%s) in %s; to make another agent give another --data-dir", agent.ErrJoined, id.Name, id.AgentID, c.DataDir)
	}
	id, err := c.join(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Stdout, "joined %s as %s (%s); start it with: certctl-agent run --data-dir %s\n", id.ServerURL, id.Name, id.AgentID, c.DataDir)
	return err
}

func rotate(ctx context.Context, c Config) error {
	if c.AgentID != "" {
		return usagef("--agent-id and --api-key name a credential that is not kept in %s; rotate where it is kept", c.DataDir)
	}
	server, err := agent.Reloading(c.DataDir, func(id *agent.Identity) (agent.ControlPlane, error) {
		return c.connect(c.address(), id.Credential.Reveal())
	})
	if err != nil {
		return err
	}
	id, answer, err := agent.RotateCredential(ctx, server, c.DataDir)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Stdout, "agent %s has a new credential; the old one works until %s\n", id.AgentID, answer.OldUntil.UTC().Format(time.RFC3339))
	return err
}

// status shows the identity and asks the server with one heartbeat.
func status(ctx context.Context, c Config) error {
	id := &agent.Identity{AgentID: c.AgentID}
	if c.AgentID == "" {
		var err error
		if id, err = agent.LoadIdentity(c.DataDir); err != nil {
			return err
		}
	}
	credential := id.Credential.Reveal()
	if c.AgentID != "" {
		credential = c.APIKey
	}
	server, err := c.connect(c.address(), credential)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	answer, askErr := server.Heartbeat(ctx, id.AgentID, c.facts().Heartbeat(ctx, time.Now().UTC()))

	w := tabwriter.NewWriter(c.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "agent\t%s\n", id.AgentID)
	if id.Name != "" {
		fmt.Fprintf(w, "name\t%s\n", id.Name)
	}
	fmt.Fprintf(w, "data folder\t%s\n", c.DataDir)
	fmt.Fprintf(w, "server\t%s\n", c.address())
	if askErr != nil {
		fmt.Fprintf(w, "answers\tno\n")
		return errors.Join(w.Flush(), fmt.Errorf("the control plane does not accept this agent: %w", askErr))
	}
	fmt.Fprintf(w, "answers\tyes, it is %s\n", answer.Status)
	if skew := time.Since(answer.ServerTime).Round(time.Second); !answer.ServerTime.IsZero() && skew.Abs() >= time.Minute {
		fmt.Fprintf(w, "clock\t%s from the server's\n", skew)
	}
	return w.Flush()
}
