package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/api"
)

const (
	canaryToken      = "canary-join-token"
	canaryCredential = "canary-credential"
)

// server answers over HTTPS what the program asks, and judges the bearer.
type server struct {
	*httptest.Server
	caFile string

	mu         sync.Mutex
	credential string
	tokenUsed  bool
	retired    bool
	beats      chan api.Heartbeat
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{credential: canaryCredential, beats: make(chan api.Heartbeat, 64)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/agents/join", s.join)
	mux.HandleFunc("POST /api/v1/agents/ag-1/{what}", s.agent)
	s.Server = httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	s.caFile = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(s.caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	if _, ok := body.(api.Problem); ok {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func problem(w http.ResponseWriter, status int, code, detail string) {
	answer(w, status, api.Problem{Status: status, Code: code, Detail: detail})
}

func (s *server) join(w http.ResponseWriter, r *http.Request) {
	var in api.JoinRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Hostname == "" {
		problem(w, 422, api.CodeInvalid, "no host name")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+canaryToken || s.tokenUsed {
		problem(w, 401, api.CodeUnauthenticated, "the join token is unknown, expired or used")
		return
	}
	s.tokenUsed = true
	answer(w, 201, api.JoinResponse{AgentID: "ag-1", Name: in.Name, Credential: s.credential})
}

func (s *server) agent(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Header.Get("Authorization") != "Bearer "+s.credential:
		problem(w, 401, api.CodeUnauthenticated, "the credential does not work")
		return
	case s.retired:
		problem(w, 410, api.CodeGone, "the agent was retired")
		return
	}
	switch r.PathValue("what") {
	case "heartbeat":
		var h api.Heartbeat
		json.NewDecoder(r.Body).Decode(&h)
		s.beats <- h
		answer(w, 200, api.HeartbeatResponse{Status: "Online", ServerTime: time.Now(), IntervalSeconds: 1})
	case "work":
		answer(w, 200, api.WorkResponse{})
	case "credential":
		s.credential += "-rotated"
		answer(w, 200, api.CredentialResponse{Credential: s.credential, OldUntil: time.Now().Add(time.Hour)})
	default:
		problem(w, 404, api.CodeNotFound, "no such route")
	}
}

func (s *server) beat(t *testing.T) api.Heartbeat {
	t.Helper()
	select {
	case h := <-s.beats:
		return h
	case <-time.After(20 * time.Second):
		t.Fatal("no heartbeat came")
		panic("unreachable")
	}
}

// start runs the program until stop, which returns its exit code and what it
// wrote.
func start(t *testing.T, args ...string) (stop func() (int, string), ended <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs strings.Builder
	code, end := make(chan int, 1), make(chan struct{})
	go func() {
		defer close(end)
		code <- run(ctx, append([]string{"certctl-agent"}, args...), &out, &errs)
	}()
	stop = sync.OnceValues(func() (int, string) {
		cancel()
		return <-code, out.String() + errs.String()
	})
	t.Cleanup(func() { stop() })
	return stop, end
}

func TestJoinRunRotateAndRetire(t *testing.T) {
	clean(t)
	s := newServer(t)
	dir := filepath.Join(t.TempDir(), "agent")
	common := []string{"--data-dir", dir, "--ca-bundle", s.caFile}
	var all strings.Builder
	do := func(want int, args ...string) string {
		t.Helper()
		code, stdout, stderr := call(t, append(args, common...)...)
		all.WriteString(stdout + stderr)
		if code != want {
			t.Fatalf("%v: exit code %d, want %d: %s", args, code, want, stderr)
		}
		return stdout + stderr
	}

	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(canaryToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text := do(exitOK, "join", "--server", s.URL, "--join-token-file", tokenFile, "--name", "web1"); !strings.Contains(text, "ag-1") || !strings.Contains(text, s.URL) {
		t.Errorf("join says %q", text)
	}
	if text := do(exitError, "join", "--server", s.URL, "--join-token-file", tokenFile); !strings.Contains(text, "joined already") {
		t.Errorf("a second join says %q", text)
	}
	// From here on the address is the one of the identity.
	if text := do(exitOK, "status"); !strings.Contains(text, "web1") || !strings.Contains(text, "yes, it is Online") {
		t.Errorf("status says %q", text)
	}
	s.beat(t)

	stop, _ := start(t, append([]string{"run", "--log-level", "debug", "--log-format", "json"}, common...)...)
	if h := s.beat(t); h.Hostname == "" || h.OS == "" || h.Architecture == "" || h.Version == "" || h.IPAddress == "" || h.Clock.IsZero() {
		t.Errorf("heartbeat = %+v, want every fact", h)
	}
	do(exitOK, "rotate-credential")
	s.beat(t) // one may have been on its way
	s.beat(t) // this one had the new credential, or would have been refused
	s.beat(t)
	code, text := stop()
	all.WriteString(text)
	if code != exitOK {
		t.Errorf("a stopped agent exits with %d: %s", code, text)
	}

	stop, ended := start(t, common...)
	s.beat(t)
	s.mu.Lock()
	s.retired = true
	s.mu.Unlock()
	if text := do(exitError, "status"); !strings.Contains(text, "retired") {
		t.Errorf("status of a retired agent says %q", text)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("a retired agent does not end")
	}
	code, text = stop()
	all.WriteString(text)
	if code != exitOK || !strings.Contains(text, "retired") {
		t.Errorf("a retired agent exits with %d: %s", code, text)
	}
	for _, secret := range []string{canaryToken, canaryCredential} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("the output holds %s", secret)
		}
	}
}

func TestRunJoinsWhenThereIsAToken(t *testing.T) {
	clean(t)
	s := newServer(t)
	t.Setenv("CERTCTL_SERVER_URL", s.URL)
	t.Setenv("CERTCTL_SERVER_CA_BUNDLE_PATH", s.caFile)
	t.Setenv("CERTCTL_JOIN_TOKEN", canaryToken)
	t.Setenv("CERTCTL_AGENT_DIR", filepath.Join(t.TempDir(), "agent"))
	stop, _ := start(t)
	s.beat(t)
	if code, text := stop(); code != exitOK || strings.Contains(text, canaryToken) || strings.Contains(text, canaryCredential) {
		t.Errorf("exit code %d, output %q", code, text)
	}
}

func TestActAsAnAgentWithoutJoining(t *testing.T) {
	clean(t)
	s := newServer(t)
	dir := filepath.Join(t.TempDir(), "agent")
	stop, _ := start(t, "--data-dir", dir, "--server", s.URL, "--ca-file", s.caFile, "--agent-id", "ag-1", "--api-key", canaryCredential)
	s.beat(t)
	if code, text := stop(); code != exitOK || strings.Contains(text, canaryCredential) {
		t.Errorf("exit code %d, output %q", code, text)
	}
	if _, err := os.Stat(filepath.Join(dir, "identity.json")); err == nil {
		t.Error("an identity was kept")
	}
}

func TestTheServerIsJudged(t *testing.T) {
	clean(t)
	s := newServer(t)
	dir := filepath.Join(t.TempDir(), "agent")
	args := []string{"join", "--data-dir", dir, "--server", s.URL, "--join-token", canaryToken}
	if code, _, stderr := call(t, args...); code != exitError || !strings.Contains(stderr, "certificate") {
		t.Errorf("exit code %d, stderr %q; want a server of an unknown CA refused", code, stderr)
	}
	if s.tokenUsed {
		t.Fatal("the token went to a server that nobody vouches for")
	}
	if code, _, stderr := call(t, append(args, "--insecure-skip-verify")...); code != exitOK {
		t.Errorf("on loopback, with --insecure-skip-verify: exit code %d, stderr %q", code, stderr)
	}
}
