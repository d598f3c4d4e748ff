package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/secret"
)

const (
	identityFile = "identity.json"
	identityLock = "identity.lock"
)

// Identity is who an agent is at its control plane.
type Identity struct {
	AgentID    string
	Name       string
	Credential secret.String // prints as a mask
	ServerURL  string        // where it joined; "" when not told
}

// identityOnDisk is the one place where the credential is in clear.
type identityOnDisk struct {
	AgentID    string `json:"agent_id"`
	Name       string `json:"name"`
	Credential string `json:"credential"`
	ServerURL  string `json:"server_url,omitempty"`
}

// LoadIdentity reads the identity of the agent in that folder. Without one it
// fails with ErrNotJoined.
func LoadIdentity(dir string) (*Identity, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer f.close()
	return f.identity()
}

func (f *folder) identity() (*Identity, error) {
	b, err := f.read(identityFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no %s; join with a token of the control plane first", ErrNotJoined, filepath.Join(f.path, identityFile))
	}
	if err != nil {
		return nil, err
	}
	var d identityOnDisk
	if err := json.Unmarshal(b, &d); err != nil {
		// The decoder's error may quote the file, hence the credential.
		return nil, fmt.Errorf("%s is not valid JSON; restore it, or remove it and join again", filepath.Join(f.path, identityFile))
	}
	if checkID("agent", d.AgentID) != nil || d.Credential == "" {
		return nil, fmt.Errorf("%s lacks an agent ID or a credential; restore it, or remove it and join again", filepath.Join(f.path, identityFile))
	}
	return &Identity{AgentID: d.AgentID, Name: d.Name, Credential: secret.New(d.Credential), ServerURL: d.ServerURL}, nil
}

func (f *folder) saveIdentity(id *Identity) error {
	b, err := json.MarshalIndent(identityOnDisk{
		AgentID: id.AgentID, Name: id.Name, Credential: id.Credential.Reveal(), ServerURL: id.ServerURL,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode identity: %w", err)
	}
	return f.write(identityFile, append(b, '\n'))
}

// Join makes this machine an agent of the control plane, with a token that
// works once, and keeps the identity in the folder. A folder with an identity
// is refused with ErrJoined before the token is spent.
//
// When the server also tells its own address, as *client.Client does by
// Server, that is remembered.
func Join(ctx context.Context, server ControlPlane, token, dir string, r api.JoinRequest) (*Identity, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer f.close()
	unlock, err := f.lock(identityLock)
	if err != nil {
		return nil, err
	}
	defer unlock()

	switch old, err := f.identity(); {
	case err == nil:
		return nil, fmt.Errorf("%w: folder %s belongs to agent %s (%s); to make another agent use another folder, to replace this one retire it and remove its %s", ErrJoined, f.path, old.Name, old.AgentID, identityFile)
	case !errors.Is(err, ErrNotJoined):
		return nil, err
	}
	// The token is spent by the next call: a full disk must show before.
	if err := f.write(identityFile+".probe", make([]byte, 4096)); err != nil {
		return nil, err
	}
	if err := f.remove(identityFile + ".probe"); err != nil {
		return nil, err
	}

	answer, err := server.Join(ctx, token, r)
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	if err := checkID("agent", answer.AgentID); err != nil {
		return nil, fmt.Errorf("join: the control plane's answer is of no use: %w", err)
	}
	if answer.Credential == "" {
		return nil, errors.New("join: the control plane's answer has no credential")
	}
	id := &Identity{AgentID: answer.AgentID, Name: answer.Name, Credential: secret.New(answer.Credential), ServerURL: addressOf(server)}
	if err := f.saveIdentity(id); err != nil {
		return nil, fmt.Errorf("joined as %s, but the identity could not be kept; retire that agent and join again with a new token: %w", id.AgentID, err)
	}
	return id, nil
}

// RotateCredential gets a new credential for the agent in that folder and
// keeps it. The old one goes on working for a while (the answer's OldUntil),
// so a running agent has time to read the new one; see [Reloading].
func RotateCredential(ctx context.Context, server ControlPlane, dir string) (*Identity, *api.CredentialResponse, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, nil, err
	}
	defer f.close()
	unlock, err := f.lock(identityLock)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	id, err := f.identity()
	if err != nil {
		return nil, nil, err
	}
	answer, err := server.RotateCredential(ctx, id.AgentID)
	if err != nil {
		return nil, nil, fmt.Errorf("rotate credential: %w", err)
	}
	if answer.Credential == "" {
		return nil, nil, errors.New("rotate credential: the control plane's answer has none")
	}
	id.Credential = secret.New(answer.Credential)
	if err := f.saveIdentity(id); err != nil {
		return nil, nil, fmt.Errorf("the new credential could not be kept; the old one works until %s, rotate again before: %w", answer.OldUntil.UTC().Format("2006-01-02 15:04 MST"), err)
	}
	return id, answer, nil
}

func addressOf(server ControlPlane) string {
	if s, ok := server.(interface{ Server() string }); ok {
		return s.Server()
	}
	return ""
}
