package engine

import (
	"context"
	"time"

	"github.com/certctl/certctl/certctl"
)

// Deploy sends the current version to one target, or to all that the
// certificate is bound to, whether or not they seem to have it.
func (e *Engine) Deploy(ctx context.Context, id, targetID string) ([]*certctl.Job, error) {
	var jobs []*certctl.Job
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		jobs = nil
		c, err := tx.Certificates().Get(ctx, id)
		if err != nil {
			return err
		}
		if c.Generation == 0 {
			return certctl.Errorf(certctl.ErrIllegalTransition, "certificate %s has not been issued yet (it is %s)", id, c.Status)
		}
		if c.Status == certctl.CertificateRevoked || c.Status == certctl.CertificateArchived || c.Status == certctl.CertificateExpired {
			return certctl.Errorf(certctl.ErrIllegalTransition, "certificate %s is %s and cannot be deployed", id, c.Status)
		}
		f := certctl.BindingFilter{CertificateIDs: []string{id}}
		if targetID != "" {
			f.TargetIDs = []string{targetID}
		}
		bindings, err := all(ctx, tx.Bindings(), f)
		if err != nil {
			return err
		}
		if len(bindings) == 0 {
			return certctl.Errorf(certctl.ErrNotFound, "certificate %s is not bound to such a target; bind it first", id)
		}
		for _, b := range bindings {
			j, err := e.enqueueDeployment(ctx, tx, c, b)
			if err != nil {
				return err
			}
			jobs = append(jobs, j)
		}
		return nil
	})
	return jobs, err
}

// enqueueDeployment writes the job that brings the current version to a
// target. One that waits for an older version is cancelled; one that is being
// worked on is left, and its report brings the next.
func (e *Engine) enqueueDeployment(ctx context.Context, tx certctl.Tx, c *certctl.Certificate, b *certctl.Binding) (*certctl.Job, error) {
	t, err := tx.Targets().Get(ctx, b.TargetID)
	if err != nil {
		return nil, err
	}
	live, err := e.liveDeployment(ctx, tx.Reader(), b)
	if err != nil {
		return nil, err
	}
	if b.DeployedGeneration < c.Generation && b.DeployedGeneration > 0 {
		b.State, b.StateReason = certctl.BindingOutOfSync, "a newer version was issued"
	}
	b.RetryAt = time.Time{}
	if live != nil && (leased(live, tx.Now()) || live.Generation == c.Generation) {
		return live, tx.Bindings().Update(ctx, b)
	}
	if live != nil {
		if err := endJob(ctx, tx, live, certctl.JobCancelled, "a newer version was issued"); err != nil {
			return nil, err
		}
	}
	if err := tx.Bindings().Update(ctx, b); err != nil {
		return nil, err
	}
	now := tx.Now()
	j := &certctl.Job{
		ID: certctl.NewID(certctl.PrefixJob, now), Type: certctl.JobDeployment, Status: certctl.JobPending,
		CertificateID: c.ID, Generation: c.Generation, TargetID: t.ID, BindingID: b.ID, AgentID: t.AgentID,
		Executor: t.AgentID, RunAt: now, Deadline: now.Add(e.timing.Deployment), MaxAttempts: 3,
		Verification: certctl.VerificationPending, RequestedBy: certctl.ActorFrom(ctx).ID,
		Waiting: "for agent " + t.AgentID,
	}
	if err := tx.Jobs().Insert(ctx, j); err != nil {
		return nil, err
	}
	tx.Nudge(certctl.TopicAgent(t.AgentID), certctl.TopicCatalog)
	return j, audit(ctx, tx, "job_created", "job", j.ID, details{
		"type": j.Type, "certificate_id": c.ID, "target_id": t.ID, "generation": j.Generation,
	})
}

func (e *Engine) liveDeployment(ctx context.Context, r certctl.Reader, b *certctl.Binding) (*certctl.Job, error) {
	return first(ctx, r.Jobs(), certctl.JobFilter{
		CertificateIDs: []string{b.CertificateID}, TargetIDs: []string{b.TargetID},
		Types: []string{string(certctl.JobDeployment)}, Statuses: liveStatuses(),
	})
}

// deploymentFailed notes on the binding what happened, and when it is tried
// again. After a failed rollback a person has to look first.
func (e *Engine) deploymentFailed(ctx context.Context, tx certctl.Tx, j *certctl.Job, why string, state certctl.BindingState) error {
	b, err := tx.Bindings().Get(ctx, j.BindingID)
	if isNotFound(err) {
		return nil // unbound meanwhile
	}
	if err != nil {
		return err
	}
	b.State, b.StateReason, b.Verification = state, clip(why, 2000), j.Verification
	b.Failures++
	b.RetryAt = time.Time{}
	if state != certctl.BindingRollbackFailed {
		b.RetryAt = tx.Now().Add(backoff(e.timing.DeployRetry, b.Failures-1, 24*time.Hour))
		b.StateReason += "; the next attempt is at " + b.RetryAt.UTC().Format(time.RFC3339)
	}
	if len(j.Observed) > 0 {
		b.Observed, b.VerifiedAt = j.Observed, tx.Now()
	}
	if err := tx.Bindings().Update(ctx, b); err != nil {
		return err
	}
	return tx.Emit(ctx, certctl.DeploymentFinished{
		CertificateID: j.CertificateID, TargetID: j.TargetID, Generation: j.Generation, State: b.State, Error: why,
	})
}

// deployed notes a proved deployment, and begins the next when the certificate
// has moved on meanwhile.
func (e *Engine) deployed(ctx context.Context, tx certctl.Tx, j *certctl.Job) error {
	b, err := tx.Bindings().Get(ctx, j.BindingID)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := tx.Certificates().Get(ctx, j.CertificateID)
	if err != nil {
		return err
	}
	v, err := first(ctx, tx.Reader().Versions(), certctl.VersionFilter{CertificateIDs: []string{c.ID}, Generation: j.Generation})
	if err != nil {
		return err
	}
	now := tx.Now()
	b.State, b.StateReason, b.Failures, b.RetryAt = certctl.BindingInSync, "", 0, time.Time{}
	b.DeployedGeneration, b.DeployedAt, b.Verification = j.Generation, now, j.Verification
	b.Observed, b.VerifiedAt = j.Observed, j.VerifiedAt
	if v != nil {
		b.DeployedSerial = v.Serial
	}
	if err := tx.Bindings().Update(ctx, b); err != nil {
		return err
	}
	c.LastDeploymentAt = now
	if err := tx.Certificates().Update(ctx, c); err != nil {
		return err
	}
	if err := tx.Emit(ctx, certctl.DeploymentFinished{
		CertificateID: c.ID, TargetID: j.TargetID, Generation: j.Generation, State: b.State,
	}); err != nil {
		return err
	}
	deployable := c.Status != certctl.CertificateRevoked && c.Status != certctl.CertificateArchived
	if c.Generation > j.Generation && deployable {
		_, err = e.enqueueDeployment(ctx, tx, c, b)
	}
	return err
}
