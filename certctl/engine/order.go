package engine

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/policy"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/revocation"
)

// placeOrder commits the order of a job, with the serial that it reserves,
// before any CA acts (I1, I2).
func (e *Engine) placeOrder(ctx context.Context, held *certctl.Job) (bool, error) {
	c, err := e.certificate(ctx, held.CertificateID)
	if err != nil {
		return false, err
	}
	_, opened, err := e.openIssuer(ctx, c.IssuerID)
	if err != nil {
		return false, err
	}
	chooser, ok := issuer.As[issuer.SerialChooser](opened)
	chooses := ok && chooser.ChoosesSerial()
	more := true
	err = e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		j, err := tx.Jobs().Hold(ctx, held.ID, held.Fence)
		if err != nil {
			return err
		}
		c, err := tx.Certificates().Get(ctx, j.CertificateID)
		if err != nil {
			return err
		}
		if c.Status == certctl.CertificateRevoked || c.Status == certctl.CertificateArchived {
			more = false
			return e.abandon(ctx, tx, j, certctl.JobCancelled, "the certificate is "+string(c.Status))
		}
		refs, err := e.judgeCertificate(ctx, tx.Reader(), c)
		if err != nil {
			return err
		}
		if _, err := policy.CheckCSR(refs.profile, refs.request(c), []byte(j.CSRPEM)); err != nil {
			return err
		}
		now := tx.Now().Truncate(time.Second) // as certificates have it
		o := &certctl.Order{
			ID: certctl.NewID(certctl.PrefixOrder, now), CertificateID: c.ID, Generation: j.Generation, JobID: j.ID,
			IssuerID: c.IssuerID, State: certctl.OrderOpen, CSRPEM: j.CSRPEM,
			NotBefore: now.Add(-e.timing.Backdate), NotAfter: notAfter(now, c, refs.profile),
			CommonName: c.CommonName, SANs: c.SANs, NoRevocation: refs.profile.ShortLived(),
		}
		if refs.profile != nil {
			o.EKUs = refs.profile.AllowedEKUs
		}
		if chooses {
			serial := issuer.NewSerial()
			o.Serial, o.CRLShard = certctl.SerialText(serial), revocation.ShardOf(serial, publication(opened).Shards)
		}
		if err := tx.Orders().Insert(ctx, o); err != nil {
			return err
		}
		j.OrderID, j.LeaseUntil = o.ID, tx.Now().Add(e.timing.JobLease)
		if err := tx.Jobs().Update(ctx, j); err != nil {
			return err
		}
		*held = *j
		return audit(ctx, tx, "order_placed", "certificate", c.ID, details{"order_id": o.ID, "issuer_id": o.IssuerID, "serial": o.Serial, "generation": o.Generation})
	})
	return more, err
}

// notAfter is the wanted end of validity; zero leaves it to the issuer.
func notAfter(now time.Time, c *certctl.Certificate, p *certctl.Profile) time.Time {
	ttl := c.TTL
	if p != nil && p.MaxTTL > 0 && (ttl == 0 || ttl > p.MaxTTL) {
		ttl = p.MaxTTL
	}
	if ttl == 0 {
		return time.Time{}
	}
	return now.Add(ttl)
}

// order is all that a step of an order needs.
type order struct {
	order   *certctl.Order
	cert    *certctl.Certificate
	issuer  issuer.Issuer
	request *issuer.Request
}

// followOrder asks the CA, once, and stores the answer.
func (e *Engine) followOrder(ctx context.Context, held *certctl.Job) (bool, error) {
	o, err := e.loadOrder(ctx, held)
	if err != nil {
		return false, err
	}
	if o.cert.Status == certctl.CertificateRevoked || o.cert.Status == certctl.CertificateArchived {
		return false, &certctl.Failure{Outcome: certctl.Refused, Err: fmt.Errorf("the certificate is %s", o.cert.Status)}
	}
	if held.Attempts > 0 { // an earlier attempt may have succeeded unseen
		if f, ok := issuer.As[issuer.Finder](o.issuer); ok {
			found, err := f.Find(ctx, o.request)
			if err != nil {
				return false, err
			}
			if found != nil {
				return e.accept(ctx, held, o, found)
			}
		}
	}
	orderer := issuer.Ordering(o.issuer)
	at := &issuer.Order{Request: o.request, State: o.order.IssuerState}
	if o.order.IssuerState == nil {
		if at, err = orderer.Begin(ctx, o.request); err != nil {
			return false, err
		}
		if at.State != nil { // committed before it is relied upon
			return true, e.saveOrder(ctx, held, o, at, 0)
		}
	}
	if at.Issued == nil {
		if at, err = orderer.Poll(ctx, at); err != nil {
			return false, err
		}
	}
	if at.Issued == nil {
		return false, e.saveOrder(ctx, held, o, at, max(at.After, time.Second))
	}
	return e.accept(ctx, held, o, at.Issued)
}

