package rest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/server/rest/internal/input"
)

// longestPoll is how long an agent may wait for work.
const longestPoll = 60 * time.Second

func (s *service) agentWork() {
	const path, tag = v1 + "/agents", "agent protocol"
	add(s, operation{id: "join", method: http.MethodPost, path: path + "/join", tag: tag, summary: "Join with a join token as bearer token", access: joining, status: http.StatusCreated, secret: true}, s.join)
	add(s, operation{id: "heartbeat", method: http.MethodPost, path: path + "/{id}/heartbeat", tag: tag, summary: "Tell that the agent lives", access: itself}, s.beat)
	add(s, operation{id: "claimWork", method: http.MethodPost, path: path + "/{id}/work", tag: tag, summary: "Lease work, waiting for some", access: itself, timeout: longestPoll + 10*time.Second}, s.claimWork)
	add(s, operation{id: "submitCSR", method: http.MethodPost, path: path + "/{id}/jobs/{job_id}/csr", tag: tag, summary: "Answer work of kind csr", access: itself}, s.submitCSR)
	add(s, operation{id: "report", method: http.MethodPost, path: path + "/{id}/jobs/{job_id}/report", tag: tag, summary: "Answer work with its outcome", access: itself}, s.report)
	add(s, operation{id: "extendLease", method: http.MethodPost, path: path + "/{id}/jobs/{job_id}/lease", tag: tag, summary: "Keep a leased job", access: itself}, s.extendLease)
	add(s, operation{id: "rotateCredential", method: http.MethodPost, path: path + "/{id}/credential", tag: tag, summary: "Get a new credential; the old one works a little longer", access: itself, secret: true}, s.rotateCredential)
}

type workOf[B any] struct {
	input.ByID
	JobID string `path:"job_id" maxLength:"128" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]*$"`
	Body  B
}

func (s *service) join(ctx context.Context, in *struct {
	Authorization string `header:"Authorization" hidden:"true"`
	Body          api.JoinRequest
}) (*plain[api.JoinResponse], error) {
	e := exchangeOf(ctx)
	scheme, token, _ := strings.Cut(in.Authorization, " ")
	if f := s.limits.suspicious(e.address, sha256.Sum256([]byte(token))); f != nil {
		return nil, f
	}
	if !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(token) == "" {
		s.limits.failed(e.address)
		return nil, problem(http.StatusUnauthorized, api.CodeUnauthenticated,
			"a join token is needed; send it as 'Authorization: Bearer TOKEN'").with("WWW-Authenticate", challenge)
	}
	b := in.Body
	ctx = certctl.WithActor(ctx, certctl.Actor{ID: "join", Name: clip(b.Hostname, 255), Type: certctl.ActorAgent, Role: certctl.RoleAgent, RequestID: e.id})
	agent, credential, err := s.engine.Join(ctx, strings.TrimSpace(token), engine.AgentFacts{
		Name: b.Name, Hostname: b.Hostname, OS: b.OS, Architecture: b.Architecture, Version: b.Version, IPAddress: e.address.String(),
	})
	if errors.Is(err, certctl.ErrUnauthenticated) {
		s.limits.failed(e.address)
	}
	if err != nil {
		return nil, err
	}
	return &plain[api.JoinResponse]{Body: api.JoinResponse{AgentID: agent.ID, Name: agent.Name, Credential: credential}}, nil
}

func (s *service) beat(ctx context.Context, in *struct {
	input.ByID
	Body api.Heartbeat
}) (*plain[api.HeartbeatResponse], error) {
	b := in.Body
	agent, err := s.engine.Heartbeat(ctx, in.ID, engine.AgentFacts{
		Hostname: b.Hostname, OS: b.OS, Architecture: b.Architecture, Version: b.Version,
		IPAddress: cmp.Or(b.IPAddress, exchangeOf(ctx).address.String()), Clock: b.Clock, Problem: b.Problem,
	})
	if err != nil {
		return nil, err
	}
	return &plain[api.HeartbeatResponse]{Body: api.HeartbeatResponse{
		Status: string(agent.Status), ServerTime: s.now().UTC(), IntervalSeconds: int(s.heartbeat / time.Second),
	}}, nil
}

func (s *service) claimWork(ctx context.Context, in *struct {
	input.ByID
	Body api.WorkRequest
}) (*plain[api.WorkResponse], error) {
	out := &plain[api.WorkResponse]{Body: api.WorkResponse{Work: []api.Work{}}}
	if in.Body.Fresh {
		if err := s.engine.ReleaseWork(ctx, in.ID); err != nil {
			return nil, err
		}
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.done: // nil blocks for ever
			cancel()
		case <-waiting.Done():
		}
	}()
	work, err := s.engine.ClaimWork(waiting, in.ID, max(1, in.Body.Max), min(duration(int64(in.Body.WaitSeconds)), longestPoll))
	if err != nil && ctx.Err() == nil && errors.Is(err, context.Canceled) {
		return out, nil // the server is about to stop
	}
	if err != nil {
		return nil, err
	}
	for _, w := range work {
		out.Body.Work = append(out.Body.Work, wireWork(w))
	}
	return out, nil
}

func wireWork(w *engine.Work) api.Work {
	out := api.Work{
		JobID: w.Job.ID, Kind: api.WorkCSR, Fence: w.Job.Fence, LeaseUntil: w.Job.LeaseUntil.UTC(),
		CertificateID: w.Job.CertificateID, Generation: w.Job.Generation,
		CommonName: w.Certificate.CommonName, SANs: w.Certificate.SANs, KeyAlgorithm: w.Certificate.KeyAlgorithm,
	}
	if w.Target != nil {
		out.Kind, out.TargetID, out.TargetType, out.TargetConfig = api.WorkDeploy, w.Target.ID, w.Target.Type, w.Config
		out.CertPEM, out.ChainPEM, out.RootsPEM = w.Version.CertPEM, w.Version.ChainPEM, w.RootsPEM
	}
	return out
}

func (s *service) submitCSR(ctx context.Context, in *workOf[api.CSRSubmission]) (*nothing, error) {
	_, err := s.engine.SubmitCSR(ctx, in.ID, in.JobID, in.Body.Fence, in.Body.CSRPEM)
	return nil, err
}

func (s *service) report(ctx context.Context, in *workOf[api.Report]) (*nothing, error) {
	b := in.Body
	_, err := s.engine.Report(ctx, in.ID, in.JobID, engine.AgentReport{
		Fence: b.Fence, Outcome: b.Outcome, Final: b.Final, Error: b.Error, Output: b.Output, Observed: observed(b.Observed),
	})
	return nil, err
}

func (s *service) extendLease(ctx context.Context, in *workOf[api.LeaseExtension]) (*plain[api.LeaseResponse], error) {
	until, err := s.engine.ExtendLease(ctx, in.ID, in.JobID, in.Body.Fence)
	if err != nil {
		return nil, err
	}
	return &plain[api.LeaseResponse]{Body: api.LeaseResponse{LeaseUntil: until.UTC()}}, nil
}

func (s *service) rotateCredential(ctx context.Context, in *input.ByID) (*plain[api.CredentialResponse], error) {
	credential, until, err := s.engine.RotateAgentCredential(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &plain[api.CredentialResponse]{Body: api.CredentialResponse{Credential: credential, OldUntil: until.UTC()}}, nil
}
