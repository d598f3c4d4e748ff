// Package peer starts the real programs that tests run against: Postgres,
// nginx, openssl and others, on loopback and in temporary folders.
package peer

import (
	"bytes"
	"errors"
	"go/build"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// folders beside PATH: where Debian keeps servers, and Go what it installs.
var folders = []string{"/usr/sbin", "/usr/local/sbin", "/usr/lib/postgresql/*/bin", goBin()}

// goBin is where "go install" puts programs.
func goBin() string {
	if dir := os.Getenv("GOBIN"); dir != "" {
		return dir
	}
	return filepath.Join(filepath.SplitList(build.Default.GOPATH)[0], "bin")
}

// Find returns the path of a program.
func Find(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, pattern := range folders {
		found, err := filepath.Glob(filepath.Join(pattern, program))
		if err == nil && len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", errors.New(program + " is not installed; run scripts/install-peers.sh")
}

// Required reports whether a missing peer is a failure: in CI and make test.
func Required() bool { return os.Getenv("CERTCTL_REQUIRE_PEERS") == "1" }

// Need returns the path of a program. Where it is missing the test is skipped,
// or fails if CERTCTL_REQUIRE_PEERS=1.
func Need(t testing.TB, program string) string {
	t.Helper()
	path, err := Find(program)
	if err == nil {
		return path
	}
	if Required() {
		t.Fatal(err)
	}
	t.Skip(err)
	return ""
}

// serve starts a program, waits until it is ready, and ends it by a signal when
// the test does, or when the test's process dies.
func serve(t testing.TB, end syscall.Signal, ready func() error, cmd *exec.Cmd) {
	t.Helper()
	name := filepath.Base(cmd.Path)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: end}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // told by exited
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(end) // it may have ended
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill() // the last resort
			<-exited
		}
	})
	for last := time.Now().Add(20 * time.Second); ; {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-exited:
			t.Fatalf("%s ended: %s", name, log.String())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(last) {
			t.Fatalf("%s does not answer: %v", name, err)
		}
	}
}
