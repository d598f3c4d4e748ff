package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// server is one that is measured.
type server struct {
	name    string
	path    string // of its URL
	nonce   bool
	command []string
	address string
	rates   []float64 // answers a second, by round
	costs   []float64 // microseconds of the server's CPU for one answer
	slow    bool      // a short turn is enough

	process *exec.Cmd
}

func run(ctx context.Context, s settings) error {
	dir, err := os.MkdirTemp("", "certctl-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("issuing %d serials, %d revoked\n", s.serials, s.serials/100)
	w, err := newWorld(dir, s.serials)
	if err != nil {
		return err
	}
	servers, err := lineup(ctx, s, w)
	if err != nil {
		return err
	}
	defer func() {
		for _, m := range servers {
			m.stop()
		}
	}()
	for _, m := range servers {
		if err := m.start(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	for round := range s.rounds + 1 {
		for _, m := range servers {
			requests, d := w.requests, s.round
			if m.nonce {
				requests = w.noncedRequests
			}
			if round == 0 && !m.slow { // to fill caches
				d = 0
			}
			before := m.cpu()
			rate, err := 0.0, error(nil)
			switch {
			case !m.slow:
				rate, err = load(ctx, m.address, m.path, requests, s.connections, d)
			case round > 0:
				rate, err = loadOnce(ctx, m.address, m.path, requests, d)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			if round > 0 {
				m.rates = append(m.rates, rate)
				m.costs = append(m.costs, (m.cpu()-before).Seconds()*1e6/(rate*d.Seconds()))
			}
		}
	}
	report(servers)
	return nil
}

const ourPath = "/.well-known/pki/ocsp/bench"

func lineup(ctx context.Context, s settings, w *world) ([]*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	size, err := answerSize(w)
	if err != nil {
		return nil, err
	}
	own := func(name, kind string, nonce bool) *server {
		return &server{name: name, path: ourPath, nonce: nonce, command: []string{self, "serve", kind, "ADDRESS", w.dir, fmt.Sprint(size)}}
	}
	all := []*server{
		own("floor net/http", "floor-nethttp", false), own("ours net/http", "ours-nethttp", false), own("ours net/http, nonce", "ours-nethttp", true),
		own("floor fasthttp", "floor-fasthttp", false), own("ours fasthttp", "ours-fasthttp", false),
	}
	standalone := []string{"crl", "--listen", "ADDRESS", "--admin-listen", "127.0.0.1:0", "--name", "bench", "--ca", w.file("ca.pem"), "--crl", w.file("crl.der"), "--index", w.file("issued.txt"),
		"--cert", w.file("delegate.pem"), "--key", w.file("delegate.key"), "--cache-mib", "512", "--log-level", "error"}
	if s.responder == "" {
		s.responder = w.file("certctl-responder")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", s.responder, "github.com/certctl/certctl/cmd/certctl-responder").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building certctl-responder: %w\n%s", err, out)
		}
	}
	all = append(all, &server{name: "certctl-responder", path: ourPath, command: append([]string{s.responder}, standalone...)})
	if s.cfssl == "" {
		s.cfssl, _ = exec.LookPath("cfssl")
	}
	if s.cfssl != "" {
		responses, err := cfsslResponses(w)
		if err != nil {
			return nil, err
		}
		all = append(all, &server{name: "cfssl ocspserve", path: "/", command: []string{s.cfssl, "ocspserve", "-address", "127.0.0.1", "-port", "PORT", "-responses", responses, "-loglevel", "5"}})
	} else {
		fmt.Println("cfssl is not there: go install github.com/cloudflare/cfssl/cmd/cfssl@v1.6.5")
	}
	if openssl, err := exec.LookPath("openssl"); err == nil {
		all = append(all, &server{name: "openssl ocsp", path: "/", slow: true, command: []string{openssl, "ocsp", "-port", "PORT", "-index", w.file("index.txt"), "-CA", w.file("ca.pem"),
			"-rsigner", w.file("delegate.pem"), "-rkey", w.file("delegate.key"), "-ignore_err"}})
	}
	return slices.DeleteFunc(all, func(m *server) bool { return !strings.Contains(m.name, s.only) }), nil
}

// answers asks once. An empty connection would not do: openssl ocsp waits for
// ever on one.
func (m *server) answers(ctx context.Context, w *world) error {
	if m.slow {
		_, err := loadOnce(ctx, m.address, m.path, w.requests[:1], time.Nanosecond)
		return err
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", m.address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (m *server) start(ctx context.Context, w *world) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	m.address = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(m.address)
	args := slices.Clone(m.command)
	for i := range args {
		args[i] = strings.NewReplacer("ADDRESS", m.address, "PORT", port).Replace(args[i])
	}
	m.process = exec.CommandContext(ctx, args[0], args[1:]...)
	var log strings.Builder
	m.process.Stderr = &log
	if err := m.process.Start(); err != nil {
		return err
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := m.answers(ctx, w)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return errors.Join(err, errors.New(log.String()))
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (m *server) stop() {
	if m.process != nil && m.process.Process != nil {
		_ = m.process.Process.Kill()
		_ = m.process.Wait()
	}
}

func median(values []float64) float64 {
	v := slices.Clone(values)
	slices.Sort(v)
	return v[len(v)/2]
}

// cpu is what the server has used so far, 0 where /proc does not tell.
func (m *server) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.process.Process.Pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0
	}
	return time.Duration(user+system) * 10 * time.Millisecond // clock ticks
}

// report prints the median of each, and the ratios that are promised: medians
// of the ratios of each round, whose servers ran within seconds of each other.
func report(servers []*server) {
	byName := map[string]*server{}
	fmt.Println("\nanswers a second, and µs of the server's CPU for one (medians of the rounds)")
	for _, m := range servers {
		byName[m.name] = m
		fmt.Printf("  %-22s %9.0f %9.1f\n", m.name, median(m.rates), median(m.costs))
	}
	fmt.Println("\nratios (median of each round's; wanted)")
	for _, r := range []struct {
		a, b string
		want float64
	}{
		{"ours net/http", "floor net/http", 0.9}, {"certctl-responder", "floor net/http", 1.5}, {"certctl-responder", "cfssl ocspserve", 3},
		{"certctl-responder", "floor fasthttp", 0.85}, {"ours net/http, nonce", "ours net/http", 0.45}, {"ours fasthttp", "floor fasthttp", 0.85}, {"certctl-responder", "openssl ocsp", 0},
	} {
		a, b := byName[r.a], byName[r.b]
		if a == nil || b == nil {
			continue
		}
		ratios := make([]float64, len(a.rates))
		for i := range ratios {
			ratios[i] = a.rates[i] / b.rates[i]
		}
		fmt.Printf("  %-22s / %-16s %6.2f  (≥ %.2f)\n", r.a, r.b, median(ratios), r.want)
	}
}
