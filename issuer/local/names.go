package local

import (
	"crypto/x509"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/certctl/certctl/issuer"
)

// maxNames is how many names one certificate may carry.
const maxNames = 100

// maxCommonName is ub-common-name of RFC 5280 appendix A.1, in characters.
const maxCommonName = 64

// names puts the names of a request into a certificate, each in the syntax of
// RFC 5280 section 4.2.1.6. What relying parties would read in two ways is
// refused.
func names(t *x509.Certificate, req *issuer.Request) error {
	switch n := len(req.DNSNames) + len(req.IPs) + len(req.Emails) + len(req.URIs); {
	case n == 0:
		return issuer.Refusedf("local CA: a certificate needs a name: there are no SANs")
	case n > maxNames:
		return issuer.Refusedf("local CA: there are %d names; at most %d go into one certificate", n, maxNames)
	}
	for _, s := range req.DNSNames {
		if why := badDNS(s); why != "" {
			return issuer.Refusedf("local CA: the DNS name %.80q %s", s, why)
		}
		t.DNSNames = append(t.DNSNames, s)
	}
	for _, s := range req.IPs {
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.Zone() != "" {
			return issuer.Refusedf("local CA: %.60q is no IP address", s)
		}
		t.IPAddresses = append(t.IPAddresses, ip.Unmap().AsSlice())
	}
	for _, s := range req.Emails {
		if a, err := mail.ParseAddress(s); err != nil || a.Address != s || !printable(s) {
			return issuer.Refusedf("local CA: %.80q is no e-mail address in ASCII", s)
		}
		t.EmailAddresses = append(t.EmailAddresses, s)
	}
	for _, s := range req.URIs {
		u, err := url.Parse(s)
		if err != nil || u.Scheme == "" || u.Host == "" || !printable(s) {
			return issuer.Refusedf("local CA: %.80q is no absolute URI with a host", s)
		}
		t.URIs = append(t.URIs, u)
	}
	return commonName(t, req)
}

// commonName allows none, or for servers one of the SANs: programs that still
// read it must not see another name than those that do not (RFC 9525 section
// 2, CA/B Forum BR 7.1.4.3).
func commonName(t *x509.Certificate, req *issuer.Request) error {
	cn := req.CommonName
	if n := len([]rune(cn)); n > maxCommonName {
		return issuer.Refusedf("local CA: the common name has %d characters, and at most %d are allowed (RFC 5280); leave it empty, since the name is a SAN anyway", n, maxCommonName)
	}
	if strings.ContainsFunc(cn, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\uFFFD' }) {
		return issuer.Refusedf("local CA: the common name %.80q holds a control character or broken UTF-8", cn)
	}
	server := len(req.EKUs) == 0 || slices.Contains(req.EKUs, "serverAuth")
	if cn == "" || !server {
		return nil
	}
	same := func(s string) bool { return strings.EqualFold(s, cn) }
	if slices.ContainsFunc(t.DNSNames, same) || slices.ContainsFunc(t.EmailAddresses, same) {
		return nil
	}
	if ip, err := netip.ParseAddr(cn); err == nil && slices.ContainsFunc(t.IPAddresses, func(other net.IP) bool { return other.Equal(net.IP(ip.AsSlice())) }) {
		return nil
	}
	if slices.ContainsFunc(t.URIs, func(u *url.URL) bool { return u.String() == cn }) || !hostLike(cn) {
		return nil
	}
	return issuer.Refusedf("local CA: the common name %.80q is not among the SANs", cn)
}

// hostLike tells "api.example.com" from "Printer in room 5", which no program
// takes for a host.
func hostLike(cn string) bool {
	return !strings.ContainsAny(cn, " ,=") && (strings.ContainsAny(cn, ".:@") || badDNS(cn) == "")
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= 0x20 || r > 0x7e })
}

// badDNS tells what is wrong with a DNS name (RFC 1034 section 3.5), or with a
// wildcard, which is the whole left-most label (RFC 9525 section 6.3).
func badDNS(name string) string {
	if len(name) > 253 {
		return "is longer than 253 characters"
	}
	labels := strings.Split(name, ".")
	if len(labels) > 2 && labels[0] == "*" {
		labels = labels[1:]
	}
	for _, l := range labels {
		switch {
		case l == "":
			return "has an empty label, or a dot at its end"
		case strings.Contains(l, "*"):
			return "has a wildcard that is not the whole left-most label of at least three"
		case len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-':
			return "has a label that is longer than 63 characters, or begins or ends with a hyphen"
		case strings.ContainsFunc(l, notHost):
			return "has a character that is no letter, digit or hyphen; write international names as A-labels (xn--…)"
		}
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return "ends in a number, so that it could be taken for an IP address"
	}
	return ""
}

func notHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
}
