package stepca

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/issuer"
)

// Certificates returns the CA's issuing certificate, then those above it. A
// step-ca that does not list its intermediates is known by the chain of the last
// certificate that it issued here.
func (ca *CA) Certificates(ctx context.Context) ([]*x509.Certificate, error) {
	client, err := ca.client(ctx)
	if err != nil {
		return nil, err
	}
	list := func(path string) ([]*x509.Certificate, error) {
		var answer struct {
			Certificates []string `json:"crts"`
		}
		if err := ca.ask(ctx, client, path, &answer); err != nil {
			return nil, err
		}
		var out []*x509.Certificate
		for _, text := range answer.Certificates[:min(len(answer.Certificates), chain.MaxCertificates)] {
			certs, err := chain.Certificates([]byte(text))
			if err != nil {
				return nil, issuer.NotDonef("step-ca: a certificate in the answer to GET %s: %w", path, err)
			}
			out = append(out, certs...)
		}
		return out, nil
	}
	roots, err := list("/1.0/roots")
	if err != nil {
		return nil, err
	}
	issuing, err := list("/1.0/intermediates")
	if err != nil && !errors.Is(err, issuer.ErrConfig) {
		return nil, err
	}
	if len(issuing) == 0 {
		ca.mu.Lock()
		issuing = slices.Clone(ca.learned)
		ca.mu.Unlock()
	}
	if len(issuing) == 0 {
		return nil, issuer.NotDonef("step-ca: this CA tells its issuing certificate only together with a certificate; issue one first")
	}
	return append(issuing[:1:1], chain.Build(issuing[0], append(issuing[1:], roots...))...), nil
}

// Check reports whether the CA could issue now: it is healthy, and the
// provisioner is there and is the one of our key.
func (ca *CA) Check(ctx context.Context) error {
	client, err := ca.client(ctx)
	if err != nil {
		return err
	}
	var health struct{ Status string }
	if err := ca.ask(ctx, client, "/1.0/health", &health); err != nil {
		return err
	}
	if health.Status != "ok" {
		return issuer.NotDonef("step-ca: the CA says that its health is %.40q", health.Status)
	}
	p, err := ca.provisioner(ctx, client)
	if err != nil {
		return err
	}
	if p.Type == typeX5C {
		return ca.checkX5C(p)
	}
	var public jose.JSONWebKey
	if err := json.Unmarshal(p.Key, &public); err != nil {
		return issuer.NotDonef("step-ca: the public key of the provisioner %q cannot be read", p.Name)
	}
	cred := ca.own
	if cred == nil {
		if cred, err = ca.kept(ctx, p, &public); err != nil {
			return err
		}
	}
	if !keys.SameKey(public.Key, cred.key.Public()) {
		return wrong("provisioner_key_path", "the key is not the key of the provisioner %q", p.Name)
	}
	if public.KeyID != cred.kid {
		return wrong("provisioner_key_path", "the key has the id %.80q, and the provisioner %q knows it as %.80q", cred.kid, p.Name, public.KeyID)
	}
	return nil
}

// checkX5C judges our certificate as the provisioner will.
func (ca *CA) checkX5C(p *provisioner) error {
	roots, err := chain.Certificates(p.Roots)
	if err != nil {
		return issuer.NotDonef("step-ca: the roots of the provisioner %q: %w", p.Name, err)
	}
	own := ca.own.chain
	if err := chain.Verify(own[0], own[1:], roots, nil, ca.now()); err != nil {
		return wrong("x5c_cert_path", "the provisioner %q does not accept the certificate %q: %v", p.Name, own[0].Subject, err)
	}
	return nil
}
