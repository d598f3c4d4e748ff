package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// PostgresServer is a running throw-away cluster.
type PostgresServer struct {
	Port   int
	dir    string
	cmd    *exec.Cmd
	exited chan struct{}
}

// DSN returns the URL of one of its databases.
func (p *PostgresServer) DSN(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", p.Port, database)
}

// StartPostgres makes and starts a cluster on a free loopback port.
func StartPostgres() (*PostgresServer, error) {
	initdb, err := Find("initdb")
	if err != nil {
		return nil, err
	}
	server, err := Find("postgres")
	if err != nil {
		return nil, err
	}
	as, err := postgresUser()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "certctl-postgres-")
	if err != nil {
		return nil, err
	}
	p := &PostgresServer{dir: dir, exited: make(chan struct{})}
	if err := p.start(initdb, server, as); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

func (p *PostgresServer) start(initdb, server string, as *syscall.Credential) error {
	if as != nil {
		if err := os.Chown(p.dir, int(as.Uid), int(as.Gid)); err != nil {
			return err
		}
	}
	data := filepath.Join(p.dir, "data")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	made := exec.CommandContext(ctx, initdb, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
	made.Dir, made.SysProcAttr = p.dir, &syscall.SysProcAttr{Credential: as}
	if out, err := made.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	port, err := FreePort()
	if err != nil {
		return err
	}
	p.Port = port
	p.cmd = exec.Command(server, "-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=200")
	var log bytes.Buffer
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = &log, &log, p.dir
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // told by exited
	}()
	return p.await(ctx, &log)
}

// await returns when the server accepts connections.
func (p *PostgresServer) await(ctx context.Context, log fmt.Stringer) error {
	ready, err := Find("pg_isready")
	if err != nil {
		return err
	}
	for {
		if exec.CommandContext(ctx, ready, "-h", "127.0.0.1", "-p", strconv.Itoa(p.Port)).Run() == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("postgres ended: %s", log)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends the server and removes its files.
func (p *PostgresServer) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGINT) // fast shutdown; it may have ended
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill() // the last resort
		<-p.exited
	}
	_ = os.RemoveAll(p.dir) // a temporary folder
}

// postgresUser is whom to run as: postgres refuses root.
func postgresUser() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, errors.New("postgres does not run as root, and there is no user postgres; install the package postgresql")
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// FreePort returns a loopback port that was free a moment ago.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Postgres starts a cluster for one test.
func Postgres(t testing.TB) *PostgresServer {
	t.Helper()
	Need(t, "initdb")
	Need(t, "postgres")
	p, err := StartPostgres()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}
