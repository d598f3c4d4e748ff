package files

import (
	"encoding/json"
	"fmt"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/target"
)

// Config of a file target.
type Config struct {
	CertPath              string            `json:"cert_path" doc:"PEM file that gets the certificate and its chain" required:"true"`
	KeyPath               string            `json:"key_path" doc:"PEM file that gets the private key (PKCS#8)" required:"true"`
	ChainPath             string            `json:"chain_path" doc:"PEM file that gets the chain alone, for servers that want it apart"`
	CertMode              string            `json:"cert_mode" doc:"Octal mode of certificate and chain; that of the file in place, or 0644, when empty"`
	KeyMode               string            `json:"key_mode" doc:"Octal mode of the key; that of the file in place, or 0600, when empty"`
	Owner                 string            `json:"owner" doc:"User that owns the files; that of the file in place when empty"`
	Group                 string            `json:"group" doc:"Group that owns the files; that of the file in place when empty"`
	ValidateCommand       Command           `json:"validate_command" doc:"Command that checks the server's configuration, run before and after the swap"`
	ReloadCommand         Command           `json:"reload_command" doc:"Command that makes the server read the files"`
	Shell                 bool              `json:"shell" doc:"Run the commands with /bin/sh -c; they must be texts then"`
	CommandTimeoutSeconds int               `json:"command_timeout_seconds" doc:"After which a command and its children are killed"`
	Endpoints             []target.Endpoint `json:"endpoints" doc:"Where the certificate is served; a deployment succeeds when it is seen there"`
	ProbeSeconds          int               `json:"probe_seconds" doc:"How long the server may take to serve it"`
	BackupRetention       int               `json:"backup_retention" doc:"How many previous versions of each file are kept beside it"`
	FollowSymlinks        bool              `json:"follow_symlinks" doc:"Replace what a symbolic link points to; without it a link is refused"`
}

// Defaults of a file target.
func Defaults() Config {
	return Config{CommandTimeoutSeconds: 30, ProbeSeconds: 15, BackupRetention: 3}
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() []connector.Problem {
	var problems []connector.Problem
	bad := func(field, format string, a ...any) {
		problems = append(problems, connector.Problem{Field: field, Message: fmt.Sprintf(format, a...)})
	}
	paths := map[string]string{"cert_path": c.CertPath, "key_path": c.KeyPath, "chain_path": c.ChainPath}
	seen := map[string]string{}
	for _, field := range []string{"cert_path", "key_path", "chain_path"} {
		p := paths[field]
		if p == "" {
			continue
		}
		if !filepath.IsAbs(p) || filepath.Clean(p) != p || strings.ContainsRune(p, 0) {
			bad(field, "%.200q is not an absolute path without . and ..", p)
		}
		if other := seen[p]; other != "" {
			bad(field, "is the same file as %s", other)
		}
		seen[p] = field
	}
	for field, m := range map[string]string{"cert_mode": c.CertMode, "key_mode": c.KeyMode} {
		mode, err := strconv.ParseUint(m, 8, 32)
		switch {
		case m == "":
		case err != nil || mode > 0o777:
			bad(field, "%.20q is not an octal mode such as 0640", m)
		case field == "key_mode" && mode&0o007 != 0:
			bad(field, "%s lets everybody read the private key; use 0600 or 0640", m)
		}
	}
	c.ValidateCommand.judge("validate_command", c.Shell, bad)
	c.ReloadCommand.judge("reload_command", c.Shell, bad)
	if c.CommandTimeoutSeconds < 1 || c.CommandTimeoutSeconds > 600 {
		bad("command_timeout_seconds", "must be 1 to 600")
	}
	if c.ProbeSeconds < 1 || c.ProbeSeconds > 300 {
		bad("probe_seconds", "must be 1 to 300")
	}
	if c.BackupRetention < 0 || c.BackupRetention > 100 {
		bad("backup_retention", "must be 0 to 100")
	}
	for i, e := range c.Endpoints {
		if _, port, ok := strings.Cut(e.Address, ":"); !ok || port == "" {
			bad(fmt.Sprintf("endpoints[%d].address", i), "%.100q is not host:port", e.Address)
		}
	}
	slices.SortStableFunc(problems, func(a, b connector.Problem) int { return strings.Compare(a.Field, b.Field) })
	return problems
}

// ids resolves the configured owner and group; -1 leaves one as it is.
func (c Config) ids() (uid, gid int, err error) {
	uid, gid = -1, -1
	if c.Owner != "" {
		u, err := user.Lookup(c.Owner)
		if err != nil {
			return 0, 0, fmt.Errorf("%w: owner: there is no user %q on this host", target.ErrRefused, c.Owner)
		}
		if uid, err = strconv.Atoi(u.Uid); err != nil {
			return 0, 0, fmt.Errorf("%w: owner: user %q has no number", target.ErrRefused, c.Owner)
		}
	}
	if c.Group != "" {
		g, err := user.LookupGroup(c.Group)
		if err != nil {
			return 0, 0, fmt.Errorf("%w: group: there is no group %q on this host", target.ErrRefused, c.Group)
		}
		if gid, err = strconv.Atoi(g.Gid); err != nil {
			return 0, 0, fmt.Errorf("%w: group: group %q has no number", target.ErrRefused, c.Group)
		}
	}
	return uid, gid, nil
}

// Command is a program with its arguments. In JSON it is a list, or a text
// that is split at spaces and has nothing in it that a shell would interpret.
type Command struct {
	argv []string
	text string // as it was configured, when it was a text
}

// Argv makes a Command.
func Argv(argv ...string) Command { return Command{argv: argv} }

// IsZero reports whether there is no command.
func (c Command) IsZero() bool { return len(c.argv) == 0 && c.text == "" }

// UnmarshalJSON reads a list or a text.
func (c *Command) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*c = Command{argv: strings.Fields(text), text: text}
		return nil
	}
	var argv []string
	if err := json.Unmarshal(b, &argv); err != nil {
		return fmt.Errorf("must be a list of texts (program and arguments), or a text")
	}
	*c = Command{argv: argv}
	return nil
}

// MarshalJSON writes what was configured.
func (c Command) MarshalJSON() ([]byte, error) {
	if c.text != "" {
		return json.Marshal(c.text)
	}
	if c.argv == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(c.argv)
}

// shellCharacters would mean something to a shell, and nothing without one.
const shellCharacters = ";|&$`\\\"'(){}<>*?[]~#!\n\r"

func (c Command) judge(field string, shell bool, bad func(string, string, ...any)) {
	switch {
	case c.IsZero():
	case len(c.argv) == 0 || c.argv[0] == "":
		bad(field, "names no program")
	case strings.ContainsRune(strings.Join(c.argv, ""), 0):
		bad(field, "holds a NUL character")
	case shell && c.text == "":
		bad(field, "must be a text when shell is true")
	case !shell && strings.ContainsAny(c.text, shellCharacters):
		bad(field, "has characters that only a shell understands: write it as a list of program and arguments, or set shell to true")
	}
}
