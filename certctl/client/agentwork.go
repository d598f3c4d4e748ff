package client

import (
	"context"
	"net/http"
	"time"

	"github.com/certctl/certctl/certctl/api"
)

// The agent's own calls. They are made once each: an agent has its own way of
// trying again.

// Join makes an agent out of a join token. The credential in the answer is
// shown this once. ErrUnauthenticated for a token that is unknown, expired,
// revoked or used.
func (c *Client) Join(ctx context.Context, token string, r api.JoinRequest) (*api.JoinResponse, error) {
	return invoke[api.JoinResponse](ctx, c, call{method: http.MethodPost, path: "/agents/join", body: r, bearer: token, once: true}, nil)
}

// Heartbeat tells that an agent lives. ErrGone when it was retired.
func (c *Client) Heartbeat(ctx context.Context, agentID string, h api.Heartbeat) (*api.HeartbeatResponse, error) {
	return invoke[api.HeartbeatResponse](ctx, c, call{method: http.MethodPost, path: "/agents/%s/heartbeat", body: h, once: true}, nil, agentID)
}

// ClaimWork leases work to an agent, waiting for some at most r.WaitSeconds. A
// context without a deadline gets one 15 seconds later than that.
func (c *Client) ClaimWork(ctx context.Context, agentID string, r api.WorkRequest) (*api.WorkResponse, error) {
	limit := time.Duration(r.WaitSeconds)*time.Second + 15*time.Second
	return invoke[api.WorkResponse](ctx, c, call{method: http.MethodPost, path: "/agents/%s/work", body: r, once: true, timeout: limit}, nil, agentID)
}

// SubmitCSR answers work of kind csr. ErrInvalid tells what is wrong with the
// CSR, ErrFenced that the job is somebody else's by now.
func (c *Client) SubmitCSR(ctx context.Context, agentID, jobID string, s api.CSRSubmission) error {
	return c.exec(ctx, call{method: http.MethodPost, path: "/agents/%s/jobs/%s/csr", body: s, once: true}, nil, agentID, jobID)
}

// Report answers work. ErrFenced when the job is somebody else's by now.
func (c *Client) Report(ctx context.Context, agentID, jobID string, r api.Report) error {
	return c.exec(ctx, call{method: http.MethodPost, path: "/agents/%s/jobs/%s/report", body: r, once: true}, nil, agentID, jobID)
}

// ExtendLease keeps a claimed job. ErrFenced when it is somebody else's by now.
func (c *Client) ExtendLease(ctx context.Context, agentID, jobID string, fence int64) (*api.LeaseResponse, error) {
	return invoke[api.LeaseResponse](ctx, c, call{
		method: http.MethodPost, path: "/agents/%s/jobs/%s/lease", body: api.LeaseExtension{Fence: fence}, once: true,
	}, nil, agentID, jobID)
}

// RotateCredential gives an agent a new credential, which is shown this once;
// the old one works a little longer.
func (c *Client) RotateCredential(ctx context.Context, agentID string) (*api.CredentialResponse, error) {
	return invoke[api.CredentialResponse](ctx, c, call{method: http.MethodPost, path: "/agents/%s/credential", once: true}, nil, agentID)
}
