package engine

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

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
	if err := e.judge(o, issued, authority); err != nil {
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
	if ca := signerOf(leaf, append(slices.Clone(issued.Chain), authority...)); ca != nil {
		v.IssuerKeyID = revocation.KeyID(ca)
	}
	return v
}

// signerOf finds the certificate whose key signed leaf.
func signerOf(leaf *x509.Certificate, candidates []*x509.Certificate) *x509.Certificate {
	for _, c := range candidates {
		if leaf.CheckSignatureFrom(c) == nil {
			return c
		}
	}
	return nil
}

// judge refuses a certificate that does not match its order: wrong key, wrong
// names, wrong dates, an issuer that did not sign it.
func (e *Engine) judge(o *order, issued *issuer.Issued, authority []*x509.Certificate) error {
	leaf, now := issued.Leaf, e.now()
	if !keys.SameKey(leaf.PublicKey, o.request.CSR.PublicKey) {
		return fmt.Errorf("its key is not the key of the CSR")
	}
	if leaf.IsCA {
		return fmt.Errorf("it is a CA certificate")
	}
	if !now.Before(leaf.NotAfter) || leaf.NotBefore.After(now.Add(24*time.Hour)) {
		return fmt.Errorf("it is valid from %s to %s", leaf.NotBefore, leaf.NotAfter)
	}
	if o.request.Serial != nil && leaf.SerialNumber.Cmp(o.request.Serial) != 0 {
		return fmt.Errorf("its serial number is not the reserved %s", certctl.SerialText(o.request.Serial))
	}
	if have, want := namesOf(leaf), wanted(o.names); !slices.Equal(have, want) {
		return fmt.Errorf("it names %s instead of %s", strings.Join(have, ", "), strings.Join(want, ", "))
	}
	if signerOf(leaf, append(slices.Clone(issued.Chain), authority...)) == nil {
		return fmt.Errorf("no certificate of its chain signed it")
	}
	return nil
}

func namesOf(c *x509.Certificate) []string {
	var out []string
	for _, n := range c.DNSNames {
		out = append(out, strings.ToLower(n))
	}
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	out = append(out, c.EmailAddresses...)
	for _, u := range c.URIs {
		out = append(out, u.String())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func wanted(n policy.Names) []string {
	out := slices.Concat(n.DNS, n.Emails, n.URIs)
	for _, s := range n.IPs {
		if ip, err := netip.ParseAddr(s); err == nil {
			s = ip.Unmap().String()
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return slices.Compact(out)
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
