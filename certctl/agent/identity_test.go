package agent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/certctl/certctl/certctl/agent"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
)

func TestJoinKeepsTheIdentity(t *testing.T) {
	f := newFixture(t)
	id, err := agent.LoadIdentity(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	if id.AgentID != agentID || id.Name != "web1" || id.Credential.Reveal() != credential {
		t.Errorf("identity = %+v", id)
	}
	if text := fmt.Sprintf("%v %+v %#v", id, id, id); strings.Contains(text, credential) {
		t.Error("printing an identity shows the credential")
	}
	for path, want := range map[string]os.FileMode{f.dir: 0o700, filepath.Join(f.dir, "identity.json"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, want %04o", path, info.Mode().Perm(), want)
		}
	}
}

func TestASecondJoinSpendsNoToken(t *testing.T) {
	f := newFixture(t)
	other := newPlane(t)
	_, err := agent.Join(t.Context(), other, joinToken, f.dir, agent.Facts{Hostname: "web1"}.JoinRequest(t.Context(), ""))
	if !errors.Is(err, agent.ErrJoined) || !strings.Contains(err.Error(), f.dir) {
		t.Errorf("Join = %v, want ErrJoined with the folder", err)
	}
	if other.joined {
		t.Error("the token was spent")
	}
}

func TestOfManyJoinsOneSucceeds(t *testing.T) {
	p := newPlane(t)
	dir := filepath.Join(t.TempDir(), "agent")
	var wg sync.WaitGroup
	results := make(chan error, 20)
	for range cap(results) {
		wg.Go(func() {
			_, err := agent.Join(t.Context(), p, joinToken, dir, agent.Facts{Hostname: "web1"}.JoinRequest(t.Context(), ""))
			results <- err
		})
	}
	wg.Wait()
	close(results)
	won := 0
	for err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, agent.ErrInUse) && !errors.Is(err, agent.ErrJoined):
			t.Errorf("Join = %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d joins succeeded, want 1", won)
	}
	if _, err := agent.LoadIdentity(dir); err != nil {
		t.Error(err)
	}
}

func TestAWrongTokenLeavesNoIdentity(t *testing.T) {
	dir := t.TempDir()
	_, err := agent.Join(t.Context(), newPlane(t), "canary-wrong-token", dir, agent.Facts{Hostname: "web1"}.JoinRequest(t.Context(), ""))
	if !errors.Is(err, client.ErrUnauthenticated) || strings.Contains(err.Error(), "canary") {
		t.Errorf("Join = %v", err)
	}
	if _, err := agent.LoadIdentity(dir); !errors.Is(err, agent.ErrNotJoined) {
		t.Errorf("LoadIdentity = %v, want ErrNotJoined", err)
	}
}

func TestAFolderThatOthersWriteToIsRefused(t *testing.T) {
	p := newPlane(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := agent.Join(t.Context(), p, joinToken, dir, agent.Facts{Hostname: "web1"}.JoinRequest(t.Context(), ""))
	if err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("Join = %v", err)
	}
	if p.joined {
		t.Error("the token was spent")
	}
}

func TestADamagedIdentityShowsNoCredential(t *testing.T) {
	f := newFixture(t)
	if err := os.WriteFile(filepath.Join(f.dir, "identity.json"), []byte(`{"credential": `+credential), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := agent.LoadIdentity(f.dir)
	if err == nil || strings.Contains(err.Error(), credential) || errors.Is(err, agent.ErrNotJoined) {
		t.Errorf("LoadIdentity = %v", err)
	}
}

// checked is a plane as seen with one credential.
type checked struct {
	*plane
	credential string
}

func (c *checked) ok() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plane.credential != c.credential {
		return client.ErrUnauthenticated
	}
	return nil
}

func (c *checked) Heartbeat(ctx context.Context, id string, h api.Heartbeat) (*api.HeartbeatResponse, error) {
	if err := c.ok(); err != nil {
		return nil, err
	}
	return c.plane.Heartbeat(ctx, id, h)
}

func (c *checked) RotateCredential(ctx context.Context, id string) (*api.CredentialResponse, error) {
	if err := c.ok(); err != nil {
		return nil, err
	}
	return c.plane.RotateCredential(ctx, id)
}

func TestARunningAgentGoesOverToARotatedCredential(t *testing.T) {
	f := newFixture(t)
	connects := 0
	connect := func(id *agent.Identity) (agent.ControlPlane, error) {
		connects++
		return &checked{plane: f.plane, credential: id.Credential.Reveal()}, nil
	}
	server, err := agent.Reloading(f.dir, connect)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.RotateCredential(t.Context(), agentID); err != nil { // by somebody who does not keep it
		t.Fatal(err)
	}
	if _, err := server.Heartbeat(t.Context(), agentID, agent.Facts{IPAddress: "192.0.2.1"}.Heartbeat(t.Context(), f.plane.now())); !errors.Is(err, client.ErrUnauthenticated) {
		t.Errorf("Heartbeat = %v, want ErrUnauthenticated while the folder has the old credential", err)
	}
	f.plane.look(func() { f.plane.credential = credential })
	if _, _, err := agent.RotateCredential(t.Context(), server, f.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Heartbeat(t.Context(), agentID, agent.Facts{IPAddress: "192.0.2.1"}.Heartbeat(t.Context(), f.plane.now())); err != nil {
		t.Errorf("Heartbeat after a rotation = %v", err)
	}
	if connects != 2 {
		t.Errorf("%d connections, want 2", connects)
	}
	if id, err := agent.LoadIdentity(f.dir); err != nil || id.Credential.Reveal() != credential+"-rotated" || id.Name != "web1" {
		t.Errorf("identity = %+v, %v", id, err)
	}
}
