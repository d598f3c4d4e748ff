package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/revocation"
)

// Revoke revokes every unexpired version of a certificate, or the one with the
// given serial. For our own CAs the revocation is a fact with this
// transaction: OCSP and CRL read it from there. Other CAs are told by a loop
// that does not give up. A version on hold can still be revoked for another
// reason; nothing else is revoked twice.
func (e *Engine) Revoke(ctx context.Context, id string, in RevokeOptions) ([]*certctl.Revocation, error) {
	if err := e.judgeRevocation(&in); err != nil {
		return nil, err
	}
	keep, err := e.crlKeepers(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []*certctl.Revocation
	err = e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		subjects, err := e.revocationSubjects(ctx, tx.Reader(), id)
		if err != nil {
			return err
		}
		if len(subjects) == 0 {
			_, err := tx.Certificates().Get(ctx, id) // says that there is none
			return err
		}
		out, err = e.revokeSubject(ctx, tx, subjects[0], in, keep)
		return err
	})
	return out, err
}

// judgeRevocation checks what can be checked without looking at certificates.
func (e *Engine) judgeRevocation(in *RevokeOptions) error {
	var problems []certctl.Problem
	if _, err := revocation.ParseReason(in.Reason.String()); err != nil {
		problems = append(problems, certctl.Problem{Field: "reason", Message: err.Error()})
	}
	if in.InvalidSince.After(e.now()) {
		problems = append(problems, certctl.Problem{Field: "invalid_since", Message: "is in the future; the certificate is revoked from now on anyway"})
	}
	if in.Serial != "" {
		n, err := certctl.ParseSerial(in.Serial)
		if err != nil {
			problems = append(problems, certctl.Problem{Field: "serial_number", Message: err.Error()})
		} else {
			in.Serial = certctl.SerialText(n)
		}
	}
	if !in.InvalidSince.IsZero() {
		in.InvalidSince = in.InvalidSince.UTC().Truncate(time.Second) // as CRLs have it
	}
	return certctl.Invalid("revocation", problems...)
}

// subject is a certificate with all that its revocation depends on.
type subject struct {
	cert     *certctl.Certificate
	versions []*certctl.CertificateVersion
	rows     map[string]*certctl.Revocation // by version, those that were released included
	busy     bool                           // it has live jobs
}

// revocationSubjects reads certificates for revocation; those that do not
// exist are left out.
func (e *Engine) revocationSubjects(ctx context.Context, r certctl.Reader, ids ...string) ([]*subject, error) {
	certs, err := all(ctx, r.Certificates(), certctl.CertificateFilter{IDs: ids})
	if err != nil {
		return nil, err
	}
	versions, err := all(ctx, r.Versions(), certctl.VersionFilter{CertificateIDs: ids})
	if err != nil {
		return nil, err
	}
	rows, err := all(ctx, r.Revocations(), certctl.RevocationFilter{CertificateIDs: ids})
	if err != nil {
		return nil, err
	}
	jobs, err := all(ctx, r.Jobs(), certctl.JobFilter{CertificateIDs: ids, Statuses: liveStatuses()})
	if err != nil {
		return nil, err
	}
	out, byID := make([]*subject, len(certs)), make(map[string]*subject, len(certs))
	for i, c := range certs {
		out[i] = &subject{cert: c, rows: map[string]*certctl.Revocation{}}
		byID[c.ID] = out[i]
	}
	for _, v := range versions {
		byID[v.CertificateID].versions = append(byID[v.CertificateID].versions, v)
	}
	for _, row := range rows {
		byID[row.CertificateID].rows[row.VersionID] = row
	}
	for _, j := range jobs {
		byID[j.CertificateID].busy = true
	}
	return out, nil
}

// standing is the revocation that holds for a version, or nil: one that was
// released does not.
func (s *subject) standing(v *certctl.CertificateVersion) *certctl.Revocation {
	if r := s.rows[v.ID]; r != nil && r.ReleasedAt.IsZero() {
		return r
	}
	return nil
}

func held(r *certctl.Revocation) bool {
	return r != nil && r.ReleasedAt.IsZero() && revocation.Reason(r.Reason) == revocation.CertificateHold
}

