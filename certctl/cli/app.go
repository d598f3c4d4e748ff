package cli

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"
)

// Options of New.
type Options struct {
	Out, Err io.Writer
	In       io.Reader // for files named "-"
	Version  string
	Now      func() time.Time
}

// errUsage marks what the caller wrote wrong.
var errUsage = errors.New("wrong usage")

func usagef(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errUsage}, a...)...)
}

// New makes the application. Run it with Arrange(app, args), so that flags may
// stand anywhere.
func New(o Options) *cli.App {
	s := &session{o: o}
	return &cli.App{
		Name: "certctl-cli", Usage: "request, deploy, renew and revoke certificates",
		Description: "Against a server on this machine that was started with 'certctl-server dev' or\n" +
			"'certctl-server', address, key and CA are found in its data folder (--data-dir).",
		Version: o.Version, Writer: o.Out, ErrWriter: o.Err, HideHelpCommand: true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "server", EnvVars: []string{"CERTCTL_SERVER_URL"}, Usage: "`URL` of the server"},
			&cli.StringFlag{Name: "api-key", EnvVars: []string{"CERTCTL_API_KEY"}, Usage: "API `KEY`; better from the environment or a file than on a command line"},
			&cli.StringFlag{Name: "api-key-file", EnvVars: []string{"CERTCTL_API_KEY_FILE"}, Usage: "`FILE` with the API key"},
			&cli.StringFlag{Name: "ca-file", Aliases: []string{"ca-bundle"}, EnvVars: []string{"CERTCTL_CA_FILE", "CERTCTL_SERVER_CA_BUNDLE_PATH"}, Usage: "PEM `FILE` of the CA that the server's certificate is from"},
			&cli.StringFlag{Name: "data-dir", EnvVars: []string{"CERTCTL_DATA_DIR"}, Value: "./certctl-data", Usage: "data `FOLDER` of a server on this machine; used when --server is not set"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o", "format"}, Value: "table", Usage: "table, json, yaml or name"},
			&cli.DurationFlag{Name: "timeout", Value: 2 * time.Minute, Usage: "for everything, waiting included"},
		},
		OnUsageError:   func(_ *cli.Context, err error, _ bool) error { return fmt.Errorf("%w: %w", errUsage, err) },
		ExitErrHandler: func(*cli.Context, error) {}, // the caller of Run ends the process
		CommandNotFound: func(c *cli.Context, name string) {
			s.unknown = usagef("there is no command %q; see '%s --help'", name, c.App.Name)
		},
		After: func(*cli.Context) error { return s.unknown },
		Commands: []*cli.Command{
			s.certificates(), s.jobs(), s.agents(), s.issuers(), s.targets(), s.profiles(), s.policies(), s.owners(), s.teams(), s.keys(), s.audit(),
			s.bulkRevocations(), s.revocation(), s.admin(),
			s.status(), s.version(),
		},
	}
}

// session is one run of the application.
type session struct {
	o       Options
	unknown error
}

// group makes the command of a noun.
func group(name, usage string, aliases []string, verbs ...*cli.Command) *cli.Command {
	for _, v := range verbs {
		v.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return fmt.Errorf("%w: %w", errUsage, err) }
	}
	return &cli.Command{
		Name: name, Usage: usage, Aliases: aliases, Subcommands: verbs,
		OnUsageError: func(_ *cli.Context, err error, _ bool) error { return fmt.Errorf("%w: %w", errUsage, err) },
		Action: func(c *cli.Context) error {
			if c.Args().Len() > 0 {
				return usagef("%s has no verb %q; see '%s %s --help'", name, c.Args().First(), c.App.Name, name)
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

// one returns the only argument of a command.
func one(c *cli.Context, what string) (string, error) {
	if c.Args().Len() != 1 {
		return "", usagef("%s takes exactly one %s", c.Command.FullName(), what)
	}
	return c.Args().First(), nil
}

// none refuses arguments.
func none(c *cli.Context) error {
	if c.Args().Len() > 0 {
		return usagef("%s takes no argument, and %q is one", c.Command.FullName(), c.Args().First())
	}
	return nil
}
