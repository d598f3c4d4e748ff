package files_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/target"
	"github.com/certctl/certctl/target/files"
	"github.com/certctl/certctl/target/targettest"
)

func config(dir string) files.Config {
	c := files.Defaults()
	c.CertPath, c.KeyPath, c.ChainPath = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "chain.pem")
	return c
}

func TestContract(t *testing.T) {
	targettest.Run(t, targettest.Config{Open: func(_ *testing.T, dir string) target.Target { return files.New(config(dir), nil) }})
}

// snapshot is the bytes and modes of a folder's live files.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	for _, name := range []string{"cert.pem", "key.pem", "chain.pem"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			fmt.Fprintf(&b, "%s: none\n", name)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s:\n%s\n", name, info.Mode(), text)
	}
	return b.String()
}

// pair fails unless key and certificate belong together, and are b's or one of
// the others.
func pair(t *testing.T, dir string) string {
	t.Helper()
	certs, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := chain.Certificates(certs)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.ParsePEM(text)
	if err != nil {
		t.Fatal(err)
	}
	if !chain.Match(parsed[0], key) {
		t.Fatal("the key does not belong to the certificate")
	}
	return parsed[0].SerialNumber.Text(16)
}

func noLeftovers(t *testing.T, dir string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, ".*certctl-tmp*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) > 0 {
		t.Errorf("left over: %v", found)
	}
}

var errInjected = errors.New("injected")

// TestEveryOperationFails lets the n-th file operation fail, for all n: what
// was there is there again, byte for byte, and nothing is left over but by an
// operation that tidies.
func TestEveryOperationFails(t *testing.T) {
	ca := targettest.NewCA(t)
	for n := 1; ; n++ {
		dir := t.TempDir()
		first := ca.Bundle(t)
		targettest.Deploy(t, files.New(config(dir), nil), first, targettest.Options(t))
		before := snapshot(t, dir)
		count, op := 0, ""
		tgt := files.New(config(dir), func(name, path string) error {
			if count++; count == n {
				op = name + " " + filepath.Base(path)
				return errInjected
			}
			return nil
		})
		r, err := target.Deploy(t.Context(), tgt, ca.Bundle(t), targettest.Options(t))
		if op == "" { // there are no more operations
			if err != nil || n < 15 {
				t.Fatalf("after %d operations: %+v, %v", n, r, err)
			}
			return
		}
		serial := pair(t, dir)
		switch {
		case err == nil && r.Outcome == target.Deployed: // a look that failed, or tidying
		case err == nil:
			t.Errorf("%s fails: %s without an error", op, r.Outcome)
		case !errors.Is(err, errInjected):
			t.Errorf("%s fails: %v", op, err)
		case r.Outcome != target.NotStarted && r.Outcome != target.RolledBack:
			t.Errorf("%s fails: %s", op, r.Outcome)
		case snapshot(t, dir) != before || serial != first.Leaf.SerialNumber.Text(16):
			t.Errorf("%s fails: the files are not as before", op)
		}
		if !strings.HasPrefix(op, "remove") {
			noLeftovers(t, dir)
		}
	}
}

// TestDeathAtEveryOperation ends the deployment at the n-th file operation as a
// kill would, for all n; then another process recovers.
func TestDeathAtEveryOperation(t *testing.T) {
	ca := targettest.NewCA(t)
	for n := 1; ; n++ {
		dir := t.TempDir()
		first, second := ca.Bundle(t), ca.Bundle(t)
		targettest.Deploy(t, files.New(config(dir), nil), first, targettest.Options(t))
		o := targettest.Options(t)
		count, died := 0, false
		tgt := files.New(config(dir), func(string, string) error {
			if count++; count >= n {
				died = true
				panic(errInjected)
			}
			return nil
		})
		func() {
			defer func() {
				if r := recover(); r != nil && fmt.Sprint(r) != errInjected.Error() {
					panic(r)
				}
			}()
			_, _ = target.Deploy(t.Context(), tgt, second, o) // dies, or ends
		}()
		if !died {
			if n < 15 {
				t.Fatalf("only %d operations", n)
			}
			return
		}
		again := files.New(config(dir), nil)
		if _, err := target.Recover(t.Context(), again, o); err != nil {
			t.Fatalf("operation %d: %v", n, err)
		}
		pair(t, dir)
		third := ca.Bundle(t)
		targettest.Deploy(t, again, third, o)
		if got := pair(t, dir); got != third.Leaf.SerialNumber.Text(16) {
			t.Errorf("operation %d: the next deployment left serial %s", n, got)
		}
	}
}

func deploy(t *testing.T, c files.Config, b *target.Bundle) (*target.Result, error) {
	t.Helper()
	return target.Deploy(t.Context(), files.New(c, nil), b, targettest.Options(t))
}

