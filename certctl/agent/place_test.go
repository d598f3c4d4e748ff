package agent_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/agent"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/target"
)

// placeConfig is of the kind "place": a pair of files, and maybe an endpoint
// that serves them.
type placeConfig struct {
	Dir      string        `json:"dir" required:"true" doc:"folder"`
	Endpoint string        `json:"endpoint,omitempty" doc:"host:port"`
	Password secret.String `json:"password,omitempty" doc:"a secret"`
}

// placeInput is what a server sends: with the secret in clear.
type placeInput struct {
	Dir      string `json:"dir"`
	Endpoint string `json:"endpoint,omitempty"`
	Password string `json:"password"`
}

// hooks let a test act at a step of a deployment.
type hooks struct {
	open, stage, swap func(context.Context, placeConfig) error
}

func (h *hooks) call(ctx context.Context, f func(context.Context, placeConfig) error, c placeConfig) error {
	if f == nil {
		return nil
	}
	return f(ctx, c)
}

func placeRegistry(t testing.TB, h *hooks) *connector.Registry[target.Target] {
	t.Helper()
	kind := connector.Define("place", "A pair of files", func() placeConfig { return placeConfig{} },
		func(ctx context.Context, c placeConfig, _ connector.Env) (target.Target, error) {
			if err := h.call(ctx, h.open, c); err != nil {
				return nil, err
			}
			return &place{c: c, h: h}, nil
		})
	r, err := connector.NewRegistry(kind)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type place struct {
	c placeConfig
	h *hooks
}

func (p *place) Endpoints() []target.Endpoint {
	if p.c.Endpoint == "" {
		return nil
	}
	return []target.Endpoint{{Address: p.c.Endpoint, ServerName: "localhost"}}
}

func (p *place) Stage(ctx context.Context, b *target.Bundle) (target.Staged, error) {
	if err := p.h.call(ctx, p.h.stage, p.c); err != nil {
		return nil, err
	}
	files := map[string][]byte{"key.pem": b.KeyPEM, "cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.Leaf.Raw})}
	for name, content := range files {
		path := filepath.Join(p.c.Dir, name)
		if err := os.WriteFile(path+".new", content, 0o600); err != nil {
			return nil, err
		}
		if old, err := os.ReadFile(path); err == nil {
			if err := os.WriteFile(path+".old", old, 0o600); err != nil {
				return nil, err
			}
		}
	}
	return &stagedPlace{p}, nil
}

func (p *place) Resume(context.Context, json.RawMessage) (target.Staged, error) {
	return &stagedPlace{p}, nil
}

type stagedPlace struct{ *place }

func (s *stagedPlace) State() json.RawMessage { return json.RawMessage(`{}`) }

func (s *stagedPlace) Swap(ctx context.Context) error {
	if err := os.Rename(filepath.Join(s.c.Dir, "key.pem.new"), filepath.Join(s.c.Dir, "key.pem")); err != nil {
		return err
	}
	if err := s.h.call(ctx, s.h.swap, s.c); err != nil {
		return err
	}
	return os.Rename(filepath.Join(s.c.Dir, "cert.pem.new"), filepath.Join(s.c.Dir, "cert.pem"))
}

func (s *stagedPlace) Rollback(context.Context) error {
	for _, name := range []string{"key.pem", "cert.pem"} {
		path := filepath.Join(s.c.Dir, name)
		old, err := os.ReadFile(path + ".old")
		if errors.Is(err, fs.ErrNotExist) {
			err = os.Remove(path)
			if errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		} else if err == nil {
			err = os.WriteFile(path, old, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *stagedPlace) Finish(context.Context) error {
	for _, name := range []string{"key.pem", "cert.pem"} {
		os.Remove(filepath.Join(s.c.Dir, name+".new"))
		os.Remove(filepath.Join(s.c.Dir, name+".old"))
	}
	return nil
}

// site serves the pair of a place, as it is on disk at each handshake.
func site(t testing.TB, dir string) (address string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
		return &pair, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func(c net.Conn) {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				c.(*tls.Conn).Handshake()
				c.Read(make([]byte, 1))
			}(c)
		}
	}()
	return l.Addr().String()
}

// journalled collects a log, to be searched for secrets.
type journalled struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journalled) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journalled) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// fixture is an agent that has joined a plane, in folders of its own.
type fixture struct {
	plane *plane
	hooks *hooks
	dir   string
	log   *journalled

	t1, t2 string // IDs of targets that no other fixture uses
}

var fixtures atomic.Int64

func newFixture(t testing.TB) *fixture {
	t.Helper()
	n := fixtures.Add(1)
	f := &fixture{
		plane: newPlane(t), hooks: &hooks{}, dir: filepath.Join(t.TempDir(), "agent"), log: &journalled{},
		t1: fmt.Sprintf("tgt-%d-1", n), t2: fmt.Sprintf("tgt-%d-2", n),
	}
	if _, err := agent.Join(t.Context(), f.plane, joinToken, f.dir, agent.Facts{Hostname: "web1"}.JoinRequest(t.Context(), "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.noSecrets(t) })
	return f
}

// noSecrets fails when a secret is in the log or in what the agent told.
func (f *fixture) noSecrets(t testing.TB) {
	t.Helper()
	told, err := json.Marshal(f.plane.lastBeat)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"the log": f.log.String(), "a heartbeat": string(told)}
	for _, j := range f.plane.jobs {
		if j.report != nil {
			b, err := json.Marshal(j.report)
			if err != nil {
				t.Fatal(err)
			}
			texts["the report of "+j.JobID] = string(b)
		}
	}
	secrets := []string{credential, joinToken, configWord, "PRIVATE KEY"}
	files, _ := filepath.Glob(filepath.Join(f.dir, "keys", "*.key"))
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Split(string(b), "\n"); len(lines) > 1 {
			secrets = append(secrets, lines[1])
		}
	}
	for where, text := range texts {
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s holds the secret %.24q…", where, s)
			}
		}
	}
}

func (f *fixture) options(t testing.TB) agent.Options {
	return agent.Options{
		Server: f.plane, Targets: placeRegistry(t, f.hooks), Dir: f.dir, Now: f.plane.now,
		Logger: slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Facts:  agent.Facts{Version: "1.2.3", Hostname: "web1", IPAddress: "192.0.2.7"}, Drain: 50 * time.Millisecond,
	}
}

// start runs the agent; stop ends it and returns what Run returned.
func (f *fixture) start(t testing.TB) (a *agent.Agent, stop func() error) {
	t.Helper()
	a, err := agent.New(f.options(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		err := <-ended
		return errors.Join(err, a.Close())
	})
	t.Cleanup(func() { stop() })
	return a, stop
}

// target adds a place to the plane.
func (f *fixture) target(t testing.TB, id string, serve bool) (dir string) {
	t.Helper()
	dir = t.TempDir()
	in := placeInput{Dir: dir, Password: configWord}
	if serve {
		in.Endpoint = site(t, dir)
	}
	f.plane.change(func() { f.plane.targets[id] = planeTarget{kind: "place", config: in} })
	return dir
}

func (f *fixture) key(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(f.dir, "keys", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func mustRead(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func pairs(cert, key string) bool {
	_, err := tls.X509KeyPair([]byte(cert), []byte(key))
	return err == nil
}
