package issuer

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl/keys"
)

// Judge refuses a certificate that is not what the request asked for: another
// key, other names, no time left, an issuer that did not sign it. authority are
// certificates of the CA that the chain may lack; now is the time to judge at.
// Whoever calls an Issuer judges its answer before using it.
func Judge(req *Request, issued *Issued, authority []*x509.Certificate, now time.Time) error {
	if issued == nil || issued.Leaf == nil {
		return errors.New("there is no certificate in it")
	}
	leaf := issued.Leaf
	if !keys.SameKey(leaf.PublicKey, req.CSR.PublicKey) {
		return errors.New("its key is not the key of the CSR")
	}
	if leaf.IsCA {
		return errors.New("it is a CA certificate")
	}
	if !now.Before(leaf.NotAfter) || leaf.NotBefore.After(now.Add(24*time.Hour)) {
		return fmt.Errorf("it is valid from %s to %s", leaf.NotBefore, leaf.NotAfter)
	}
	if req.Serial != nil && leaf.SerialNumber.Cmp(req.Serial) != 0 {
		return fmt.Errorf("its serial number is not the reserved %x", req.Serial)
	}
	if have, want := namesOf(leaf), req.names(); !slices.Equal(have, want) {
		return fmt.Errorf("it names %s instead of %s", strings.Join(have, ", "), strings.Join(want, ", "))
	}
	if SignerOf(leaf, append(slices.Clone(issued.Chain), authority...)) == nil {
		return errors.New("no certificate of its chain signed it")
	}
	return nil
}

// SignerOf finds the certificate whose key signed leaf; nil when none did.
func SignerOf(leaf *x509.Certificate, candidates []*x509.Certificate) *x509.Certificate {
	for _, c := range candidates {
		if leaf.CheckSignatureFrom(c) == nil {
			return c
		}
	}
	return nil
}

func namesOf(c *x509.Certificate) []string {
	out := slices.Clone(c.EmailAddresses)
	for _, n := range c.DNSNames {
		out = append(out, strings.ToLower(n))
	}
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	for _, u := range c.URIs {
		out = append(out, u.String())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// names are the subject alternative names that are asked for.
func (r *Request) names() []string {
	out := slices.Concat(r.Emails, r.URIs)
	for _, n := range r.DNSNames {
		out = append(out, strings.ToLower(n))
	}
	for _, s := range r.IPs {
		if ip, err := netip.ParseAddr(s); err == nil {
			s = ip.Unmap().String()
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
