package agent

import (
	"context"
	"sync"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/secret"
)

// Reloading returns a control plane that speaks with the credential in the
// agent's folder. When the server refuses that, it reads the folder again, so
// that a running agent goes over to a credential that RotateCredential put
// there. Connect makes a client for an identity. It fails with ErrNotJoined
// when the folder holds no identity.
func Reloading(dir string, connect func(*Identity) (ControlPlane, error)) (ControlPlane, error) {
	id, err := LoadIdentity(dir)
	if err != nil {
		return nil, err
	}
	server, err := connect(id)
	if err != nil {
		return nil, err
	}
	return &reloading{dir: dir, connect: connect, server: server, credential: id.Credential}, nil
}

type reloading struct {
	dir     string
	connect func(*Identity) (ControlPlane, error)

	mu         sync.Mutex
	server     ControlPlane
	credential secret.String
}

func (r *reloading) current() ControlPlane {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.server
}

// reload returns another control plane than the one that was refused, or nil
// when there is no other credential.
func (r *reloading) reload(used ControlPlane) ControlPlane {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server != used {
		return r.server // another call has reloaded meanwhile
	}
	id, err := LoadIdentity(r.dir)
	if err != nil || id.Credential.Reveal() == r.credential.Reveal() {
		return nil // the refusal says it all
	}
	server, err := r.connect(id)
	if err != nil {
		return nil
	}
	r.server, r.credential = server, id.Credential
	return server
}

// through makes a call, and once more when the credential has changed.
func through[T any](r *reloading, call func(ControlPlane) (T, error)) (T, error) {
	server := r.current()
	answer, err := call(server)
	if judge(err) != unauthenticated {
		return answer, err
	}
	if other := r.reload(server); other != nil {
		return call(other)
	}
	return answer, err
}

func (r *reloading) Join(ctx context.Context, token string, req api.JoinRequest) (*api.JoinResponse, error) {
	return r.current().Join(ctx, token, req)
}

func (r *reloading) Heartbeat(ctx context.Context, agentID string, h api.Heartbeat) (*api.HeartbeatResponse, error) {
	return through(r, func(s ControlPlane) (*api.HeartbeatResponse, error) { return s.Heartbeat(ctx, agentID, h) })
}

func (r *reloading) ClaimWork(ctx context.Context, agentID string, req api.WorkRequest) (*api.WorkResponse, error) {
	return through(r, func(s ControlPlane) (*api.WorkResponse, error) { return s.ClaimWork(ctx, agentID, req) })
}

func (r *reloading) SubmitCSR(ctx context.Context, agentID, jobID string, c api.CSRSubmission) error {
	_, err := through(r, func(s ControlPlane) (struct{}, error) { return struct{}{}, s.SubmitCSR(ctx, agentID, jobID, c) })
	return err
}

func (r *reloading) Report(ctx context.Context, agentID, jobID string, report api.Report) error {
	_, err := through(r, func(s ControlPlane) (struct{}, error) { return struct{}{}, s.Report(ctx, agentID, jobID, report) })
	return err
}

func (r *reloading) ExtendLease(ctx context.Context, agentID, jobID string, fence int64) (*api.LeaseResponse, error) {
	return through(r, func(s ControlPlane) (*api.LeaseResponse, error) { return s.ExtendLease(ctx, agentID, jobID, fence) })
}

func (r *reloading) RotateCredential(ctx context.Context, agentID string) (*api.CredentialResponse, error) {
	return through(r, func(s ControlPlane) (*api.CredentialResponse, error) { return s.RotateCredential(ctx, agentID) })
}