// toRevoke are the versions that a revocation is about: not expired, and not
// revoked yet but for a hold that becomes final.
func (s *subject) toRevoke(in RevokeOptions, now time.Time) ([]*certctl.CertificateVersion, error) {
	var out []*certctl.CertificateVersion
	for _, v := range s.versions {
		stands := s.standing(v)
		final := held(stands) && in.Reason != revocation.CertificateHold
		if (in.Serial == "" || in.Serial == v.Serial) && v.NotAfter.After(now) && (stands == nil || final) {
			out = append(out, v)
		}
	}
	c := s.cert
	switch {
	case len(out) > 0:
		return out, nil
	case in.Serial != "":
		return nil, certctl.Errorf(certctl.ErrConflict, "certificate %s has no unexpired, unrevoked version with serial %s", c.ID, in.Serial)
	case c.Status == certctl.CertificateRevoked:
		return nil, certctl.Errorf(certctl.ErrIllegalTransition, "certificate %s was revoked at %s already (%s)",
			c.ID, c.RevokedAt.Format(time.RFC3339), c.RevocationReason)
	default:
		return nil, certctl.Errorf(certctl.ErrIllegalTransition, "certificate %s (%s) has no version that could be revoked: none was issued, or all have expired or are revoked", c.ID, c.Status)
	}
}

// revokeSubject revokes one certificate, or one of its versions.
func (e *Engine) revokeSubject(ctx context.Context, tx certctl.Tx, s *subject, in RevokeOptions, keep crlKeepers) ([]*certctl.Revocation, error) {
	versions, err := s.toRevoke(in, tx.Now())
	if err != nil {
		return nil, err
	}
	if err := keep.known(versions); err != nil {
		return nil, err
	}
	return e.revokeVersions(ctx, tx, s, versions, in, keep)
}

// revokeVersions writes what was decided.
func (e *Engine) revokeVersions(ctx context.Context, tx certctl.Tx, s *subject, versions []*certctl.CertificateVersion, in RevokeOptions, keep crlKeepers) ([]*certctl.Revocation, error) {
	c := s.cert
	var out []*certctl.Revocation
	var current *certctl.Revocation
	for _, v := range versions {
		r, err := e.writeRevocation(ctx, tx, v, s.rows[v.ID], in, keep[v.IssuerID].ours)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
		if v.ID == c.CurrentVersionID {
			current = r
		}
	}
	if current == nil || c.Status == certctl.CertificateArchived {
		return out, nil
	}
	from := c.Status
	why := "revoked by " + certctl.ActorFrom(ctx).ID + ": " + in.Reason.String()
	if in.Reason == revocation.CertificateHold {
		why = "put on hold by " + certctl.ActorFrom(ctx).ID + "; release it, or revoke it for good"
	}
	if err := c.Become(certctl.CertificateRevoked, why); err != nil {
		return nil, err
	}
	c.RevokedAt, c.RevocationReason, c.RenewAt = current.RevokedAt, in.Reason.String(), time.Time{}
	if s.busy {
		if err := e.dropJobs(ctx, tx, c, "the certificate was revoked"); err != nil {
			return nil, err
		}
	}
	return out, saveCertificate(ctx, tx, c, from)
}

// revokeVersion revokes a version that has never been revoked.
func (e *Engine) revokeVersion(ctx context.Context, tx certctl.Tx, v *certctl.CertificateVersion, reason revocation.Reason, ours bool) (*certctl.Revocation, error) {
	return e.writeRevocation(ctx, tx, v, nil, RevokeOptions{Reason: reason}, ours)
}

