// Package command runs the programs that operators configure: as argument
// vectors, in an environment of their own, with limits on time and output, and
// with all that they started ended with them.
package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Spec is a program to run.
type Spec struct {
	Argv []string // the program, and each of its arguments
	// Env is all that it sees beside PATH, HOME and LANG: "NAME=value".
	Env   []string
	Stdin []byte
	// Limit of its time; 30 s when 0.
	Limit time.Duration
	// MaxOutput and MaxErrors bound what is kept of its output and of its
	// errors, in octets; 64 KiB when 0. A program that prints more output is
	// killed; more errors are dropped.
	MaxOutput, MaxErrors int
	// Mixed keeps errors with the output, as a terminal would; then more of
	// either is dropped.
	Mixed bool
}

// Result is what a program printed, and how it ended.
type Result struct {
	Output, Errors []byte
	Code           int // -1 when it did not end by itself
}

// Causes of a failure, beside the context's own.
var (
	ErrStart   = errors.New("the program cannot be started")
	ErrTime    = errors.New("killed at its time limit")
	ErrTooMuch = errors.New("killed because it printed too much")
	ErrExit    = errors.New("the program failed")
)

// base is the environment that every program has.
var base = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "LANG=C.UTF-8"}

// Run runs a program to its end, or kills it and all that it started. The error
// matches one of the causes above; Result is what it printed until then.
func Run(ctx context.Context, s Spec) (Result, error) {
	if len(s.Argv) == 0 || s.Argv[0] == "" {
		return Result{Code: -1}, fmt.Errorf("%w: no program is named", ErrStart)
	}
	limit := s.Limit
	if limit <= 0 {
		limit = 30 * time.Second
	}
	if err := ctx.Err(); err != nil {
		return Result{Code: -1}, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit, ErrTime)
	defer cancel()
	own, stop := context.WithCancelCause(limited)
	defer stop(nil)
	out, errs := &kept{most: most(s.MaxOutput)}, &kept{most: most(s.MaxErrors)}
	if !s.Mixed {
		out.full = func() { stop(ErrTooMuch) }
	}
	cmd := exec.CommandContext(own, s.Argv[0], s.Argv[1:]...)
	cmd.Env, cmd.Dir = append(append([]string{}, base...), s.Env...), "/"
	cmd.Stdout, cmd.Stderr = io.Writer(out), io.Writer(errs)
	if s.Mixed {
		cmd.Stderr = cmd.Stdout
	}
	if s.Stdin != nil {
		cmd.Stdin = bytes.NewReader(s.Stdin)
	}
	group(cmd)
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Start()
	if err != nil {
		return Result{Code: -1}, fmt.Errorf("%w: %w", ErrStart, err)
	}
	err = cmd.Wait()
	left := errors.Is(err, exec.ErrWaitDelay)
	if left { // with its output, so its group is still its own
		endGroup(cmd)
	}
	r := Result{Output: out.bytes(), Errors: errs.bytes(), Code: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	switch cause := context.Cause(own); {
	case errors.Is(cause, ErrTooMuch):
		return r, fmt.Errorf("%w (more than %d octets)", ErrTooMuch, out.most)
	case err == nil:
		return r, nil
	case errors.Is(cause, ErrTime):
		return r, fmt.Errorf("%w of %v", ErrTime, limit)
	case cause != nil:
		return r, cause
	case left:
		return r, fmt.Errorf("%w: it left programs behind that held its output open, which were killed", ErrExit)
	case errors.As(err, &exit):
		return r, fmt.Errorf("%w (%w)", ErrExit, err)
	}
	return r, fmt.Errorf("%w: %w", ErrExit, err)
}

// Words is how a command is shown to people.
func Words(argv []string) string { return strings.Join(argv, " ") }

func most(n int) int {
	if n <= 0 {
		return 64 << 10
	}
	return n
}

// kept is the beginning of an output.
type kept struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	most int
	full func() // called once there is more
}

// Write keeps what there is room for; it takes all, so that no program is stopped
// by a full pipe.
func (k *kept) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	left := k.most - k.buf.Len()
	k.buf.Write(p[:min(len(p), max(left, 0))])
	if len(p) > left && k.full != nil {
		k.full()
		k.full = nil
	}
	return len(p), nil
}

func (k *kept) bytes() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return bytes.Clone(k.buf.Bytes())
}
