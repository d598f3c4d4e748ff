package e2e

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/certctl/certctl/store" // its SQLite driver
)

// nobody is who runs a program that shall not be allowed to write: root may
// write everywhere.
func nobody() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	return &syscall.Credential{Uid: 65534, Gid: 65534}
}

// refusesToStart runs "certctl-server dev", which ends with one sentence and
// leaves the folder as it was.
func refusesToStart(t *testing.T, as *syscall.Credential, dir, why string) {
	t.Helper()
	before := whole(t, dir)
	a := addresses(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "certctl-server"), "dev", "--data-dir", dir, "--listen", a[0], "--pki-listen", a[1], "--site-listen", a[2])
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: as}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() < 1 {
		t.Fatalf("%v: %s", err, &errs)
	}
	if text := strings.TrimSpace(errs.String()); !strings.Contains(text, why) || strings.Contains(text, "\n") || out.Len() > 0 {
		t.Errorf("it says %q, and on standard output %q", text, out.String())
	}
	if after := whole(t, dir); after != before {
		t.Errorf("the folder was %q, and is %q", before, after)
	}
}

// whole is a folder's names, modes and bytes.
func whole(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		b.WriteString(path + " " + info.Mode().String() + "\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String() + tree(t, dir)
}

func TestAFolderThatCannotBeWritten(t *testing.T) {
	parent := t.TempDir()
	if err := errors.Join(os.Chmod(bin, 0o755), os.Chmod(filepath.Dir(parent), 0o755)); err != nil { // the other user comes as far as this
		t.Fatal(err)
	}
	closed := filepath.Join(parent, "closed")
	if err := os.Mkdir(closed, 0o555); err != nil {
		t.Fatal(err)
	}
	refusesToStart(t, nobody(), closed, closed+" cannot be used")
	refusesToStart(t, nobody(), filepath.Join(closed, "new"), "cannot be made")
	if nobody() == nil {
		return
	}
	d := newDev(t) // another user's
	if code := d.interrupt(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	refusesToStart(t, nobody(), d.dir, d.dir+" cannot be read")
	d.start()
}

// TestAFolderThatWasDamaged takes things away from a data folder: the start
// says what is missing and damages nothing more.
func TestAFolderThatWasDamaged(t *testing.T) {
	d := newDev(t)
	if code := d.interrupt(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for name, c := range map[string]struct {
		damage func(t *testing.T, dir string)
		why    string
	}{
		"format": {func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "format"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "is a data folder of another version"},
		"no format": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "format")); err != nil {
				t.Fatal(err)
			}
		}, "is no data folder"},
		"key that others can read": {func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "encryption.key"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "chmod 600"},
		"newer database": {newerSchema, "newer than this program knows"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := errors.Join(os.CopyFS(dir, os.DirFS(d.dir)), os.Chmod(filepath.Join(dir, "encryption.key"), 0o600)); err != nil {
				t.Fatal(err)
			}
			c.damage(t, dir)
			refusesToStart(t, nil, dir, c.why)
		})
	}
}

func newerSchema(t *testing.T, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "certctl.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "INSERT INTO schema_migrations SELECT max(version) + 1, 'later', 'x', max(applied_at) FROM schema_migrations"); err != nil {
		t.Fatal(err)
	}
}
