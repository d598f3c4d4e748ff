package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/certctl/policy"
)

// RequestCertificate creates a managed certificate, binds it to its targets,
// and enqueues its issuance. With a CSR the server can issue at once; with
// targets their agent makes the key.
func (e *Engine) RequestCertificate(ctx context.Context, in CertificateRequest) (*Issuance, error) {
	c := &certctl.Certificate{
		ID: in.ID, Name: cmp.Or(in.Name, in.CommonName), CommonName: in.CommonName, SANs: in.SANs,
		Environment: in.Environment, OwnerID: in.OwnerID, TeamID: in.TeamID, IssuerID: in.IssuerID,
		RenewalPolicyID: cmp.Or(in.RenewalPolicyID, DefaultRenewalPolicy), ProfileID: in.ProfileID,
		KeyAlgorithm: cmp.Or(in.KeyAlgorithm, "ECDSA-P256"), TTL: in.TTL, Tags: in.Tags,
		Source: cmp.Or(in.Source, "API"), Status: certctl.CertificatePending,
	}
	if c.Name == "" && len(in.SANs) > 0 {
		c.Name = in.SANs[0]
	}
	if c.ID == "" {
		c.ID = certctl.NewID(certctl.PrefixCertificate, e.now())
	}
	if in.CSRPEM != "" && len(in.TargetIDs) > 0 {
		return nil, certctl.Invalid("certificate request", certctl.Problem{Field: "csr_pem",
			Message: "cannot be combined with target_ids: the agent of a target makes the key itself, so that it never leaves its host"})
	}
	var job *certctl.Job
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		fresh := *c // the transaction may run again
		refs, err := e.judgeCertificate(ctx, tx.Reader(), &fresh)
		if err != nil {
			return err
		}
		if in.CSRPEM != "" {
			if _, err := policy.CheckCSR(refs.profile, refs.request(&fresh), []byte(in.CSRPEM)); err != nil {
				return err
			}
		}
		if err := tx.Certificates().Insert(ctx, &fresh); err != nil {
			return err
		}
		for _, t := range in.TargetIDs {
			if _, err := e.bind(ctx, tx, &fresh, t); err != nil {
				return err
			}
		}
		if err := audit(ctx, tx, "certificate_requested", "certificate", fresh.ID, details{
			"common_name": fresh.CommonName, "sans": fresh.SANs, "issuer_id": fresh.IssuerID, "target_ids": in.TargetIDs,
		}); err != nil {
			return err
		}
		if job, err = e.enqueueIssuance(ctx, tx, &fresh, refs, certctl.JobIssuance, in.CSRPEM); err != nil {
			return err
		}
		*c = fresh
		return tx.Emit(ctx, certctl.CertificateChanged{CertificateID: fresh.ID, To: fresh.Status})
	})
	if err != nil {
		return nil, err
	}
	return &Issuance{Certificate: c, Job: job}, nil
}

// references are the rows that a certificate points to.
type references struct {
	issuer  *certctl.Issuer
	profile *certctl.Profile // nil without one
	policy  *certctl.RenewalPolicy
}

func (r *references) request(c *certctl.Certificate) policy.Request {
	return policy.Request{CommonName: c.CommonName, SANs: c.SANs, TTL: c.TTL}
}

