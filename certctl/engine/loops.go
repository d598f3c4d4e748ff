package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/certctl/certctl/certctl"
)

func certificates(r certctl.Reader) certctl.Lookup[certctl.Certificate, certctl.CertificateFilter] {
	return r.Certificates()
}
func jobs(r certctl.Reader) certctl.Lookup[certctl.Job, certctl.JobFilter] { return r.Jobs() }
func bindings(r certctl.Reader) certctl.Lookup[certctl.Binding, certctl.BindingFilter] {
	return r.Bindings()
}
func agents(r certctl.Reader) certctl.Lookup[certctl.Agent, certctl.AgentFilter] { return r.Agents() }

// checkRenewals starts what is due by its RenewAt: renewals, and issuances that
// failed and shall be tried again. It reads due rows alone.
func (e *Engine) checkRenewals(ctx context.Context, t *tick) error {
	rows, err := due(ctx, t, certificates, certctl.CertificateFilter{
		RenewBefore: t.now,
		Statuses:    []string{string(certctl.CertificateActive), string(certctl.CertificateExpiring), string(certctl.CertificateFailed)},
	}, "renewAt")
	if err != nil {
		return err
	}
	return each(ctx, t, rows, func(c *certctl.Certificate) string { return c.ID }, e.renewDue)
}

func (e *Engine) renewDue(ctx context.Context, tx certctl.Tx, id string) error {
	c, err := tx.Certificates().Get(ctx, id)
	if err != nil || c.RenewAt.IsZero() || c.RenewAt.After(tx.Now()) {
		return err
	}
	p, err := tx.RenewalPolicies().Get(ctx, c.RenewalPolicyID)
	if err != nil {
		return err
	}
	from := c.Status
	if !p.AutoRenew {
		c.RenewAt = time.Time{}
		if c.Status == certctl.CertificateActive {
			if err := c.Become(certctl.CertificateExpiring, "its renewal is due, and its policy "+p.ID+" does not renew by itself"); err != nil {
				return err
			}
		}
		return saveCertificate(ctx, tx, c, from)
	}
	live, err := e.liveIssuance(ctx, tx.Reader(), id)
	if err != nil {
		return err
	}
	if live != nil { // its outcome sets the next moment
		c.RenewAt = time.Time{}
		return saveCertificate(ctx, tx, c, from)
	}
	if agent, err := e.keyAgent(ctx, tx.Reader(), id); err != nil || agent == "" {
		if err != nil {
			return err
		}
		// Nobody of ours has the key: say so, once, and let its owner renew it.
		c.RenewAt = time.Time{}
		if c.Status == certctl.CertificateActive {
			if err := c.Become(certctl.CertificateExpiring, "its renewal is due; its key is not with an agent, so renew it with a CSR"); err != nil {
				return err
			}
		}
		if err := saveCertificate(ctx, tx, c, from); err != nil {
			return err
		}
		return tx.Emit(ctx, certctl.RenewalFailed{CertificateID: id, ExpiresAt: c.ExpiresAt, Error: "a CSR is needed: the key of this certificate is not with an agent"})
	}
	_, err = e.startRenewal(ctx, tx, c, "due", "")
	if err == nil {
		return nil
	}
	if _, invalid := asInvalid(err); !invalid {
		return err
	}
	// The certificate's own data stand in the way (a disabled issuer, a stricter
	// profile): that is a failed renewal, not a broken loop.
	if c, err2 := tx.Certificates().Get(ctx, id); err2 == nil {
		return e.issuanceFailed(ctx, tx, c, err.Error(), false)
	}
	return err
}

// retryDeployments brings failed deployments back when their pause is over.
func (e *Engine) retryDeployments(ctx context.Context, t *tick) error {
	rows, err := due(ctx, t, bindings, certctl.BindingFilter{RetryBefore: t.now}, "")
	if err != nil {
		return err
	}
	return each(ctx, t, rows, func(b *certctl.Binding) string { return b.ID }, func(ctx context.Context, tx certctl.Tx, id string) error {
		b, err := tx.Bindings().Get(ctx, id)
		if err != nil || b.RetryAt.IsZero() || b.RetryAt.After(tx.Now()) {
			return err
		}
		c, err := tx.Certificates().Get(ctx, b.CertificateID)
		if err != nil {
			return err
		}
		target, err := tx.Targets().Get(ctx, b.TargetID)
		if err != nil {
			return err
		}
		if c.Status == certctl.CertificateRevoked || c.Status == certctl.CertificateArchived || c.Status == certctl.CertificateExpired || !target.Enabled {
			b.RetryAt = time.Time{}
			return tx.Bindings().Update(ctx, b)
		}
		_, err = e.enqueueDeployment(ctx, tx, c, b)
		return err
	})
}

// reapJobs fails what is past its deadline.
func (e *Engine) reapJobs(ctx context.Context, t *tick) error {
	rows, err := due(ctx, t, jobs, certctl.JobFilter{Statuses: liveStatuses(), DeadlineBefore: t.now}, "")
	if err != nil {
		return err
	}
	return each(ctx, t, rows, func(j *certctl.Job) string { return j.ID }, func(ctx context.Context, tx certctl.Tx, id string) error {
		j, err := tx.Jobs().Get(ctx, id)
		if err != nil || !j.Status.Live() || leased(j, tx.Now()) || j.Deadline.After(tx.Now()) {
			return err
		}
		why := fmt.Sprintf("not finished by its deadline %s (it was %s", j.Deadline.UTC().Format(time.RFC3339), j.Status)
		if j.Waiting != "" {
			why += ", waiting " + j.Waiting
		}
		return e.abandon(ctx, tx, j, certctl.JobFailed, why+")")
	})
}