// writeRevocation writes the revocation that CRL and OCSP read. One that
// became final keeps the date of its hold, for the certificate has been
// revoked ever since; one after a release has its own.
func (e *Engine) writeRevocation(ctx context.Context, tx certctl.Tx, v *certctl.CertificateVersion, r *certctl.Revocation, in RevokeOptions, ours bool) (*certctl.Revocation, error) {
	now, d := tx.Now(), details{"serial": v.Serial, "reason": in.Reason.String()}
	known := r != nil
	switch {
	case !known:
		r = &certctl.Revocation{
			ID: certctl.NewID(certctl.PrefixRevocation, now), IssuerID: v.IssuerID, IssuerKeyID: v.IssuerKeyID, Serial: v.Serial,
			CertificateID: v.CertificateID, VersionID: v.ID, NotAfter: v.NotAfter, CRLShard: v.CRLShard, RevokedAt: now,
		}
	case r.ReleasedAt.IsZero():
		d["held_since"] = r.RevokedAt
	default:
		r.RevokedAt, r.ReleasedAt, r.InvalidSince = now, time.Time{}, time.Time{}
	}
	r.Reason, r.RevokedBy, r.Sequence = int(in.Reason), certctl.ActorFrom(ctx).ID, 0
	if !in.InvalidSince.IsZero() {
		r.InvalidSince, d["invalid_since"] = in.InvalidSince, in.InvalidSince
	}
	r.IssuerNotified, r.IssuerError, r.Attempts, r.RetryAt = time.Time{}, "", 0, now
	if ours {
		r.IssuerNotified, r.RetryAt = now, time.Time{}
	}
	write := tx.Revocations().Update
	if !known {
		write = func(ctx context.Context, r *certctl.Revocation) error { return tx.Revocations().Insert(ctx, r) }
	}
	if err := write(ctx, r); err != nil {
		return nil, err
	}
	tx.Nudge(certctl.TopicRevocations, certctl.TopicEvents)
	action := "certificate_revoked"
	if in.Reason == revocation.CertificateHold {
		action = "certificate_held"
	}
	if err := audit(ctx, tx, action, "certificate", v.CertificateID, d); err != nil {
		return nil, err
	}
	return r, tx.Emit(ctx, certctl.CertificateVersionRevoked{CertificateID: v.CertificateID, Serial: v.Serial, Reason: in.Reason.String()})
}

// crlKeepers tells by issuer whether its CRL is signed here, or why that
// cannot be known now.
type crlKeepers map[string]crlKeeper

type crlKeeper struct {
	ours bool
	err  error
}

// known fails unless it is known who keeps the lists of all versions.
func (k crlKeepers) known(versions []*certctl.CertificateVersion) error {
	for _, v := range versions {
		keeper, ok := k[v.IssuerID]
		if !ok { // a version came in after the look
			return certctl.Errorf(certctl.ErrConflict, "another version was issued just now, by issuer %s; try again", v.IssuerID)
		}
		if keeper.err != nil {
			return fmt.Errorf("issuer %s cannot be opened: %w", v.IssuerID, keeper.err)
		}
	}
	return nil
}

// crlKeepers looks at the issuers of certificates' versions.
func (e *Engine) crlKeepers(ctx context.Context, certificateIDs ...string) (crlKeepers, error) {
	issuers := map[string]*certctl.Issuer{}
	err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		versions, err := all(ctx, r.Versions(), certctl.VersionFilter{CertificateIDs: certificateIDs})
		if err != nil {
			return err
		}
		for _, v := range versions {
			if issuers[v.IssuerID] != nil {
				continue
			}
			if issuers[v.IssuerID], err = r.Issuers().Get(ctx, v.IssuerID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := crlKeepers{}
	for id, row := range issuers {
		i, err := e.connect(ctx, row)
		if err != nil {
			out[id] = crlKeeper{err: err}
			continue
		}
		_, ours := issuer.As[issuer.SigningAuthority](i)
		out[id] = crlKeeper{ours: ours}
	}
	return out, nil
}

// issuersBehind reports whether an outside CA has to be told of a revocation now.
func (e *Engine) issuersBehind(ctx context.Context) (due bool, err error) {
	err = e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		released := false
		row, err := first(ctx, r.Revocations(), certctl.RevocationFilter{RetryBefore: r.Now(), Released: &released})
		due = row != nil
		return err
	})
	return due, err
}

// notifyIssuers tells outside CAs of revocations, each until it confirms.
func (e *Engine) notifyIssuers(ctx context.Context, t *tick) error {
	var due []*certctl.Revocation
	err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		released := false
		page, err := r.Revocations().List(ctx, certctl.RevocationFilter{RetryBefore: r.Now(), Released: &released}, certctl.Page{Limit: 100})
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
