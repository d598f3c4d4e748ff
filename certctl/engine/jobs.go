package engine

import (
	"context"
	"errors"
	"time"

	"github.com/certctl/certctl/certctl"
)

func liveStatuses() []string {
	out := make([]string, len(certctl.LiveJobStatuses))
	for i, s := range certctl.LiveJobStatuses {
		out[i] = string(s)
	}
	return out
}

func asInvalid(err error) (*certctl.InvalidError, bool) {
	return errors.AsType[*certctl.InvalidError](err)
}

// liveIssuance is the live Issuance or Renewal job of a certificate, or nil.
// The database holds that there is at most one (I2).
func (e *Engine) liveIssuance(ctx context.Context, r certctl.Reader, certificateID string) (*certctl.Job, error) {
	return first(ctx, r.Jobs(), certctl.JobFilter{
		CertificateIDs: []string{certificateID}, Statuses: liveStatuses(),
		Types: []string{string(certctl.JobIssuance), string(certctl.JobRenewal)},
	})
}

// enqueueIssuance writes the job that makes the next generation.
func (e *Engine) enqueueIssuance(ctx context.Context, tx certctl.Tx, c *certctl.Certificate, refs *references, t certctl.JobType, csrPEM string) (*certctl.Job, error) {
	now := tx.Now()
	j := &certctl.Job{
		ID: certctl.NewID(certctl.PrefixJob, now), Type: t, CertificateID: c.ID, Generation: c.Generation + 1,
		MaxAttempts: max(1, refs.policy.MaxRetries+1), RunAt: now, RequestedBy: certctl.ActorFrom(ctx).ID,
		Verification: certctl.VerificationSkipped,
	}
	if csrPEM != "" {
		j.Status, j.Executor, j.CSRPEM, j.Deadline = certctl.JobPending, certctl.ExecutorServer, csrPEM, now.Add(e.timing.Issuance)
	} else {
		j.Status, j.Deadline = certctl.JobAwaitingCSR, now.Add(e.timing.AwaitingCSR)
		if err := e.callForCSR(ctx, tx, j); err != nil {
			return nil, err
		}
	}
	if err := tx.Jobs().Insert(ctx, j); err != nil {
		return nil, err
	}
	tx.Nudge(certctl.TopicJobs, certctl.TopicCatalog)
	return j, audit(ctx, tx, "job_created", "job", j.ID, details{"type": t, "certificate_id": c.ID, "generation": j.Generation})
}

// callForCSR says who makes the key, and wakes that agent.
func (e *Engine) callForCSR(ctx context.Context, tx certctl.Tx, j *certctl.Job) error {
	agent, err := e.keyAgent(ctx, tx.Reader(), j.CertificateID)
	if err != nil {
		return err
	}
	j.AgentID, j.Executor = agent, agent
	if agent == "" {
		j.Waiting = "for a CSR: bind the certificate to a target, or renew it with a CSR of your own"
		return nil
	}
	j.Waiting = "for agent " + agent + " to make a key and send a CSR"
	tx.Nudge(certctl.TopicAgent(agent))
	return nil
}

// assignCSR gives a job that waited for anybody to the agent of a new binding.
func (e *Engine) assignCSR(ctx context.Context, tx certctl.Tx, j *certctl.Job) error {
	if err := e.callForCSR(ctx, tx, j); err != nil {
		return err
	}
	return tx.Jobs().Update(ctx, j)
}

// CancelJob ends a job that nobody works on at this moment.
func (e *Engine) CancelJob(ctx context.Context, id string) (*certctl.Job, error) {
	var j *certctl.Job
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) (err error) {
		if j, err = tx.Jobs().Get(ctx, id); err != nil {
			return err
		}
		if !j.Status.Live() {
			return &certctl.TransitionError{Entity: "job", ID: id, From: string(j.Status), To: string(certctl.JobCancelled)}
		}
		if leased(j, tx.Now()) {
			return certctl.Errorf(certctl.ErrConflict,
				"job %s is being worked on by %s until %s at the latest; try again then", id, j.Worker, j.LeaseUntil.Format(time.RFC3339))
		}
		return e.abandon(ctx, tx, j, certctl.JobCancelled, "cancelled by "+certctl.ActorFrom(ctx).ID)
	})
	return j, err
}

func leased(j *certctl.Job, now time.Time) bool { return j.Worker != "" && now.Before(j.LeaseUntil) }

// abandon ends a live job without success, with everything that hangs on it:
// its order is closed, and its certificate or binding says what happens next.
func (e *Engine) abandon(ctx context.Context, tx certctl.Tx, j *certctl.Job, to certctl.JobStatus, why string) error {
	if j.OrderID != "" {
		o, err := tx.Orders().Get(ctx, j.OrderID)
		if err != nil {
			return err
		}
		if err := o.Become(certctl.OrderAbandoned); err != nil {
			return err
		}
		o.LastError = why
		if err := tx.Orders().Update(ctx, o); err != nil {
			return err
		}
	}
	if err := endJob(ctx, tx, j, to, why); err != nil {
		return err
	}
	if j.Type == certctl.JobDeployment {
		return e.deploymentFailed(ctx, tx, j, why, certctl.BindingFailed)
	}
	c, err := tx.Certificates().Get(ctx, j.CertificateID)
	if err != nil {
		return err
	}
	return e.issuanceFailed(ctx, tx, c, why, to == certctl.JobCancelled)
}

// dropJobs cancels the jobs of a certificate that nobody works on. One that is
// being worked on finds out when it wants to store its result.
func (e *Engine) dropJobs(ctx context.Context, tx certctl.Tx, c *certctl.Certificate, why string) error {
	jobs, err := all(ctx, tx.Reader().Jobs(), certctl.JobFilter{CertificateIDs: []string{c.ID}, Statuses: liveStatuses()})
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if leased(j, tx.Now()) || j.OrderID != "" {
			continue // a CA may have signed: the step that stores its answer decides
		}
		if err := endJob(ctx, tx, j, certctl.JobCancelled, why); err != nil {
			return err
		}
	}
	return nil
}

// WaitJob returns the job when it is not live any more, or with ctx's error
// when that ends first.
func (e *Engine) WaitJob(ctx context.Context, id string) (*certctl.Job, error) {
	wake, err := e.store.Watch(ctx, certctl.TopicCatalog)
	if err != nil {
		return nil, err
	}
	for {
		var j *certctl.Job
		err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
			j, err = r.Jobs().Get(ctx, id)
			return err
		})
		if err != nil || !j.Status.Live() {
			return j, err
		}
		if err := sleep(ctx, wake, 2*time.Second); err != nil {
			return j, err
		}
	}
}

// sleep waits for a nudge, but not longer than d.
func sleep(ctx context.Context, wake <-chan struct{}, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-t.C:
	}
	return ctx.Err()
}
