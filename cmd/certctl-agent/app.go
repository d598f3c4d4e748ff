package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/certctl/certctl/certctl/agent"
)

// Exit codes.
const (
	exitOK    = 0 // also after the control plane has retired the agent: starting it again is of no use
	exitError = 1
	exitUsage = 2
)

// run is the whole program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := app(stdout, stderr).RunContext(ctx, args)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, agent.ErrRetired):
		fmt.Fprintf(stderr, "certctl-agent: %v\n", err)
		return exitOK
	}
	fmt.Fprintf(stderr, "certctl-agent: %v\n", err)
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return exitError
}

// usageError is a mistake on the command line or in the environment.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func app(stdout, stderr io.Writer) *cli.App {
	action := func(do func(context.Context, Config) error) cli.ActionFunc {
		return func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("unknown command or argument %q; see certctl-agent --help", c.Args().First())
			}
			config, err := configOf(c)
			if err != nil {
				return err
			}
			return do(c.Context, config)
		}
	}
	usage := func(_ *cli.Context, err error, _ bool) error { return &usageError{err} }
	command := func(name, what string, do func(context.Context, Config) error) *cli.Command {
		return &cli.Command{Name: name, Usage: what, Flags: flags(false), Action: action(do), OnUsageError: usage, HideHelpCommand: true}
	}
	return &cli.App{
		Name:            "certctl-agent",
		Usage:           "make keys, deploy certificates and prove that they are served",
		Version:         version(),
		HideVersion:     true,
		Writer:          stdout,
		ErrWriter:       stderr,
		Flags:           flags(true),
		Action:          action(runAgent),
		OnUsageError:    usage,
		ExitErrHandler:  func(*cli.Context, error) {},
		HideHelpCommand: true,
		Commands: []*cli.Command{
			command("run", "join if need be, and work until told to stop (the default)", runAgent),
			command("join", "join a control plane with a one-time token", joinOnly),
			command("rotate-credential", "replace this agent's credential; a running agent goes over to it by itself", rotate),
			command("status", "show who this agent is and whether the control plane answers it", status),
			command("version", "show the version", func(_ context.Context, c Config) error {
				_, err := fmt.Fprintf(c.Stdout, "certctl-agent %s\n", version())
				return err
			}),
		},
	}
}
