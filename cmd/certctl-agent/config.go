package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/urfave/cli/v2"
)

const defaultServer = "https://localhost:8443"

// Config is what the command line and the environment come to.
type Config struct {
	ServerURL     string // as given; empty: where the agent joined, or else defaultServer
	CABundle      string // file of CA certificates in PEM that the server is judged by; the system's when empty
	Insecure      bool   // do not judge the server; loopback only
	JoinToken     string
	JoinTokenFile string
	Name          string
	DataDir       string
	KeyDir        string
	AgentID       string // with APIKey: act as this agent without having joined
	APIKey        string
	Logger        *slog.Logger
	Stdout        io.Writer
	Stderr        io.Writer
}

// flags may stand before the command or after it. Those of the program read
// the environment and have the defaults; those of a command only add to them.
func flags(ofProgram bool) []cli.Flag {
	all := []cli.Flag{
		&cli.StringFlag{Name: "server", Aliases: []string{"server-url"}, EnvVars: []string{"CERTCTL_SERVER_URL"}, Usage: "address of the control plane (default: where this agent joined, or " + defaultServer + ")"},
		&cli.StringFlag{Name: "ca-bundle", Aliases: []string{"ca-file"}, EnvVars: []string{"CERTCTL_SERVER_CA_BUNDLE_PATH"}, Usage: "`FILE` of CA certificates (PEM) that vouch for the control plane (default: the system's)"},
		&cli.StringFlag{Name: "join-token", EnvVars: []string{"CERTCTL_JOIN_TOKEN"}, Usage: "one-time `TOKEN` to join with; better in a file, where no process list shows it"},
		&cli.StringFlag{Name: "join-token-file", EnvVars: []string{"CERTCTL_JOIN_TOKEN_FILE"}, Usage: "`FILE` that holds the one-time token"},
		&cli.StringFlag{Name: "name", EnvVars: []string{"CERTCTL_AGENT_NAME"}, Usage: "`NAME` to join under (default: the token's, or the host name)"},
		&cli.StringFlag{Name: "data-dir", EnvVars: []string{"CERTCTL_AGENT_DIR"}, Usage: "`DIR` for identity, keys and journal (default: /var/lib/certctl for root, else ~/.local/share/certctl-agent)"},
		&cli.StringFlag{Name: "key-dir", EnvVars: []string{"CERTCTL_KEY_DIR"}, Usage: "`DIR` for private keys (default: keys in the data folder)"},
		&cli.StringFlag{Name: "agent-id", EnvVars: []string{"CERTCTL_AGENT_ID"}, Usage: "`ID` of the agent to act as, with --api-key, instead of joining"},
		&cli.StringFlag{Name: "api-key", EnvVars: []string{"CERTCTL_API_KEY"}, Usage: "credential of that agent"},
		&cli.BoolFlag{Name: "insecure-skip-verify", EnvVars: []string{"CERTCTL_SERVER_TLS_INSECURE_SKIP_VERIFY"}, Usage: "do not judge the control plane's certificate; only for one on this machine"},
		&cli.StringFlag{Name: "log-level", EnvVars: []string{"CERTCTL_LOG_LEVEL"}, Value: "info", Usage: "debug, info, warn or error"},
		&cli.StringFlag{Name: "log-format", EnvVars: []string{"CERTCTL_LOG_FORMAT"}, Value: "text", Usage: "text or json"},
	}
	if ofProgram {
		return all
	}
	for _, f := range all {
		switch f := f.(type) {
		case *cli.StringFlag:
			f.EnvVars, f.Value = nil, ""
		case *cli.BoolFlag:
			f.EnvVars = nil
		}
	}
	return all
}

// nearest returns the context of the command or of the program, whichever was
// given the flag.
func nearest(c *cli.Context, flag string) *cli.Context {
	lineage := c.Lineage()
	for _, l := range lineage {
		if l.IsSet(flag) {
			return l
		}
	}
	program := c
	for _, l := range lineage {
		if l.App != nil {
			program = l
		}
	}
	return program
}

func configOf(c *cli.Context) (Config, error) {
	text := func(flag string) string { return nearest(c, flag).String(flag) }
	const insecure = "insecure-skip-verify"
	config := Config{
		ServerURL: text("server"), CABundle: text("ca-bundle"), Insecure: nearest(c, insecure).Bool(insecure),
		JoinToken: text("join-token"), JoinTokenFile: text("join-token-file"), Name: text("name"),
		DataDir: text("data-dir"), KeyDir: text("key-dir"), AgentID: text("agent-id"), APIKey: text("api-key"),
		Stdout: c.App.Writer, Stderr: c.App.ErrWriter,
	}
	var err error
	if config.Logger, err = logger(config.Stderr, text("log-level"), text("log-format")); err != nil {
		return config, err
	}
	if config.DataDir == "" {
		if config.DataDir, err = defaultDataDir(); err != nil {
			return config, err
		}
	}
	if (config.AgentID == "") != (config.APIKey == "") {
		return config, usagef("--agent-id and --api-key belong together; to join instead, give neither and a --join-token")
	}
	if config.JoinToken != "" && config.JoinTokenFile != "" {
		return config, usagef("--join-token and --join-token-file exclude each other")
	}
	return config, nil
}

func defaultDataDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/certctl", nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", usagef("there is no home folder (%w); give --data-dir", err)
	}
	return filepath.Join(home, ".local", "share", "certctl-agent"), nil
}

func logger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("--log-level %q is none of debug, info, warn, error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	switch strings.ToLower(format) {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	default:
		return nil, usagef("--log-format %q is neither text nor json", format)
	}
}

// token returns the join token that was given, or "".
func (c Config) token() (string, error) {
	if c.JoinTokenFile == "" {
		return strings.TrimSpace(c.JoinToken), nil
	}
	f, err := os.Open(c.JoinTokenFile)
	if err != nil {
		return "", fmt.Errorf("read join token: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return "", fmt.Errorf("read join token: %w", err)
	}
	if token := strings.TrimSpace(string(b)); token != "" {
		return token, nil
	}
	return "", fmt.Errorf("the join token file %s is empty", c.JoinTokenFile)
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
