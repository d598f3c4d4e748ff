package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/certctl/certctl/store"
)

// with is a client of the server that shows one credential.
func (d *dev) with(credential string) *client.Client {
	d.t.Helper()
	c, err := client.New("https://"+d.addrs[0], client.WithAPIKey(credential), client.WithCAFile(d.path("ca.pem")))
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

func (d *dev) token(name string) (id, token string) {
	d.t.Helper()
	var made struct{ ID, Token string }
	d.object(&made, "agents", "join-token", "create", "--agent-name", name)
	return made.ID, made.Token
}

// join makes an agent that nobody runs, so that its work stays where it is.
func (d *dev) join(name string) *api.JoinResponse {
	d.t.Helper()
	_, token := d.token(name)
	a, err := d.with("").Join(d.t.Context(), token, api.JoinRequest{Hostname: name})
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

// refused runs a command line with a key, and expects an exit code and words.
func (d *dev) refused(key string, code int, words string, args ...string) {
	d.t.Helper()
	full := append([]string{"--data-dir", d.dir, "--api-key-file", file(d.t, "key", key)}, args...)
	out, err := run(d.t, filepath.Join(bin, "certctl-cli"), full...)
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != code || !strings.Contains(out, words) {
		d.t.Errorf("certctl-cli %s: %v, want exit code %d and %q: %s", strings.Join(args, " "), err, code, words, out)
	}
}

// state is all that the API tells of certificates and their work.
func (d *dev) state() string {
	d.t.Helper()
	var b strings.Builder
	for _, noun := range []string{"certs", "jobs", "targets", "issuers", "profiles", "owners", "teams", "renewal-policies"} {
		b.WriteString(d.mustCLI(noun, "list", "--limit", "0", "-o", "json"))
	}
	return b.String()
}

func TestAgentsAreIsolated(t *testing.T) {
	d := newDev(t)
	a, b := d.join("alpha"), d.join("beta")
	d.mustCLI("targets", "create", "--id", "tgt-a", "--name", "a", "--type", "files", "--agent-id", a.AgentID, "--config", `{"cert_path":"/nowhere/a.pem","key_path":"/nowhere/a.key"}`)
	d.mustCLI("certs", "create", "--id", "mc-a", "--san", "a.example.com", "--target-id", "tgt-a")
	asA, asB := d.with(a.Credential), d.with(b.Credential)

	work, err := asA.ClaimWork(t.Context(), a.AgentID, api.WorkRequest{WaitSeconds: 10, Max: 16})
	if err != nil || len(work.Work) != 1 || work.Work[0].CertificateID != "mc-a" {
		t.Fatalf("alpha's work: %+v, %v", work, err)
	}
	mine := work.Work[0]
	before := d.state()
	csr := newCSR(t, "a.example.com")
	for _, id := range []string{a.AgentID, b.AgentID} { // on alpha's routes, and with alpha's job on its own
		for name, call := range map[string]func(context.Context) error{
			"csr": func(ctx context.Context) error {
				return asB.SubmitCSR(ctx, id, mine.JobID, api.CSRSubmission{Fence: mine.Fence, CSRPEM: csr})
			},
			"report": func(ctx context.Context) error {
				return asB.Report(ctx, id, mine.JobID, api.Report{Fence: mine.Fence, Outcome: api.OutcomeDeployed})
			},
			"lease": func(ctx context.Context) error {
				_, err := asB.ExtendLease(ctx, id, mine.JobID, mine.Fence)
				return err
			},
		} {
			if err := call(t.Context()); !errors.Is(err, client.ErrNotFound) {
				t.Errorf("beta sends %s for alpha's job as %s: %v", name, id, err)
			}
		}
	}
	for name, call := range map[string]func(context.Context) error{
		"work": func(ctx context.Context) error {
			_, err := asB.ClaimWork(ctx, a.AgentID, api.WorkRequest{Max: 1})
			return err
		},
		"heartbeat": func(ctx context.Context) error {
			_, err := asB.Heartbeat(ctx, a.AgentID, api.Heartbeat{Hostname: "beta", Clock: time.Now()})
			return err
		},
		"credential": func(ctx context.Context) error { _, err := asB.RotateCredential(ctx, a.AgentID); return err },
	} {
		if err := call(t.Context()); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("beta asks for alpha's %s: %v", name, err)
		}
	}
	if work, err := asB.ClaimWork(t.Context(), b.AgentID, api.WorkRequest{Max: 16}); err != nil || len(work.Work) != 0 {
		t.Errorf("beta's own work: %+v, %v", work, err)
	}
	// What people read is not for agents.
	for _, args := range [][]string{{"certs", "list"}, {"certs", "get", "mc-a"}, {"jobs", "get", mine.JobID}, {"targets", "get", "tgt-a"}, {"agents", "list"}, {"audit", "list"}} {
		d.refused(b.Credential, 4, "this key's role is agent", args...)
	}
	if after := d.state(); after != before {
		t.Errorf("beta changed something: %s, then %s", before, after)
	}
	if err := asA.SubmitCSR(t.Context(), a.AgentID, mine.JobID, api.CSRSubmission{Fence: mine.Fence, CSRPEM: csr}); err != nil {
		t.Errorf("alpha's own answer: %v", err)
	}
	d.mustCLI("agents", "retire", b.AgentID)
	if _, err := asB.ClaimWork(t.Context(), b.AgentID, api.WorkRequest{}); err == nil {
		t.Error("the credential of a retired agent still works")
	}
}

func TestJoinTokens(t *testing.T) {
	d := newDev(t)
	usedID, used := d.token("used")
	if _, err := d.with("").Join(t.Context(), used, api.JoinRequest{Hostname: "used"}); err != nil {
		t.Fatal(err)
	}
	revokedID, revoked := d.token("revoked")
	d.mustCLI("agents", "join-token", "revoke", revokedID)
	expiredID, expired := d.token("expired")
	if code := d.interrupt(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	d.age(expiredID)
	d.start()

	for name, token := range map[string]string{usedID: used, revokedID: revoked, expiredID: expired, "unknown": "ccj_" + strings.Repeat("A", 43)} {
		if _, err := d.with("").Join(t.Context(), token, api.JoinRequest{Hostname: "late"}); !errors.Is(err, client.ErrUnauthenticated) {
			t.Errorf("token %s: %v", name, err)
		}
	}
	// The program says so, and writes no identity.
	dir := filepath.Join(t.TempDir(), "agent")
	p := launch(t, nil, "certctl-agent", "--server", "https://"+d.addrs[0], "--ca-file", d.path("ca.pem"), "--data-dir", dir, "--join-token-file", file(t, "token", used), "join")
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on")
	}
	if p.err == nil || !strings.Contains(p.text(), "token") || strings.Contains(p.text(), used) {
		t.Errorf("%v: %s", p.err, p.text())
	}
	if _, err := os.Stat(filepath.Join(dir, "identity.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an identity was written: %v", err)
	}
}

// age lets a join token expire; the server is stopped.
func (d *dev) age(id string) {
	d.t.Helper()
	st, err := store.Open(d.t.Context(), store.Options{DSN: "sqlite:" + d.path("certctl.db"), Now: time.Now})
	if err != nil {
		d.t.Fatal(err)
	}
	defer st.Close()
	err = st.Update(d.t.Context(), func(ctx context.Context, tx certctl.Tx) error {
		row, err := tx.JoinTokens().Get(ctx, id)
		if err != nil {
			return err
		}
		row.ExpiresAt = tx.Now().Add(-time.Second)
		return tx.JoinTokens().Update(ctx, row)
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func TestAViewerOnlyLooks(t *testing.T) {
	d := newDev(t)
	var viewer struct{ ID, Key string }
	d.object(&viewer, "api-keys", "create", "--name", "looker", "--role", "viewer")
	before := d.state()
	for _, args := range [][]string{
		{"certs", "create", "--san", "x.example.com"}, {"certs", "renew", "mc-demo"}, {"certs", "deploy", "mc-demo"},
		{"certs", "revoke", "mc-demo"}, {"certs", "archive", "mc-demo"}, {"certs", "update", "mc-demo", "--name", "x"},
		{"certs", "unbind", "mc-demo", "--target-id", "tgt-demo"},
		{"targets", "create", "--name", "x", "--type", "files", "--agent-id", d.ready["agent_id"], "--config", "{}"}, {"targets", "delete", "tgt-demo"},
		{"issuers", "create", "--name", "x", "--type", "local"}, {"issuers", "delete", "iss-local"},
		{"agents", "retire", d.ready["agent_id"]}, {"agents", "join-token", "create"},
		{"api-keys", "create", "--name", "me", "--role", "admin"}, {"api-keys", "rotate", viewer.ID},
		{"owners", "create", "--name", "x"}, {"teams", "create", "--name", "x"}, {"profiles", "create", "--name", "x"},
	} {
		d.refused(viewer.Key, 4, "role", args...)
	}
	d.refused("cck_"+strings.Repeat("A", 43), 4, "", "certs", "list")
	if after := d.state(); after != before {
		t.Errorf("a viewer changed something: %s, then %s", before, after)
	}
	out, err := run(t, filepath.Join(bin, "certctl-cli"), "--data-dir", d.dir, "--api-key-file", file(t, "key", viewer.Key), "certs", "get", "mc-demo", "-o", "json")
	var c certificate
	if err != nil || json.Unmarshal([]byte(out), &c) != nil || c.ID != "mc-demo" {
		t.Error(fmt.Errorf("a viewer does not see: %w: %s", err, out))
	}
}
