package engine

import (
	"context"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/policy"
)

// Renew makes a new generation of a certificate now: a new key, a new serial,
// deployed to every target that it is bound to. A certificate that was never
// issued is tried again.
func (e *Engine) Renew(ctx context.Context, id string, in RenewOptions) (*Issuance, error) {
	out := &Issuance{}
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		c, err := tx.Certificates().Get(ctx, id)
		if err != nil {
			return err
		}
		live, err := e.liveIssuance(ctx, tx.Reader(), id)
		if err != nil {
			return err
		}
		if live != nil {
			if !in.Force || leased(live, tx.Now()) {
				return certctl.Errorf(certctl.ErrConflict,
					"job %s (%s) is making the next version of certificate %s already; wait for it, or cancel it with force", live.ID, live.Status, id)
			}
			if err := e.abandon(ctx, tx, live, certctl.JobCancelled, "replaced by a forced renewal"); err != nil {
				return err
			}
			if c, err = tx.Certificates().Get(ctx, id); err != nil {
				return err
			}
		}
		out.Job, err = e.startRenewal(ctx, tx, c, "asked for by "+certctl.ActorFrom(ctx).ID, in.CSRPEM)
		out.Certificate = c
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// startRenewal enqueues the next generation of a certificate, or its first.
func (e *Engine) startRenewal(ctx context.Context, tx certctl.Tx, c *certctl.Certificate, why, csrPEM string) (*certctl.Job, error) {
	refs, err := e.judgeCertificate(ctx, tx.Reader(), c)
	if err != nil {
		return nil, err
	}
	t, next := certctl.JobRenewal, certctl.CertificateRenewalInProgress
	if c.Generation == 0 {
		t, next = certctl.JobIssuance, certctl.CertificatePending
	}
	if csrPEM != "" {
		agent, err := e.keyAgent(ctx, tx.Reader(), c.ID)
		if err != nil {
			return nil, err
		}
		if agent != "" {
			return nil, certctl.Invalid("renewal", certctl.Problem{Field: "csr_pem",
				Message: "certificate " + c.ID + " is bound to a target: agent " + agent + " makes its keys; renew without a CSR"})
		}
		if _, err := policy.CheckCSR(refs.profile, refs.request(c), []byte(csrPEM)); err != nil {
			return nil, err
		}
	}
	from := c.Status
	if err := c.Become(next, why); err != nil {
		return nil, err
	}
	c.RenewAt = time.Time{} // the job's outcome sets the next moment
	if err := saveCertificate(ctx, tx, c, from); err != nil {
		return nil, err
	}
	if err := audit(ctx, tx, "renewal_started", "certificate", c.ID, details{"reason": why, "generation": c.Generation + 1}); err != nil {
		return nil, err
	}
	return e.enqueueIssuance(ctx, tx, c, refs, t, csrPEM)
}

// issuanceFailed is what becomes of a certificate whose job ended without a new
// version. One that is still valid stays so: only time makes it Expired. The
// next attempt is set, unless a person cancelled on purpose.
func (e *Engine) issuanceFailed(ctx context.Context, tx certctl.Tx, c *certctl.Certificate, why string, cancelled bool) error {
	from, now := c.Status, tx.Now()
	p, err := tx.RenewalPolicies().Get(ctx, c.RenewalPolicyID)
	if err != nil {
		return err
	}
	to := certctl.CertificateExpiring
	switch {
	case from == certctl.CertificateRevoked || from == certctl.CertificateArchived:
		return nil
	case c.Generation == 0:
		to = certctl.CertificateFailed
	case !now.Before(c.ExpiresAt):
		to = certctl.CertificateExpired
	case cancelled && from == certctl.CertificateRenewalInProgress && now.Before(c.ExpiresAt):
		to = certctl.CertificateActive
	}
	if !cancelled {
		c.RenewalFailures++
	}
	if p.AutoRenew && to != certctl.CertificateExpired {
		c.RenewAt = policy.NextAttempt(p, max(0, c.RenewalFailures-1), now, c.ExpiresAt, jitter())
	}
	reason := why
	if !c.RenewAt.IsZero() {
		reason += "; the next attempt is at " + c.RenewAt.UTC().Format(time.RFC3339)
	}
	if err := c.Become(to, clip(reason, 2000)); err != nil {
		return err
	}
	if err := saveCertificate(ctx, tx, c, from); err != nil {
		return err
	}
	if cancelled {
		return nil
	}
	return tx.Emit(ctx, certctl.RenewalFailed{
		CertificateID: c.ID, Error: why, Failures: c.RenewalFailures, ExpiresAt: c.ExpiresAt, NextAttempt: c.RenewAt,
	})
}
