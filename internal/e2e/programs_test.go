package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/certctl/certctl/internal/peer"
)

// bin is where the programs are.
var bin string

func TestMain(m *testing.M) {
	os.Exit(build(m))
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "certctl-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	out, err := exec.Command("go", "build", "-o", dir+"/", "../../cmd/...").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	bin = dir
	return m.Run()
}

// process is a running program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
	mu   sync.Mutex
	log  bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// launch starts one of our programs, which ends with the test.
func launch(t *testing.T, env []string, program string, args ...string) *process {
	t.Helper()
	return start(t, filepath.Join(bin, program), env, args...)
}

// start runs a program beside the test, until it ends.
func start(t *testing.T, path string, env []string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s %v:\n%s", filepath.Base(path), args, p.text())
		}
	})
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// interrupt is Ctrl-C; it returns the exit code.
func (p *process) interrupt(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(40 * time.Second):
		t.Fatal("it does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// until polls a condition.
func until(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	end := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end:
			t.Fatalf("not within %s: %s", limit, what)
		case <-tick.C:
		}
	}
}

// run runs a program to its end.
func run(t *testing.T, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	return string(out), err
}

// must runs a peer that has to agree.
func must(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := run(t, peer.Need(t, program), args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}

// dev is a data folder with "certctl-server dev" on it.
type dev struct {
	t     *testing.T
	dir   string
	addrs []string
	*process
	ready map[string]string
}

func addresses(t *testing.T, n int) []string {
	t.Helper()
	out := make([]string, n)
	for i := range out {
		port, err := peer.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		out[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	return out
}

func newDev(t *testing.T) *dev {
	t.Helper()
	d := &dev{t: t, dir: filepath.Join(t.TempDir(), "data"), addrs: addresses(t, 3)}
	d.start()
	return d
}

func (d *dev) start() {
	d.t.Helper()
	begun := time.Now()
	d.process = launch(d.t, nil, "certctl-server", "dev", "--data-dir", d.dir, "--listen", d.addrs[0], "--pki-listen", d.addrs[1], "--site-listen", d.addrs[2])
	until(d.t, "ready.json", 60*time.Second, func() bool {
		select {
		case <-d.done:
			d.t.Fatal("it has ended: " + d.text())
		default:
		}
		info, err := os.Stat(d.path("ready.json"))
		if err != nil || info.ModTime().Before(begun) { // of a run that was killed
			return false
		}
		text, err := os.ReadFile(d.path("ready.json"))
		return err == nil && json.Unmarshal(text, &d.ready) == nil
	})
}

func (d *dev) path(name string) string { return filepath.Join(d.dir, name) }

// cli runs the command line against this server.
func (d *dev) cli(args ...string) (string, error) {
	return run(d.t, filepath.Join(bin, "certctl-cli"), append([]string{"--data-dir", d.dir}, args...)...)
}

func (d *dev) mustCLI(args ...string) string {
	d.t.Helper()
	out, err := d.cli(args...)
	if err != nil {
		d.t.Fatalf("certctl-cli %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// object reads what a command prints as JSON, without what goes to stderr.
func (d *dev) object(to any, args ...string) {
	d.t.Helper()
	cmd := exec.CommandContext(d.t.Context(), filepath.Join(bin, "certctl-cli"), append([]string{"--data-dir", d.dir, "-o", "json"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		exit, _ := errors.AsType[*exec.ExitError](err)
		d.t.Fatalf("certctl-cli %s: %v %s", strings.Join(args, " "), err, exit.Stderr)
	}
	if err := json.Unmarshal(out, to); err != nil {
		d.t.Fatalf("%v: %s", err, out)
	}
}
