package engine

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/certctl/policy"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/revocation"
)

// accept judges what a CA returned and stores it as the new version, with the
// deployments that follow, in one transaction.
func (e *Engine) accept(ctx context.Context, held *certctl.Job, o *order, issued *issuer.Issued) (bool, error) {
	authority, err := e.authority(ctx, o.issuer)
	if err != nil {
		return false, err
	}
	_, signing := issuer.As[issuer.SigningAuthority](o.issuer)
	if err := issuer.Judge(o.request, issued, authority, e.now()); err != nil {
		return false, &certctl.Failure{Outcome: certctl.Refused, Err: fmt.Errorf(
			"the CA returned a certificate (serial %s) that is not what was asked for, so it is not used: %w",
			certctl.SerialText(issued.Leaf.SerialNumber), err)}
	}
	v := e.version(o, issued, authority)
	return false, e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		j, err := tx.Jobs().Hold(ctx, held.ID, held.Fence)
		if err != nil {
			return err
		}
		row, err := tx.Orders().Get(ctx, o.order.ID)
		if err != nil {
			return err
		}
		if err := row.Become(certctl.OrderIssued); err != nil {
			return err
		}
		if err := tx.Orders().Update(ctx, row); err != nil {
			return err
		}
		v.CreatedAt = tx.Now()
		if err := tx.Versions().Insert(ctx, v); err != nil {
			return err
		}
		if err := endJob(ctx, tx, j, certctl.JobCompleted, ""); err != nil {
			return err
		}
		if err := audit(ctx, tx, "certificate_issued", "certificate", v.CertificateID, details{
			"serial": v.Serial, "not_after": v.NotAfter, "issuer_id": v.IssuerID, "generation": v.Generation, "fingerprint_sha256": v.Fingerprint,
		}); err != nil {
			return err
		}
		c, err := tx.Certificates().Get(ctx, v.CertificateID)
		if err != nil {
			return err
		}
		switch c.Status {
		case certctl.CertificateArchived:
			return nil
		case certctl.CertificateRevoked: // revoked while the CA was signing (I4)
			reason, err := revocation.ParseReason(c.RevocationReason)
			if err != nil {
				reason = revocation.Unspecified
			}
			_, err = e.revokeVersion(ctx, tx, v, reason, signing)
			return err
		}
		return e.adopt(ctx, tx, c, v)
	})
}

// version is the row of an issued certificate.
func (e *Engine) version(o *order, issued *issuer.Issued, authority []*x509.Certificate) *certctl.CertificateVersion {
	leaf := issued.Leaf
	algorithm, size := keys.Describe(leaf.PublicKey)
	v := &certctl.CertificateVersion{
		ID: certctl.NewID(certctl.PrefixVersion, e.now()), CertificateID: o.order.CertificateID, Generation: o.order.Generation,
		OrderID: o.order.ID, IssuerID: o.order.IssuerID, Serial: certctl.SerialText(leaf.SerialNumber),
		Fingerprint: chain.Fingerprint(leaf), SubjectCN: leaf.Subject.CommonName, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		KeyAlgorithm: algorithm, KeySize: size, CertPEM: string(chain.EncodePEM(leaf)), ChainPEM: string(chain.EncodePEM(issued.Chain...)),
		CSRPEM: o.order.CSRPEM, IssuerState: issued.State, NoRevocation: o.order.NoRevocation, CRLShard: o.order.CRLShard,
	}
	if ca := issuer.SignerOf(leaf, append(slices.Clone(issued.Chain), authority...)); ca != nil {
		v.IssuerKeyID = revocation.KeyID(ca)
	}
	return v
}

// adopt makes a version the current one of its certificate, sets the moment of
// its renewal, and sends it to every target.
func (e *Engine) adopt(ctx context.Context, tx certctl.Tx, c *certctl.Certificate, v *certctl.CertificateVersion) error {
	p, err := tx.RenewalPolicies().Get(ctx, c.RenewalPolicyID)
	if err != nil {
		return err
	}
	from := c.Status
	if err := c.Become(certctl.CertificateActive, ""); err != nil {
		return err
	}
	if v.Generation > 1 {
		c.LastRenewalAt = tx.Now()
	}
	c.Generation, c.CurrentVersionID, c.Serial, c.Fingerprint = v.Generation, v.ID, v.Serial, v.Fingerprint
	c.NotBefore, c.ExpiresAt, c.RenewalFailures = v.NotBefore, v.NotAfter, 0
	c.RenewAt = policy.RenewAt(p, v.CreatedAt, v.NotAfter, jitter())
	if err := saveCertificate(ctx, tx, c, from); err != nil {
		return err
	}
	bindings, err := all(ctx, tx.Bindings(), certctl.BindingFilter{CertificateIDs: []string{c.ID}})
	if err != nil {
		return err
	}
	for _, b := range bindings {
		if _, err := e.enqueueDeployment(ctx, tx, c, b); err != nil {
			return err
		}
	}
	tx.Nudge(certctl.TopicEvents, certctl.TopicCatalog)
	return tx.Emit(ctx, certctl.CertificateIssued{CertificateID: c.ID, VersionID: v.ID, Generation: v.Generation, Serial: v.Serial, NotAfter: v.NotAfter})
}
