package engine

import (
	"strconv"

	"github.com/certctl/certctl/issuer"
)

// pkiPath begins the paths that the PKI listener serves; package
// revocation/responder has the same.
const pkiPath = "/.well-known/pki/"

// publication is how an issuer's revocation data are published.
func publication(i issuer.Issuer) issuer.Publication {
	if p, ok := issuer.As[issuer.Publisher](i); ok {
		return p.Publication()
	}
	return issuer.Publication{}
}

// endpoints are what a certificate of one of our own CAs points to.
func (e *Engine) endpoints(issuerID string, p issuer.Publication, shard int) issuer.Endpoints {
	own := func(configured []string, kind string) []string {
		if len(configured) == 0 && e.pkiURL != "" {
			return []string{e.pkiURL + pkiPath + kind + "/" + issuerID}
		}
		return configured
	}
	out := issuer.Endpoints{CRL: below(own(p.CRL, "crl"), shard), OCSP: own(p.OCSP, "ocsp"), IssuerCertURL: own(p.IssuerCert, "ca")}
	if p.Delta {
		out.Freshest = deltas(out.CRL)
	}
	return out
}

// below are the URLs of a shard's list; of everything's for shard 0.
func below(urls []string, shard int) []string {
	if shard == 0 {
		return urls
	}
	out := make([]string, len(urls))
	for i, u := range urls {
		out[i] = u + "/" + strconv.Itoa(shard)
	}
	return out
}

func deltas(lists []string) []string {
	out := make([]string, len(lists))
	for i, u := range lists {
		out[i] = u + "/delta"
	}
	return out
}