// saveOrder stores the connector's state; a pause puts the job aside until
// the CA is asked again, which is no failed attempt.
func (e *Engine) saveOrder(ctx context.Context, held *certctl.Job, o *order, at *issuer.Order, pause time.Duration) error {
	return e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		j, err := tx.Jobs().Hold(ctx, held.ID, held.Fence)
		if err != nil {
			return err
		}
		row, err := tx.Orders().Get(ctx, o.order.ID)
		if err != nil {
			return err
		}
		row.IssuerState = at.State
		j.LeaseUntil = tx.Now().Add(e.timing.JobLease)
		if pause > 0 {
			if err := j.Become(certctl.JobPending); err != nil {
				return err
			}
			j.RunAt, row.PollAt = tx.Now().Add(pause), tx.Now().Add(pause)
			j.Waiting = "for the CA; it is asked again at " + j.RunAt.UTC().Format(time.RFC3339)
		}
		if err := tx.Orders().Update(ctx, row); err != nil {
			return err
		}
		if err := tx.Jobs().Update(ctx, j); err != nil {
			return err
		}
		*held = *j
		return nil
	})
}

func (e *Engine) loadOrder(ctx context.Context, j *certctl.Job) (*order, error) {
	o := &order{}
	var replaces *certctl.CertificateVersion
	err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
		if o.order, err = r.Orders().Get(ctx, j.OrderID); err != nil {
			return err
		}
		if o.cert, err = r.Certificates().Get(ctx, o.order.CertificateID); err != nil {
			return err
		}
		if o.cert.CurrentVersionID != "" {
			replaces, err = r.Versions().Get(ctx, o.cert.CurrentVersionID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if _, o.issuer, err = e.openIssuer(ctx, o.order.IssuerID); err != nil {
		return nil, err
	}
	return o, e.buildRequest(o, replaces)
}

// buildRequest is a pure function of stored rows: the same order makes the
// same request at every attempt.
func (e *Engine) buildRequest(o *order, replaces *certctl.CertificateVersion) error {
	block, _ := pem.Decode([]byte(o.order.CSRPEM))
	if block == nil {
		return certctl.Errorf(certctl.ErrInvalid, "the CSR of order %s is not PEM", o.order.ID)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return certctl.Errorf(certctl.ErrInvalid, "the CSR of order %s cannot be read: %v", o.order.ID, err)
	}
	names, problems := policy.SplitSANs(o.order.CommonName, o.order.SANs)
	if err := certctl.Invalid("certificate request", problems...); err != nil {
		return err
	}
	o.request = &issuer.Request{
		CSR: csr, CommonName: o.order.CommonName, DNSNames: names.DNS, IPs: names.IPs, Emails: names.Emails, URIs: names.URIs,
		EKUs: o.order.EKUs, NotBefore: o.order.NotBefore, NotAfter: o.order.NotAfter, Key: o.order.ID, NoRevocation: o.order.NoRevocation,
	}
	if o.order.Serial != "" {
		if o.request.Serial, err = certctl.ParseSerial(o.order.Serial); err != nil {
			return err
		}
	}
	if replaces != nil {
		b, err := parseVersion(replaces)
		if err != nil {
			return err
		}
		o.request.Replaces = b.Leaf()
	}
	if _, ours := issuer.As[issuer.SigningAuthority](o.issuer); ours {
		o.request.Endpoints = e.endpoints(o.order.IssuerID, publication(o.issuer), o.order.CRLShard)
	}
	return nil
}

func (e *Engine) certificate(ctx context.Context, id string) (c *certctl.Certificate, err error) {
	err = e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		c, err = r.Certificates().Get(ctx, id)
		return err
	})
	return c, err
}
