package agent

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/target"
)

// bundle makes what is to be served out of work, with the key that is here.
// Its errors are final: the same work would fail in the same way.
func (a *Agent) bundle(w api.Work) (*target.Bundle, *heldKey, error) {
	if err := checkID("certificate", w.CertificateID); err != nil {
		return nil, nil, err
	}
	leaves, err := parsePEM("certificate", w.CertPEM)
	if err != nil {
		return nil, nil, err
	}
	if len(leaves) != 1 {
		return nil, nil, fmt.Errorf("the control plane sent %d certificates where the one to deploy belongs", len(leaves))
	}
	above, err := parsePEM("chain", w.ChainPEM)
	if err != nil {
		return nil, nil, err
	}
	roots, err := parsePEM("roots", w.RootsPEM)
	if err != nil {
		return nil, nil, err
	}
	leaf := leaves[0]
	held, err := a.keys.find(w.CertificateID, leaf.PublicKey)
	if errors.Is(err, errNoKey) {
		return nil, nil, fmt.Errorf("the key of this certificate (%s, generation %d) is not on this agent; renew the certificate to make a new one: %w", w.CertificateID, w.Generation, err)
	}
	if err != nil {
		return nil, nil, err
	}
	return &target.Bundle{
		Leaf: leaf, Chain: above, Key: held.key, KeyPEM: held.pem, Roots: roots,
		CertificateID: w.CertificateID, Names: namesOf(leaf),
	}, held, nil
}

func parsePEM(what, text string) ([]*x509.Certificate, error) {
	if text == "" {
		return nil, nil
	}
	certs, err := chain.Certificates([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("the %s that the control plane sent cannot be read: %w", what, err)
	}
	return certs, nil
}

func namesOf(c *x509.Certificate) []string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	names = append(names, c.EmailAddresses...)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	return names
}
