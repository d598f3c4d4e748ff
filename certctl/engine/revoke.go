package engine

import (
	"context"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/revocation"
)

// Revoke revokes every unexpired version of a certificate, or the one with the
// given serial. For our own CAs the revocation is a fact with this
// transaction: OCSP and CRL read it from there. Other CAs are told by a loop
// that does not give up.
func (e *Engine) Revoke(ctx context.Context, id string, in RevokeOptions) ([]*certctl.Revocation, error) {
	if _, err := revocation.ParseReason(in.Reason.String()); err != nil {
		return nil, certctl.Invalid("revocation", certctl.Problem{Field: "reason", Message: err.Error()})
	}
	signing, err := e.signsOwnCRL(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []*certctl.Revocation
	err = e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		out = nil
		c, err := tx.Certificates().Get(ctx, id)
		if err != nil {
			return err
		}
		if c.Status == certctl.CertificateRevoked && in.Serial == "" {
			return certctl.Errorf(certctl.ErrIllegalTransition, "certificate %s was revoked at %s already (%s)",
				id, c.RevokedAt.Format(time.RFC3339), c.RevocationReason)
		}
		versions, err := e.toRevoke(ctx, tx, c, in.Serial)
		if err != nil {
			return err
		}
		current := false
		for _, v := range versions {
			r, err := e.revokeVersion(ctx, tx, v, in.Reason, signing[v.IssuerID])
			if err != nil {
				return err
			}
			out = append(out, r)
			current = current || v.ID == c.CurrentVersionID
		}
		if !current || c.Status == certctl.CertificateRevoked || c.Status == certctl.CertificateArchived {
			return nil
		}
		from := c.Status
		if err := c.Become(certctl.CertificateRevoked, "revoked by "+certctl.ActorFrom(ctx).ID+": "+in.Reason.String()); err != nil {
			return err
		}
		c.RevokedAt, c.RevocationReason, c.RenewAt = tx.Now(), in.Reason.String(), time.Time{}
		if err := e.dropJobs(ctx, tx, c, "the certificate was revoked"); err != nil {
			return err
		}
		return saveCertificate(ctx, tx, c, from)
	})
	return out, err
}