// checkAgents notes which agents have fallen silent.
func (e *Engine) checkAgents(ctx context.Context, t *tick) error {
	silent := t.now.Add(-e.timing.AgentSilence)
	rows, err := due(ctx, t, agents, certctl.AgentFilter{
		Statuses: []string{string(certctl.AgentOnline), string(certctl.AgentDegraded)}, HeartbeatBefore: silent,
	}, "")
	if err != nil {
		return err
	}
	return each(ctx, t, rows, func(a *certctl.Agent) string { return a.ID }, func(ctx context.Context, tx certctl.Tx, id string) error {
		a, err := tx.Agents().Get(ctx, id)
		if err != nil || a.Status == certctl.AgentOffline || a.Status == certctl.AgentRetired || a.LastHeartbeatAt.After(silent) {
			return err
		}
		from := a.Status
		a.Status, a.StatusReason = certctl.AgentOffline, "last heard of at "+a.LastHeartbeatAt.UTC().Format(time.RFC3339)
		if err := tx.Agents().Update(ctx, a); err != nil {
			return err
		}
		return tx.Emit(ctx, certctl.AgentChanged{AgentID: id, From: from, To: a.Status, Reason: a.StatusReason})
	})
}

// expireCertificates notes what is past NotAfter. A renewal that is under way
// keeps its certificate in RenewalInProgress, and may still succeed.
func (e *Engine) expireCertificates(ctx context.Context, t *tick) error {
	rows, err := due(ctx, t, certificates, certctl.CertificateFilter{
		ExpiresBefore: t.now,
		Statuses:      []string{string(certctl.CertificateActive), string(certctl.CertificateExpiring)},
	}, "expiresAt")
	if err != nil {
		return err
	}
	return each(ctx, t, rows, func(c *certctl.Certificate) string { return c.ID }, func(ctx context.Context, tx certctl.Tx, id string) error {
		c, err := tx.Certificates().Get(ctx, id)
		if err != nil || c.ExpiresAt.After(tx.Now()) {
			return err
		}
		from := c.Status
		if from != certctl.CertificateActive && from != certctl.CertificateExpiring {
			return nil
		}
		if err := c.Become(certctl.CertificateExpired, "expired at "+c.ExpiresAt.UTC().Format(time.RFC3339)); err != nil {
			return err
		}
		if err := saveCertificate(ctx, tx, c, from); err != nil {
			return err
		}
		return audit(ctx, tx, "certificate_expired", "certificate", id, nil)
	})
}

// alertExpiry warns of each certificate that has crossed one of its policy's
// thresholds since the tick before: once a crossing, and needing no memory.
func (e *Engine) alertExpiry(ctx context.Context, t *tick) error {
	if t.since.IsZero() {
		return nil
	}
	var policies []*certctl.RenewalPolicy
	err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
		policies, err = all(ctx, r.RenewalPolicies(), certctl.NameFilter{})
		return err
	})
	if err != nil {
		return err
	}
	for _, p := range policies {
		for _, days := range p.AlertThresholdsDays {
			if err := e.alertCrossing(ctx, t, p.ID, days); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Engine) alertCrossing(ctx context.Context, t *tick, policyID string, days int) error {
	ahead := time.Duration(days) * 24 * time.Hour
	var rows []*certctl.Certificate
	f := certctl.CertificateFilter{
		RenewalPolicyIDs: []string{policyID}, ExpiresAfter: t.since.Add(ahead), ExpiresBefore: t.now.Add(ahead),
		Statuses: []string{string(certctl.CertificateActive), string(certctl.CertificateExpiring), string(certctl.CertificateRenewalInProgress), string(certctl.CertificateExpired)},
	}
	err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
		rows, err = all(ctx, r.Certificates(), f) // all of them: the next tick looks at later ones alone
		return err
	})
	if err != nil || len(rows) == 0 {
		return err
	}
	return t.update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		for _, c := range rows {
			if c.ExpiresAt.Sub(c.NotBefore) <= ahead {
				continue // it was born past this threshold
			}
			if err := tx.Emit(ctx, certctl.ExpirationWarning{CertificateID: c.ID, ThresholdDays: days, ExpiresAt: c.ExpiresAt}); err != nil {
				return err
			}
		}
		tx.Nudge(certctl.TopicEvents)
		return nil
	})
}

// sweepIdempotency forgets spent keys.
func (e *Engine) sweepIdempotency(ctx context.Context, t *tick) error {
	return t.update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		page, err := tx.Idempotency().List(ctx, certctl.IdempotencyFilter{ExpiresBefore: tx.Now()}, certctl.Page{Limit: 500})
		if err != nil {
			return err
		}
		for _, r := range page.Items {
			if err := tx.Idempotency().Delete(ctx, r.ID); err != nil {
				return err
			}
		}
		return nil
	})
}