// judgeCertificate checks everything about a certificate that can be checked
// before anybody acts, and reads what it refers to. An empty IssuerID becomes
// the only enabled issuer.
func (e *Engine) judgeCertificate(ctx context.Context, r certctl.Reader, c *certctl.Certificate) (*references, error) {
	problems := nameProblems(c.Name)
	if !certctl.ValidID(c.ID) {
		problems = append(problems, certctl.Problem{Field: "id", Message: "must be 1 to 128 letters, digits, dots, underscores or hyphens"})
	}
	if _, err := keys.ParseAlgorithm(c.KeyAlgorithm); err != nil {
		problems = append(problems, certctl.Problem{Field: "key_algorithm", Message: err.Error()})
	}
	refs, err := e.references(ctx, r, c, &problems)
	if err != nil {
		return nil, err
	}
	if refs.issuer != nil && !refs.issuer.Enabled {
		problems = append(problems, certctl.Problem{Field: "issuer_id", Message: "issuer " + c.IssuerID + " is disabled"})
	}
	if err := policy.CheckRequest(refs.profile, refs.request(c)); err != nil {
		more, ok := asInvalid(err)
		if !ok {
			return nil, err
		}
		problems = append(problems, more.Problems...)
	}
	return refs, certctl.Invalid("certificate request", problems...)
}

func (e *Engine) references(ctx context.Context, r certctl.Reader, c *certctl.Certificate, problems *[]certctl.Problem) (*references, error) {
	refs := &references{}
	if c.IssuerID == "" {
		enabled := true
		only, err := r.Issuers().List(ctx, certctl.IssuerFilter{Enabled: &enabled}, certctl.Page{Limit: 2})
		if err != nil {
			return nil, err
		}
		if len(only.Items) != 1 {
			*problems = append(*problems, certctl.Problem{Field: "issuer_id", Message: "is required unless exactly one issuer is enabled"})
		} else {
			c.IssuerID = only.Items[0].ID
		}
	}
	var err error
	if c.IssuerID != "" {
		refs.issuer, err = r.Issuers().Get(ctx, c.IssuerID)
		if err := orProblem(err, "issuer_id", "no such issuer: "+c.IssuerID, problems); err != nil {
			return nil, err
		}
	}
	refs.policy, err = r.RenewalPolicies().Get(ctx, c.RenewalPolicyID)
	if err := orProblem(err, "renewal_policy_id", "no such renewal policy: "+c.RenewalPolicyID, problems); err != nil {
		return nil, err
	}
	if c.ProfileID != "" {
		refs.profile, err = r.Profiles().Get(ctx, c.ProfileID)
		if err := orProblem(err, "certificate_profile_id", "no such profile: "+c.ProfileID, problems); err != nil {
			return nil, err
		}
		if refs.profile != nil && !refs.profile.Enabled {
			*problems = append(*problems, certctl.Problem{Field: "certificate_profile_id", Message: "profile " + c.ProfileID + " is disabled"})
		}
	}
	if c.OwnerID != "" {
		_, err = r.Owners().Get(ctx, c.OwnerID)
		if err := orProblem(err, "owner_id", "no such owner: "+c.OwnerID, problems); err != nil {
			return nil, err
		}
	}
	if c.TeamID != "" {
		_, err = r.Teams().Get(ctx, c.TeamID)
		if err := orProblem(err, "team_id", "no such team: "+c.TeamID, problems); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// UpdateCertificate changes what people may edit. Status, serial and dates are
// not among it: they are facts.
func (e *Engine) UpdateCertificate(ctx context.Context, id string, in CertificateChange, ifMatch int64) (*certctl.Certificate, error) {
	var c *certctl.Certificate
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) (err error) {
		if c, err = tx.Certificates().Get(ctx, id); err != nil {
			return err
		}
		if err := checkMatch("certificate", id, c.Revision, ifMatch); err != nil {
			return err
		}
		if c.Status == certctl.CertificateArchived {
			return certctl.Errorf(certctl.ErrIllegalTransition, "certificate %s is archived and cannot be changed", id)
		}
		in.apply(c)
		refs, err := e.judgeCertificate(ctx, tx.Reader(), c)
		if err != nil {
			return err
		}
		if c.CurrentVersionID != "" && in.RenewalPolicyID != nil {
			v, err := tx.Versions().Get(ctx, c.CurrentVersionID)
			if err != nil {
				return err
			}
			c.RenewAt = policy.RenewAt(refs.policy, v.CreatedAt, v.NotAfter, jitter())
		}
		if err := tx.Certificates().Update(ctx, c); err != nil {
			return err
		}
		return audit(ctx, tx, "certificate_updated", "certificate", id, nil)
	})
	return c, err
}