func TestRefusals(t *testing.T) {
	ca := targettest.NewCA(t)
	for name, set := range map[string]struct {
		change func(t *testing.T, dir string, c *files.Config)
		want   string
	}{
		"no folder": {func(_ *testing.T, dir string, c *files.Config) { c.KeyPath = filepath.Join(dir, "gone", "key.pem") }, "does not exist"},
		"symlink": {func(t *testing.T, dir string, c *files.Config) {
			if err := os.Symlink(filepath.Join(dir, "elsewhere"), c.CertPath); err != nil {
				t.Fatal(err)
			}
		}, "symbolic link"},
		"folder in the way": {func(t *testing.T, _ string, c *files.Config) {
			if err := os.Mkdir(c.KeyPath, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "no regular file"},
		"no user": {func(_ *testing.T, _ string, c *files.Config) { c.Owner = "nobody-has-this-name" }, "there is no user"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := config(dir)
			set.change(t, dir, &c)
			r, err := deploy(t, c, ca.Bundle(t))
			if !errors.Is(err, target.ErrRefused) || r.Outcome != target.NotStarted || !strings.Contains(err.Error(), set.want) {
				t.Errorf("%+v, %v", r, err)
			}
			noLeftovers(t, dir)
		})
	}
}

func TestModesAndBackups(t *testing.T) {
	ca := targettest.NewCA(t)
	dir := t.TempDir()
	c := config(dir)
	for range 6 {
		if _, err := deploy(t, c, ca.Bundle(t)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]os.FileMode{"cert.pem": 0o644, "key.pem": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		kept, err := filepath.Glob(filepath.Join(dir, name+".certctl-bak.*"))
		if err != nil || len(kept) != 3 {
			t.Errorf("%s: backups %v, %v", name, kept, err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "key.pem"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := deploy(t, c, ca.Bundle(t)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "key.pem")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the operator's mode was not kept: %v, %v", info.Mode(), err)
	}
}

func TestCommands(t *testing.T) {
	ca := targettest.NewCA(t)
	run := func(t *testing.T, set func(*files.Config), old bool) (string, string, *target.Result, error) {
		dir := t.TempDir()
		c := config(dir)
		if old {
			if _, err := deploy(t, c, ca.Bundle(t)); err != nil {
				t.Fatal(err)
			}
		}
		before := snapshot(t, dir)
		set(&c)
		r, err := deploy(t, c, ca.Bundle(t, "localhost", "a.example.com"))
		noLeftovers(t, dir)
		return before, snapshot(t, dir), r, err
	}
	t.Run("broken before", func(t *testing.T) {
		before, after, r, err := run(t, func(c *files.Config) { c.ValidateCommand = files.Argv("sh", "-c", "echo no such directive; exit 1") }, true)
		if !errors.Is(err, target.ErrRefused) || r.Outcome != target.NotStarted || before != after || !strings.Contains(err.Error(), "no such directive") {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("reload fails", func(t *testing.T) {
		before, after, r, err := run(t, func(c *files.Config) { c.ReloadCommand = files.Argv("false") }, true)
		if err == nil || r.Outcome != target.RolledBack || before != after {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("first deployment, reload fails", func(t *testing.T) {
		before, after, r, err := run(t, func(c *files.Config) { c.ReloadCommand = files.Argv("false") }, false)
		if err == nil || r.Outcome != target.RolledBack || before != after {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("hangs, with a child", func(t *testing.T) {
		begun := time.Now()
		_, _, r, err := run(t, func(c *files.Config) {
			c.ReloadCommand, c.CommandTimeoutSeconds = files.Argv("sh", "-c", "sleep 60 & sleep 60"), 1
		}, true)
		if err == nil || !strings.Contains(err.Error(), "killed after 1s") || time.Since(begun) > 20*time.Second {
			t.Errorf("%+v, %v after %s", r, err, time.Since(begun))
		}
	})
	t.Run("no such program", func(t *testing.T) {
		_, _, _, err := run(t, func(c *files.Config) { c.ReloadCommand = files.Argv("certctl-has-no-such-program") }, true)
		if err == nil || !strings.Contains(err.Error(), "there is no program") {
			t.Error(err)
		}
	})
	t.Run("environment", func(t *testing.T) {
		t.Setenv("CANARY", "must not be seen")
		_, _, r, err := run(t, func(c *files.Config) { c.ReloadCommand = files.Argv("env") }, true)
		if err != nil || !strings.Contains(r.Output, "CERTCTL_NAMES=localhost,a.example.com") || strings.Contains(r.Output, "CANARY") {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("endless output", func(t *testing.T) {
		_, _, r, err := run(t, func(c *files.Config) { c.ReloadCommand = files.Argv("head", "-c", "10000000", "/dev/zero") }, true)
		if err != nil || len(r.Output) > 1<<18 {
			t.Errorf("%d octets of output, %v", len(r.Output), err)
		}
	})
}

func TestConfig(t *testing.T) {
	k := files.Kind()
	for text, want := range map[string]string{
		`{"cert_path": "/a", "key_path": "/b", "reload_command": "nginx -s reload"}`:                  "",
		`{"cert_path": "/a", "key_path": "/b", "reload_command": ["sh", "-c", "a; b"]}`:               "",
		`{"cert_path": "/a", "key_path": "/b", "reload_command": "a; rm -rf /"}`:                      "only a shell understands",
		`{"cert_path": "/a", "key_path": "/b", "reload_command": "a; b", "shell": true}`:              "",
		`{"cert_path": "a", "key_path": "/b/../c", "key_mode": "0644"}`:                               "cert_path|key_path|key_mode",
		`{"cert_path": "/a", "key_path": "/a"}`:                                                       "same file",
		`{"certpath": "/a"}`:                                                                          "not known here",
		`{"cert_path": "/a", "key_path": "/b", "endpoints": [{"address": "nowhere", "server": "x"}]}`: "endpoints[0].server",
		`{"cert_path": "/a", "key_path": "/b", "validate_command": 5}`:                                "validate_command",
		`{}`: "cert_path: is required; key_path: is required",
	} {
		err := k.Check(json.RawMessage(text))
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		for part := range strings.SplitSeq(want, "|") {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v, want %q", text, err, part)
			}
		}
	}
}
