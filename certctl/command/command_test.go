//go:build unix

package command_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/command"
)

func sh(text string) []string { return []string{"/bin/sh", "-c", text} }

func TestRun(t *testing.T) {
	t.Setenv("CERTCTL_SECRET", "of the parent")
	r, err := command.Run(t.Context(), command.Spec{Argv: sh(`cat; echo "$A:$CERTCTL_SECRET"; echo bad >&2`), Env: []string{"A=b;c"}, Stdin: []byte("in ")})
	if err != nil || string(r.Output) != "in b;c:\n" || string(r.Errors) != "bad\n" || r.Code != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = command.Run(t.Context(), command.Spec{Argv: sh(`echo out; echo err >&2; exit 7`), Mixed: true})
	if !errors.Is(err, command.ErrExit) || r.Code != 7 || string(r.Output) != "out\nerr\n" {
		t.Errorf("%+v, %v", r, err)
	}
	for _, argv := range [][]string{nil, {""}, {"/no/such/program"}, {t.TempDir()}} {
		if _, err := command.Run(t.Context(), command.Spec{Argv: argv}); !errors.Is(err, command.ErrStart) {
			t.Errorf("%q: %v", argv, err)
		}
	}
}

// TestTooMuch: more output than wanted ends a program; mixed, it is dropped.
func TestTooMuch(t *testing.T) {
	r, err := command.Run(t.Context(), command.Spec{Argv: []string{"/usr/bin/yes"}, MaxOutput: 1000})
	if !errors.Is(err, command.ErrTooMuch) || len(r.Output) != 1000 {
		t.Errorf("%d octets, %v", len(r.Output), err)
	}
	r, err = command.Run(t.Context(), command.Spec{Argv: sh("head -c 100000 /dev/zero"), MaxOutput: 1000, Mixed: true})
	if err != nil || len(r.Output) != 1000 {
		t.Errorf("%d octets, %v", len(r.Output), err)
	}
}

// TestNobodyIsLeft: at the time limit, when nobody waits any more, and when the
// program leaves children that hold its output, all of them end.
func TestNobodyIsLeft(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		limit  time.Duration
		cancel bool
		want   error
	}{
		"hanging":   {"sleep 1000 & echo $! > $PIDS; sleep 1000", 200 * time.Millisecond, false, command.ErrTime},
		"cancelled": {"sleep 1000 & echo $! > $PIDS; sleep 1000", time.Minute, true, context.Canceled},
		"forked":    {"sleep 1000 & echo $! > $PIDS", time.Minute, false, command.ErrExit},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pids := filepath.Join(t.TempDir(), "pids")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.cancel {
				go func() {
					for _, err := os.Stat(pids); err != nil && ctx.Err() == nil; _, err = os.Stat(pids) {
						<-time.After(10 * time.Millisecond)
					}
					cancel()
				}()
			}
			if _, err := command.Run(ctx, command.Spec{Argv: sh(c.script), Env: []string{"PIDS=" + pids}, Limit: c.limit}); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			text, err := os.ReadFile(pids)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			deadline := time.After(10 * time.Second)
			for alive(pid) {
				select {
				case <-deadline:
					t.Fatalf("process %d is left", pid)
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
}

// alive reports whether a process runs; one that is dead and not yet waited for by
// its new parent does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}
