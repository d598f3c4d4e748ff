package engine

import (
	"context"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/policy"
	"github.com/certctl/certctl/revocation"
)

// Hold revokes a certificate, or one version of it, in the way that can be
// undone: CRL and OCSP say certificateHold (RFC 5280 section 5.3.1) until it
// is released, or revoked for good with another reason.
func (e *Engine) Hold(ctx context.Context, id, serial string) ([]*certctl.Revocation, error) {
	return e.Revoke(ctx, id, RevokeOptions{Reason: revocation.CertificateHold, Serial: serial})
}

// Release lifts the hold of every version of a certificate, or of the one with
// the given serial. Whole, the certificate is again what its dates say; it is
// renewed and deployed as if nothing had been. ErrIllegalTransition when
// nothing is on hold: every other revocation is final. ErrUnsupported when the
// list is another CA's.
func (e *Engine) Release(ctx context.Context, id, serial string) ([]*certctl.Revocation, error) {
	in := RevokeOptions{Serial: serial}
	if err := e.judgeRevocation(&in); err != nil {
		return nil, err
	}
	keep, err := e.crlKeepers(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []*certctl.Revocation
	err = e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		out = nil
		subjects, err := e.revocationSubjects(ctx, tx.Reader(), id)
		if err != nil {
			return err
		}
		if len(subjects) == 0 {
			_, err := tx.Certificates().Get(ctx, id)
			return err
		}
		s := subjects[0]
		versions, err := s.toRelease(in.Serial, keep)
		if err != nil {
			return err
		}
		for _, v := range versions {
			if err := releaseVersion(ctx, tx, s.rows[v.ID]); err != nil {
				return err
			}
			out = append(out, s.rows[v.ID])
		}
		return e.releaseCertificate(ctx, tx, s, versions)
	})
	return out, err
}

// toRelease are the versions on hold, which must all be of our own CAs.
func (s *subject) toRelease(serial string, keep crlKeepers) ([]*certctl.CertificateVersion, error) {
	var out []*certctl.CertificateVersion
	for _, v := range s.versions {
		if (serial != "" && serial != v.Serial) || !held(s.standing(v)) {
			continue
		}
		if !keep[v.IssuerID].ours && keep[v.IssuerID].err == nil {
			return nil, certctl.Errorf(certctl.ErrUnsupported,
				"serial %s is on the list of an outside CA (issuer %s), which has no way to be told of a release; lift the hold at that CA, or renew the certificate", v.Serial, v.IssuerID)
		}
		out = append(out, v)
	}
	if len(out) == 0 {
		what := "certificate " + s.cert.ID
		if serial != "" {
			what = "serial " + serial + " of " + what
		}
		return nil, certctl.Errorf(certctl.ErrIllegalTransition,
			"%s is not on hold; only a certificateHold can be lifted, every other revocation is final (RFC 5280 section 5.3.1)", what)
	}
	return out, keep.known(out)
}

// releaseVersion keeps the row: delta CRLs say removeFromCRL from it.
func releaseVersion(ctx context.Context, tx certctl.Tx, r *certctl.Revocation) error {
	r.ReleasedAt, r.RetryAt, r.Sequence = tx.Now(), time.Time{}, 0
	if err := tx.Revocations().Update(ctx, r); err != nil {
		return err
	}
	tx.Nudge(certctl.TopicRevocations, certctl.TopicEvents)
	if err := audit(ctx, tx, "certificate_released", "certificate", r.CertificateID, details{"serial": r.Serial, "held_since": r.RevokedAt}); err != nil {
		return err
	}
	return tx.Emit(ctx, certctl.CertificateVersionReleased{CertificateID: r.CertificateID, Serial: r.Serial})
}

// releaseCertificate brings a certificate back whose current version was
// released.
func (e *Engine) releaseCertificate(ctx context.Context, tx certctl.Tx, s *subject, released []*certctl.CertificateVersion) error {
	c := s.cert
	var current, newest *certctl.CertificateVersion
	for _, v := range released {
		if v.ID == c.CurrentVersionID {
			current = v
		}
		if newest == nil || v.Generation > newest.Generation {
			newest = v
		}
	}
	if current == nil || !c.Held() {
		return nil
	}
	for _, v := range s.versions { // one that was signed while the hold began
		if v.Generation > newest.Generation {
			return certctl.Errorf(certctl.ErrConflict,
				"certificate %s has a newer version (serial %s) that is still revoked; release the whole certificate, or request another", c.ID, v.Serial)
		}
	}
	from, why := c.Status, "released by "+certctl.ActorFrom(ctx).ID
	to, err := e.afterRelease(ctx, tx, c, current)
	if err != nil {
		return err
	}
	if err := c.Release(to, why); err != nil {
		return err
	}
	if err := saveCertificate(ctx, tx, c, from); err != nil {
		return err
	}
	if newest != current && tx.Now().Before(newest.NotAfter) {
		return e.adopt(ctx, tx, c, newest)
	}
	if to == certctl.CertificateExpired {
		return nil
	}
	return e.deployLagging(ctx, tx, c)
}

// afterRelease is the status that dates and jobs call for; it sets the next
// renewal.
func (e *Engine) afterRelease(ctx context.Context, tx certctl.Tx, c *certctl.Certificate, v *certctl.CertificateVersion) (certctl.CertificateStatus, error) {
	live, err := e.liveIssuance(ctx, tx.Reader(), c.ID)
	if err != nil {
		return "", err
	}
	if live != nil { // its outcome sets the next moment
		return certctl.CertificateRenewalInProgress, nil
	}
	if !tx.Now().Before(v.NotAfter) {
		return certctl.CertificateExpired, nil
	}
	p, err := tx.RenewalPolicies().Get(ctx, c.RenewalPolicyID)
	if err != nil {
		return "", err
	}
	c.RenewAt = policy.RenewAt(p, v.CreatedAt, v.NotAfter, jitter())
	if !tx.Now().Before(c.RenewAt) {
		return certctl.CertificateExpiring, nil
	}
	return certctl.CertificateActive, nil
}

// deployLagging sends the current version to the targets that do not have it.
func (e *Engine) deployLagging(ctx context.Context, tx certctl.Tx, c *certctl.Certificate) error {
	bindings, err := all(ctx, tx.Bindings(), certctl.BindingFilter{CertificateIDs: []string{c.ID}})
	if err != nil {
		return err
	}
	for _, b := range bindings {
		if b.State == certctl.BindingInSync && b.DeployedGeneration == c.Generation || b.State == certctl.BindingRollbackFailed {
			continue // of the latter, a person has to look first
		}
		t, err := tx.Targets().Get(ctx, b.TargetID)
		if err != nil {
			return err
		}
		if !t.Enabled {
			continue
		}
		if _, err := e.enqueueDeployment(ctx, tx, c, b); err != nil {
			return err
		}
	}
	return nil
}