func (in CertificateChange) apply(c *certctl.Certificate) {
	for _, f := range []struct {
		from *string
		to   *string
	}{
		{in.Name, &c.Name}, {in.CommonName, &c.CommonName}, {in.Environment, &c.Environment}, {in.OwnerID, &c.OwnerID},
		{in.TeamID, &c.TeamID}, {in.IssuerID, &c.IssuerID}, {in.RenewalPolicyID, &c.RenewalPolicyID},
		{in.ProfileID, &c.ProfileID}, {in.KeyAlgorithm, &c.KeyAlgorithm},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if in.SANs != nil {
		c.SANs = slices.Clone(*in.SANs)
	}
	if in.TTL != nil {
		c.TTL = *in.TTL
	}
	if in.Tags != nil {
		c.Tags = *in.Tags
	}
}

// ArchiveCertificate takes a certificate out of management: it is not renewed
// and not deployed any more, its bindings and waiting jobs end, its record
// stays. It is not revoked by that.
func (e *Engine) ArchiveCertificate(ctx context.Context, id string, ifMatch int64) error {
	return e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		c, err := tx.Certificates().Get(ctx, id)
		if err != nil {
			return err
		}
		if err := checkMatch("certificate", id, c.Revision, ifMatch); err != nil {
			return err
		}
		if c.Status == certctl.CertificateArchived {
			return nil
		}
		if err := e.dropJobs(ctx, tx, c, "the certificate was archived"); err != nil {
			return err
		}
		bindings, err := all(ctx, tx.Bindings(), certctl.BindingFilter{CertificateIDs: []string{id}})
		if err != nil {
			return err
		}
		for _, b := range bindings {
			if err := tx.Bindings().Delete(ctx, b.ID); err != nil {
				return err
			}
		}
		from := c.Status
		if err := c.Become(certctl.CertificateArchived, "archived by "+certctl.ActorFrom(ctx).ID); err != nil {
			return err
		}
		c.RenewAt = time.Time{}
		if err := saveCertificate(ctx, tx, c, from); err != nil {
			return err
		}
		return audit(ctx, tx, "certificate_archived", "certificate", id, nil)
	})
}

// ExportPEM returns a version's certificate and chain; never a key, for keys
// are with agents alone. An empty serial is the current version.
func (e *Engine) ExportPEM(ctx context.Context, id, serial string) (*Export, error) {
	var out *Export
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		c, err := tx.Certificates().Get(ctx, id)
		if err != nil {
			return err
		}
		if serial == "" {
			serial = c.Serial
		}
		if serial == "" {
			return certctl.Errorf(certctl.ErrNotFound, "certificate %s has not been issued yet (it is %s)", id, c.Status)
		}
		n, err := certctl.ParseSerial(serial)
		if err != nil {
			return err
		}
		v, err := first(ctx, tx.Reader().Versions(), certctl.VersionFilter{CertificateIDs: []string{id}, Serial: certctl.SerialText(n)})
		if err != nil {
			return err
		}
		if v == nil {
			return certctl.Errorf(certctl.ErrNotFound, "certificate %s has no version with serial %s", id, serial)
		}
		out = &Export{Serial: v.Serial, CertPEM: v.CertPEM, ChainPEM: v.ChainPEM, FullPEM: v.CertPEM + v.ChainPEM}
		return audit(ctx, tx, "certificate_exported", "certificate", id, details{"format": "pem", "serial": v.Serial})
	})
	return out, err
}

// parseVersion reads a stored version's certificates, leaf first.
func parseVersion(v *certctl.CertificateVersion) (*chain.Bundle, error) {
	return chain.Parse([]byte(v.CertPEM + v.ChainPEM))
}
