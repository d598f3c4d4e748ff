package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/certctl/policy"
)

// ClaimWork leases up to n jobs to their agent, waiting for some at most wait.
// It returns none without an error when there were none.
func (e *Engine) ClaimWork(ctx context.Context, agentID string, n int, wait time.Duration) ([]*Work, error) {
	end := e.now().Add(wait)
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wake, err := e.store.Watch(wctx, certctl.TopicAgent(agentID))
	if err != nil {
		return nil, err
	}
	for {
		work, err := e.claimWork(ctx, agentID, max(1, n))
		if err != nil || len(work) > 0 {
			return work, err
		}
		left := end.Sub(e.now())
		if left <= 0 {
			return nil, nil
		}
		if err := sleep(ctx, wake, min(left, 3*time.Second)); err != nil {
			return nil, err
		}
	}
}

// ReleaseWork ends the leases of an agent's process before: a new one tells
// that it holds nothing.
func (e *Engine) ReleaseWork(ctx context.Context, agentID string) error {
	return e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		_, err := tx.Jobs().Release(ctx, agentID, "")
		return err
	})
}

func (e *Engine) claimWork(ctx context.Context, agentID string, n int) ([]*Work, error) {
	var work []*Work
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		work = nil
		jobs, err := tx.Jobs().Claim(ctx, agentID, agentID, n, e.timing.AgentLease)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			w, err := e.assemble(ctx, tx, j)
			if err != nil {
				return err
			}
			if w != nil {
				work = append(work, w)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, w := range work {
		if err := e.complete(ctx, w); err != nil {
			return nil, err // the lease ends by itself, and the work is handed out again
		}
	}
	return work, nil
}

// assemble reads what an agent needs for a claimed job, or ends a job that has
// lost its purpose.
func (e *Engine) assemble(ctx context.Context, tx certctl.Tx, j *certctl.Job) (*Work, error) {
	c, err := tx.Certificates().Get(ctx, j.CertificateID)
	if err != nil {
		return nil, err
	}
	w := &Work{Job: j, Certificate: c}
	if c.Status == certctl.CertificateRevoked || c.Status == certctl.CertificateArchived {
		return nil, e.abandon(ctx, tx, j, certctl.JobCancelled, "the certificate is "+string(c.Status))
	}
	if j.Attempts >= j.MaxAttempts { // its agents died with it, every time
		return nil, e.abandon(ctx, tx, j, certctl.JobFailed, "gave up: the agent did not finish it in any of its attempts")
	}
	if j.Type != certctl.JobDeployment {
		return w, nil
	}
	if w.Target, err = tx.Targets().Get(ctx, j.TargetID); err != nil {
		return nil, err
	}
	if !w.Target.Enabled || !w.Target.RetiredAt.IsZero() {
		return nil, e.abandon(ctx, tx, j, certctl.JobFailed, "target "+w.Target.ID+" is disabled or retired")
	}
	w.Version, err = first(ctx, tx.Reader().Versions(), certctl.VersionFilter{CertificateIDs: []string{c.ID}, Generation: j.Generation})
	if err == nil && w.Version == nil {
		return nil, e.abandon(ctx, tx, j, certctl.JobFailed, "its version of the certificate is not there any more")
	}
	return w, err
}

// complete adds what is not read from rows: the unsealed configuration and the
// trusted roots.
func (e *Engine) complete(ctx context.Context, w *Work) (err error) {
	if w.Target == nil {
		return nil
	}
	if w.Config, err = e.unseal("targets", w.Target.ID, w.Target.SealedConfig); err != nil {
		return err
	}
	_, i, err := e.openIssuer(ctx, w.Version.IssuerID)
	if err != nil {
		return err
	}
	authority, err := e.authority(ctx, i)
	if err != nil {
		return err
	}
	if len(authority) > 0 {
		w.RootsPEM = string(chain.EncodePEM(authority[len(authority)-1]))
	}
	return nil
}

// heldByAgent returns a job that this agent holds with this fence; ErrNotFound
// for other agents' jobs, so that agents learn nothing of each other.
func heldByAgent(ctx context.Context, tx certctl.Tx, agentID, jobID string, fence int64) (*certctl.Job, error) {
	j, err := tx.Jobs().Get(ctx, jobID)
	if err == nil && j.AgentID != agentID {
		err = certctl.Errorf(certctl.ErrNotFound, "no job %s", jobID)
	}
	if err != nil {
		return nil, err
	}
	return tx.Jobs().Hold(ctx, jobID, fence)
}

// ExtendLease keeps a claimed job for another lease.
func (e *Engine) ExtendLease(ctx context.Context, agentID, jobID string, fence int64) (time.Time, error) {
	var until time.Time
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		j, err := heldByAgent(ctx, tx, agentID, jobID, fence)
		if err != nil {
			return err
		}
		j.LeaseUntil = tx.Now().Add(e.timing.AgentLease)
		until = j.LeaseUntil
		return tx.Jobs().Update(ctx, j)
	})
	return until, err
}

