package agent

import (
	"context"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
)

// ControlPlane is what an agent needs of the server; *client.Client is one.
// Each call is bounded by its context. Errors match the sentinels of package
// client.
type ControlPlane interface {
	Join(ctx context.Context, token string, r api.JoinRequest) (*api.JoinResponse, error)
	Heartbeat(ctx context.Context, agentID string, h api.Heartbeat) (*api.HeartbeatResponse, error)
	ClaimWork(ctx context.Context, agentID string, r api.WorkRequest) (*api.WorkResponse, error)
	SubmitCSR(ctx context.Context, agentID, jobID string, s api.CSRSubmission) error
	Report(ctx context.Context, agentID, jobID string, r api.Report) error
	ExtendLease(ctx context.Context, agentID, jobID string, fence int64) (*api.LeaseResponse, error)
	RotateCredential(ctx context.Context, agentID string) (*api.CredentialResponse, error)
}

var _ ControlPlane = (*client.Client)(nil)
