package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// clean takes the environment's settings away.
func clean(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "CERTCTL_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
}

// call runs the program.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), append([]string{"certctl-agent"}, args...), &out, &err)
	return code, out.String(), err.String()
}

func TestMistakesAreToldBeforeAnythingIsSent(t *testing.T) {
	clean(t)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no token":                  {[]string{"run"}, exitUsage, "--join-token"},
		"no token, no command":      {nil, exitUsage, "--join-token"},
		"plain http elsewhere":      {[]string{"run", "--server", "http://192.0.2.1:8443", "--join-token", "canary"}, exitUsage, "use https"},
		"plain http by name":        {[]string{"--server", "http://localhost.example.org:8443", "--join-token", "canary", "join"}, exitUsage, "use https"},
		"insecure elsewhere":        {[]string{"run", "--server", "https://192.0.2.1:8443", "--insecure-skip-verify", "--join-token", "canary"}, exitUsage, "--ca-bundle"},
		"no address":                {[]string{"run", "--server", "ftp://example.org", "--join-token", "canary"}, exitUsage, "https://"},
		"agent ID without key":      {[]string{"run", "--agent-id", "ag-1"}, exitUsage, "belong together"},
		"key without agent ID":      {[]string{"--api-key", "canary", "run"}, exitUsage, "belong together"},
		"two tokens":                {[]string{"join", "--join-token", "canary", "--join-token-file", empty}, exitUsage, "exclude"},
		"empty token file":          {[]string{"join", "--join-token-file", empty}, exitError, "is empty"},
		"CA bundle without CA":      {[]string{"join", "--join-token", "canary", "--ca-bundle", empty}, exitError, "no certificate"},
		"unknown command":           {[]string{"dance"}, exitUsage, "dance"},
		"unknown flag":              {[]string{"run", "--colour", "red"}, exitUsage, "colour"},
		"unknown log level":         {[]string{"status", "--log-level", "loud"}, exitUsage, "loud"},
		"unknown log format":        {[]string{"status", "--log-format", "xml"}, exitUsage, "xml"},
		"status without joining":    {[]string{"status"}, exitError, "has not joined"},
		"rotation without joining":  {[]string{"rotate-credential"}, exitError, "has not joined"},
		"rotation of a foreign key": {[]string{"rotate-credential", "--agent-id", "ag-1", "--api-key", "canary"}, exitUsage, "rotate where"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "agent")
			code, _, stderr := call(t, append([]string{"--data-dir", dir}, c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, stderr %q; want %d and %q", code, stderr, c.code, c.want)
			}
			if strings.Contains(stderr, "canary") {
				t.Errorf("stderr holds a secret: %q", stderr)
			}
		})
	}
}

func TestTheNearestFlagWins(t *testing.T) {
	clean(t)
	t.Setenv("CERTCTL_SERVER_URL", "ftp://environment")
	for want, args := range map[string][]string{
		"ftp://environment": {"join", "--join-token", "x"},
		"ftp://program":     {"--server", "ftp://program", "join", "--join-token", "x"},
		"ftp://command":     {"--server", "ftp://program", "join", "--join-token", "x", "--server-url", "ftp://command"},
	} {
		_, _, stderr := call(t, append([]string{"--data-dir", filepath.Join(t.TempDir(), "agent")}, args...)...)
		if !strings.Contains(stderr, want) {
			t.Errorf("%v: stderr %q, want one of %s", args, stderr, want)
		}
	}
}

func TestVersionAndHelp(t *testing.T) {
	clean(t)
	if code, stdout, _ := call(t, "version"); code != exitOK || !strings.HasPrefix(stdout, "certctl-agent ") {
		t.Errorf("version: %d %q", code, stdout)
	}
	code, stdout, _ := call(t, "--help")
	if code != exitOK {
		t.Errorf("--help: exit code %d", code)
	}
	for _, want := range []string{
		"CERTCTL_SERVER_URL", "CERTCTL_SERVER_CA_BUNDLE_PATH", "CERTCTL_JOIN_TOKEN", "CERTCTL_AGENT_NAME", "CERTCTL_AGENT_DIR", "CERTCTL_KEY_DIR",
		"CERTCTL_AGENT_ID", "CERTCTL_API_KEY", "run", "join", "rotate-credential", "status", "version",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("--help does not tell of %s", want)
		}
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true,
		"localhost.example.org": false, "192.0.2.1": false, "0.0.0.0": false, "::": false, "": false, "127.0.0.1.example.org": false,
	} {
		if got := loopback(host); got != want {
			t.Errorf("loopback(%q) = %v, want %v", host, got, want)
		}
	}
}
