package stepca

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/certctl/certctl/issuer"
)

// A name is a SAN with its kind, which a token does not carry: step-ca guesses
// it from the text.
type name struct{ kind, text string }

const (
	kindDNS   = "DNS name"
	kindIP    = "IP address"
	kindEmail = "e-mail address"
	kindURI   = "URI"
)

// same is what is compared: DNS names have no case (RFC 4343).
func (n name) same() name {
	if n.kind == kindDNS {
		n.text = strings.ToLower(n.text)
	}
	return n
}

// guess is how step-ca reads a SAN of a token.
func guess(text string) string {
	if net.ParseIP(text) != nil {
		return kindIP
	}
	if u, err := url.Parse(text); err == nil && u.Scheme != "" {
		return kindURI
	}
	if strings.Contains(text, "@") {
		return kindEmail
	}
	return kindDNS
}

func requested(req *issuer.Request) ([]name, error) {
	var out []name
	add := func(kind string, texts []string) error {
		for _, text := range texts {
			if text == "" || guess(text) != kind {
				return issuer.Refusedf("step-ca: %.80q is no %s; the CA would read it as another kind of name", text, kind)
			}
			if ip, err := netip.ParseAddr(text); kind == kindIP && err == nil {
				text = ip.Unmap().String()
			}
			out = append(out, name{kind, text})
		}
		return nil
	}
	err := cmp.Or(add(kindDNS, req.DNSNames), add(kindIP, req.IPs), add(kindEmail, req.Emails), add(kindURI, req.URIs))
	return out, err
}

func inCSR(req *issuer.Request) []name {
	var out []name
	for _, s := range req.CSR.DNSNames {
		out = append(out, name{kindDNS, s})
	}
	for _, ip := range req.CSR.IPAddresses {
		out = append(out, name{kindIP, ip.String()})
	}
	for _, s := range req.CSR.EmailAddresses {
		out = append(out, name{kindEmail, s})
	}
	for _, u := range req.CSR.URIs {
		out = append(out, name{kindURI, u.String()})
	}
	return out
}

// subject returns the names for the token: the subject, which step-ca makes the
// common name, and the SANs. step-ca takes them from the token and compares
// those of the CSR, and the template of a provisioner may take either; so both
// have to be the names of the request, or it is refused here.
func subject(req *issuer.Request) (sub string, sans []string, err error) {
	want, err := requested(req)
	if err != nil {
		return "", nil, err
	}
	if len(want) == 0 {
		return "", nil, issuer.Refusedf("step-ca: a certificate needs a name: there are no SANs")
	}
	have, cn := inCSR(req), req.CSR.Subject.CommonName
	holds := func(list []name, n name) int {
		return slices.IndexFunc(list, func(other name) bool { return other.same() == n.same() })
	}
	var missing, extra []string
	for _, n := range want {
		switch i := holds(have, n); {
		case i >= 0:
			n = have[i] // in the spelling of the CSR, with which step-ca compares
		case cn == "" || (name{n.kind, cn}).same() != n.same(): // an old-fashioned CSR names its host in the subject alone
			missing = append(missing, n.text)
		}
		if !slices.Contains(sans, n.text) {
			sans = append(sans, n.text)
		}
	}
	for _, n := range have {
		if holds(want, n) < 0 {
			extra = append(extra, n.text)
		}
	}
	if len(missing)+len(extra) > 0 {
		return "", nil, issuer.Refusedf("step-ca: the names of the CSR are not those of the request:%s%s; make a CSR with the names of the request", list("it lacks", missing), list("it has besides", extra))
	}
	sub = req.CommonName
	switch {
	case sub == "" && cn == "":
		sub = sans[0]
	case sub == "" && slices.Contains(sans, cn):
		sub = cn
	case sub == "":
		return "", nil, issuer.Refusedf("step-ca: the common name %.80q of the CSR is not among the names of the request", cn)
	case cn != "" && cn != sub:
		return "", nil, issuer.Refusedf("step-ca: the common name of the CSR is %.80q, that of the request %.80q; the CA compares them", cn, sub)
	}
	return sub, sans, nil
}

func list(before string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " " + before + " " + issuer.Clip(strings.Join(names, ", "))
}