// toRevoke are the versions that a revocation is about: not expired, not
// revoked yet.
func (e *Engine) toRevoke(ctx context.Context, tx certctl.Tx, c *certctl.Certificate, serial string) ([]*certctl.CertificateVersion, error) {
	f := certctl.VersionFilter{CertificateIDs: []string{c.ID}, ExpiresAfter: tx.Now()}
	if serial != "" {
		n, err := certctl.ParseSerial(serial)
		if err != nil {
			return nil, err
		}
		f.Serial = certctl.SerialText(n)
	}
	versions, err := all(ctx, tx.Versions(), f)
	if err != nil {
		return nil, err
	}
	revoked, err := all(ctx, tx.Revocations(), certctl.RevocationFilter{CertificateIDs: []string{c.ID}})
	if err != nil {
		return nil, err
	}
	done := map[string]bool{}
	for _, r := range revoked {
		done[r.VersionID] = true
	}
	var out []*certctl.CertificateVersion
	for _, v := range versions {
		if !done[v.ID] {
			out = append(out, v)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case serial != "":
		return nil, certctl.Errorf(certctl.ErrConflict, "certificate %s has no unexpired, unrevoked version with serial %s", c.ID, serial)
	default:
		return nil, certctl.Errorf(certctl.ErrIllegalTransition, "certificate %s (%s) has no version that could be revoked: none was issued, or all have expired", c.ID, c.Status)
	}
}

// revokeVersion writes the revocation that CRL and OCSP read.
func (e *Engine) revokeVersion(ctx context.Context, tx certctl.Tx, v *certctl.CertificateVersion, reason revocation.Reason, ours bool) (*certctl.Revocation, error) {
	now := tx.Now()
	r := &certctl.Revocation{
		ID: certctl.NewID(certctl.PrefixRevocation, now), IssuerID: v.IssuerID, IssuerKeyID: v.IssuerKeyID, Serial: v.Serial,
		CertificateID: v.CertificateID, VersionID: v.ID, Reason: int(reason), RevokedAt: now, RevokedBy: certctl.ActorFrom(ctx).ID,
		NotAfter: v.NotAfter, RetryAt: now,
	}
	if ours {
		r.IssuerNotified, r.RetryAt = now, time.Time{}
	}
	if err := tx.Revocations().Insert(ctx, r); err != nil {
		return nil, err
	}
	tx.Nudge(certctl.TopicRevocations, certctl.TopicEvents)
	if err := audit(ctx, tx, "certificate_revoked", "certificate", v.CertificateID, details{"serial": v.Serial, "reason": reason.String()}); err != nil {
		return nil, err
	}
	return r, tx.Emit(ctx, certctl.CertificateVersionRevoked{CertificateID: v.CertificateID, Serial: v.Serial, Reason: reason.String()})
}

// signsOwnCRL tells for each issuer of a certificate's versions whether its
// CRL is signed here.
func (e *Engine) signsOwnCRL(ctx context.Context, certificateID string) (map[string]bool, error) {
	var issuers []*certctl.Issuer
	err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		issuers = nil
		versions, err := all(ctx, r.Versions(), certctl.VersionFilter{CertificateIDs: []string{certificateID}, ExpiresAfter: r.Now()})
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, v := range versions {
			if seen[v.IssuerID] {
				continue
			}
			seen[v.IssuerID] = true
			i, err := r.Issuers().Get(ctx, v.IssuerID)
			if err != nil {
				return err
			}
			issuers = append(issuers, i)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, row := range issuers {
		i, err := e.connect(ctx, row)
		if err != nil {
			return nil, err
		}
		_, out[row.ID] = issuer.As[issuer.SigningAuthority](i)
	}
	return out, nil
}

// notifyIssuers tells outside CAs of revocations, each until it confirms.
func (e *Engine) notifyIssuers(ctx context.Context, t *tick) error {
	var due []*certctl.Revocation
	err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		page, err := r.Revocations().List(ctx, certctl.RevocationFilter{RetryBefore: r.Now()}, certctl.Page{Limit: 100})
		if err == nil {
			due = page.Items
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range due {
		failed := e.notifyIssuer(ctx, r)
		err := t.update(ctx, func(ctx context.Context, tx certctl.Tx) error {
			row, err := tx.Revocations().Get(ctx, r.ID)
			if err != nil {
				return err
			}
			row.Attempts++
			row.RetryAt, row.IssuerError = time.Time{}, ""
			if failed == nil {
				row.IssuerNotified = tx.Now()
			} else {
				row.IssuerError = clip(failed.Error(), 2000)
				row.RetryAt = tx.Now().Add(max(classify(failed).After, backoff(time.Minute, row.Attempts-1, 24*time.Hour)))
			}
			return tx.Revocations().Update(ctx, row)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) notifyIssuer(ctx context.Context, r *certctl.Revocation) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, i, err := e.openIssuer(ctx, r.IssuerID)
	if err != nil {
		return err
	}
	revoker, ok := issuer.As[issuer.Revoker](i)
	if !ok {
		return certctl.Errorf(certctl.ErrUnsupported, "issuer %s cannot revoke by itself; revoke serial %s at the CA by hand", r.IssuerID, r.Serial)
	}
	var v *certctl.CertificateVersion
	if err := e.store.View(ctx, func(ctx context.Context, rd certctl.Reader) (err error) {
		v, err = rd.Versions().Get(ctx, r.VersionID)
		return err
	}); err != nil {
		return err
	}
	b, err := parseVersion(v)
	if err != nil {
		return err
	}
	return revoker.Revoke(ctx, b.Leaf(), revocation.Reason(r.Reason), v.IssuerState)
}
