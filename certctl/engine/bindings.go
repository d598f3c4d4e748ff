package engine

import (
	"context"

	"github.com/certctl/certctl/certctl"
)

// Bind says that a certificate belongs on a target. What is issued already is
// deployed at once if the target's agent has the key; otherwise a renewal
// makes one there.
func (e *Engine) Bind(ctx context.Context, certificateID, targetID string) (*certctl.Binding, error) {
	var b *certctl.Binding
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		c, err := tx.Certificates().Get(ctx, certificateID)
		if err != nil {
			return err
		}
		if c.Status == certctl.CertificateArchived || c.Status == certctl.CertificateRevoked {
			return certctl.Errorf(certctl.ErrIllegalTransition, "certificate %s is %s and cannot be deployed", c.ID, c.Status)
		}
		known, err := first(ctx, tx.Reader().Bindings(), certctl.BindingFilter{CertificateIDs: []string{c.ID}, TargetIDs: []string{targetID}})
		if err != nil || known != nil {
			b = known
			return err
		}
		before, err := tx.Bindings().Count(ctx, certctl.BindingFilter{CertificateIDs: []string{c.ID}})
		if err != nil {
			return err
		}
		if b, err = e.bind(ctx, tx, c, targetID); err != nil {
			return err
		}
		return e.afterBind(ctx, tx, c, b, before == 0)
	})
	return b, err
}

// afterBind starts what a new binding makes possible. The first binding of a
// certificate brings in an agent that has no key yet.
func (e *Engine) afterBind(ctx context.Context, tx certctl.Tx, c *certctl.Certificate, b *certctl.Binding, isFirst bool) error {
	live, err := e.liveIssuance(ctx, tx.Reader(), c.ID)
	if err != nil {
		return err
	}
	if live != nil { // it waited for somebody who can make a key
		if live.Status == certctl.JobAwaitingCSR && live.Executor == "" {
			return e.assignCSR(ctx, tx, live)
		}
		return nil
	}
	if c.Generation == 0 {
		return nil
	}
	if !isFirst {
		_, err := e.enqueueDeployment(ctx, tx, c, b)
		return err
	}
	if _, err := e.startRenewal(ctx, tx, c, "it was bound to its first target, whose agent needs a key of its own", ""); err != nil {
		return err
	}
	return nil
}

// bind inserts the binding of a certificate to a target, on which nothing else
// may be, and whose agent is the one that holds the certificate's key.
func (e *Engine) bind(ctx context.Context, tx certctl.Tx, c *certctl.Certificate, targetID string) (*certctl.Binding, error) {
	t, err := tx.Targets().Get(ctx, targetID)
	if isNotFound(err) || (err == nil && !t.RetiredAt.IsZero()) {
		return nil, certctl.Invalid("binding", certctl.Problem{Field: "target_ids", Message: "no such target: " + targetID})
	}
	if err != nil {
		return nil, err
	}
	taken, err := first(ctx, tx.Reader().Bindings(), certctl.BindingFilter{TargetIDs: []string{targetID}})
	if err != nil {
		return nil, err
	}
	if taken != nil {
		return nil, certctl.Errorf(certctl.ErrConflict,
			"target %s serves certificate %s already; unbind that first, or make a second target for other files", targetID, taken.CertificateID)
	}
	agent, err := e.keyAgent(ctx, tx.Reader(), c.ID)
	if err != nil {
		return nil, err
	}
	if agent != "" && agent != t.AgentID {
		return nil, certctl.Errorf(certctl.ErrConflict,
			"certificate %s has its key on agent %s, and target %s belongs to agent %s; keys never travel: request a certificate of its own for that agent",
			c.ID, agent, targetID, t.AgentID)
	}
	b := &certctl.Binding{
		ID: certctl.NewID(certctl.PrefixBinding, tx.Now()), CertificateID: c.ID, TargetID: targetID,
		State: certctl.BindingPending, Verification: certctl.VerificationPending,
	}
	if err := tx.Bindings().Insert(ctx, b); err != nil {
		return nil, err
	}
	return b, audit(ctx, tx, "target_bound", "certificate", c.ID, details{"target_id": targetID})
}

// keyAgent is the agent that holds, or will make, a certificate's key.
func (e *Engine) keyAgent(ctx context.Context, r certctl.Reader, certificateID string) (string, error) {
	b, err := first(ctx, r.Bindings(), certctl.BindingFilter{CertificateIDs: []string{certificateID}})
	if err != nil || b == nil {
		return "", err
	}
	t, err := r.Targets().Get(ctx, b.TargetID)
	if err != nil {
		return "", err
	}
	return t.AgentID, nil
}

// Unbind ends a binding. What the target serves stays as it is.
func (e *Engine) Unbind(ctx context.Context, certificateID, targetID string) error {
	return e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		b, err := first(ctx, tx.Reader().Bindings(), certctl.BindingFilter{CertificateIDs: []string{certificateID}, TargetIDs: []string{targetID}})
		if err != nil {
			return err
		}
		if b == nil {
			return certctl.Errorf(certctl.ErrNotFound, "certificate %s is not bound to target %s", certificateID, targetID)
		}
		jobs, err := all(ctx, tx.Reader().Jobs(), certctl.JobFilter{
			CertificateIDs: []string{certificateID}, TargetIDs: []string{targetID}, Statuses: liveStatuses(),
		})
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if err := endJob(ctx, tx, j, certctl.JobCancelled, "the target was unbound"); err != nil {
				return err
			}
		}
		if err := tx.Bindings().Delete(ctx, b.ID); err != nil {
			return err
		}
		return audit(ctx, tx, "target_unbound", "certificate", certificateID, details{"target_id": targetID})
	})
}