// SubmitCSR takes an agent's CSR. ErrInvalid says what is wrong with it; then
// nothing is issued and the job waits for a better one.
func (e *Engine) SubmitCSR(ctx context.Context, agentID, jobID string, fence int64, csrPEM string) (*certctl.Job, error) {
	var j *certctl.Job
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) (err error) {
		if j, err = heldByAgent(ctx, tx, agentID, jobID, fence); err != nil {
			return err
		}
		if j.Status != certctl.JobAwaitingCSR {
			return &certctl.TransitionError{Entity: "job", ID: j.ID, From: string(j.Status), To: string(certctl.JobPending)}
		}
		c, err := tx.Certificates().Get(ctx, j.CertificateID)
		if err != nil {
			return err
		}
		refs, err := e.judgeCertificate(ctx, tx.Reader(), c)
		if err != nil {
			return err
		}
		csr, err := policy.CheckCSR(refs.profile, refs.request(c), []byte(csrPEM))
		if err != nil {
			return err
		}
		if have := keys.AlgorithmOf(csr.PublicKey); !strings.EqualFold(string(have), c.KeyAlgorithm) {
			return certctl.Invalid("CSR", certctl.Problem{Field: "csr_pem", Message: fmt.Sprintf("its key is %s; the certificate wants %s", have, c.KeyAlgorithm)})
		}
		if err := j.Become(certctl.JobPending); err != nil {
			return err
		}
		j.CSRPEM, j.Executor, j.RunAt, j.Attempts = csrPEM, certctl.ExecutorServer, tx.Now(), 0
		j.Waiting, j.Deadline = "for the issuer", tx.Now().Add(e.timing.Issuance)
		if err := tx.Jobs().Update(ctx, j); err != nil {
			return err
		}
		tx.Nudge(certctl.TopicJobs, certctl.TopicCatalog)
		return audit(ctx, tx, "csr_submitted", "job", j.ID, details{"certificate_id": j.CertificateID})
	})
	return j, err
}

// Outcomes of an agent's report, as in package target.
const (
	outcomeDeployed       = "deployed"
	outcomeUnchanged      = "unchanged"
	outcomeRolledBack     = "rolled_back"
	outcomeNotStarted     = "not_started"
	outcomeRollbackFailed = "rollback_failed"
)

// Report takes an agent's answer to a job.
func (e *Engine) Report(ctx context.Context, agentID, jobID string, in AgentReport) (*certctl.Job, error) {
	switch in.Outcome {
	case outcomeDeployed, outcomeUnchanged, outcomeRolledBack, outcomeNotStarted, outcomeRollbackFailed:
	default:
		return nil, certctl.Invalid("report", certctl.Problem{Field: "outcome", Message: "must be deployed, unchanged, rolled_back, not_started or rollback_failed"})
	}
	var j *certctl.Job
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) (err error) {
		if j, err = heldByAgent(ctx, tx, agentID, jobID, in.Fence); err != nil {
			return err
		}
		j.Output, j.Observed = clip(in.Output, 64<<10), in.Observed
		j.Verification = certctl.VerificationSkipped
		if len(in.Observed) > 0 {
			j.Verification, j.VerifiedAt = certctl.VerificationSuccess, tx.Now()
		}
		ok := in.Outcome == outcomeDeployed || in.Outcome == outcomeUnchanged
		why := clip(in.Error, 4096)
		for _, o := range in.Observed {
			if !o.Served || !o.ChainOK || !o.NameOK || o.Problem != "" {
				j.Verification = certctl.VerificationFailed
				if ok { // an agent that says both is not believed
					ok, why = false, "reported as deployed, but "+o.Endpoint+" was seen not to serve it: "+o.Problem
				}
			}
		}
		if j.Type != certctl.JobDeployment {
			if ok {
				return certctl.Invalid("report", certctl.Problem{Field: "outcome", Message: "this job waits for a CSR, not for a deployment"})
			}
			return e.workFailed(ctx, tx, j, in, why)
		}
		if !ok {
			return e.workFailed(ctx, tx, j, in, why)
		}
		if err := endJob(ctx, tx, j, certctl.JobCompleted, ""); err != nil {
			return err
		}
		return e.deployed(ctx, tx, j)
	})
	return j, err
}

// workFailed stores an agent's failure. What was refused, or was changed and
// rolled back, ends the job, so that people see it; the binding is tried again
// with a growing pause. What never started is tried again within the job.
func (e *Engine) workFailed(ctx context.Context, tx certctl.Tx, j *certctl.Job, in AgentReport, why string) error {
	if why == "" {
		why = "the agent gave no reason"
	}
	j.Attempts++
	if in.Outcome == outcomeNotStarted && !in.Final && j.Attempts < j.MaxAttempts {
		if j.Status == certctl.JobRunning {
			if err := j.Become(certctl.JobPending); err != nil {
				return err
			}
		}
		j.Worker, j.LeaseUntil = "", time.Time{}
		j.RunAt, j.LastError = tx.Now().Add(backoff(e.timing.RetryBase, j.Attempts-1, time.Hour)), why
		j.Waiting = "for the next attempt at " + j.RunAt.UTC().Format(time.RFC3339)
		tx.Nudge(certctl.TopicCatalog)
		return tx.Jobs().Update(ctx, j)
	}
	if in.Outcome != outcomeRollbackFailed || j.Type != certctl.JobDeployment {
		return e.abandon(ctx, tx, j, certctl.JobFailed, why)
	}
	why = "the deployment failed AND the rollback failed; look at the target now: " + why
	if err := endJob(ctx, tx, j, certctl.JobFailed, why); err != nil {
		return err
	}
	return e.deploymentFailed(ctx, tx, j, why, certctl.BindingRollbackFailed)
}
