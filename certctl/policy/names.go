package policy

import (
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/certctl/certctl/certctl"
)

// MaxSANs is how many names one certificate may carry.
const MaxSANs = 100

// Names are the subject alternative names of a request, sorted by kind and
// normalised: DNS names in lower case, addresses in their canonical form,
// without repetitions.
type Names struct{ DNS, IPs, Emails, URIs []string }

// Len counts them.
func (n Names) Len() int { return len(n.DNS) + len(n.IPs) + len(n.Emails) + len(n.URIs) }

// All lists them, DNS names first.
func (n Names) All() []string { return slices.Concat(n.DNS, n.IPs, n.Emails, n.URIs) }

// Has reports whether a name, of whatever kind, is among them.
func (n Names) Has(name string) bool {
	kind, clean, _ := classify(name)
	return slices.Contains(*n.list(kind), clean)
}

type nameKind int

const (
	dnsName nameKind = iota
	ipName
	emailName
	uriName
)

func (n *Names) list(k nameKind) *[]string {
	return [...]*[]string{&n.DNS, &n.IPs, &n.Emails, &n.URIs}[k]
}

// SplitSANs sorts a common name and SANs by kind. A common name that can be a
// SAN becomes one: relying parties look at SANs alone (RFC 9525 section 2).
func SplitSANs(cn string, sans []string) (Names, []certctl.Problem) {
	var n Names
	var problems []certctl.Problem
	if len(sans) > MaxSANs {
		return n, []certctl.Problem{{Field: "sans", Message: fmt.Sprintf("there are %d names; at most %d go into one certificate", len(sans), MaxSANs)}}
	}
	add := func(name string) string {
		kind, clean, problem := classify(name)
		if problem == "" && !slices.Contains(*n.list(kind), clean) {
			*n.list(kind) = append(*n.list(kind), clean)
		}
		return problem
	}
	if cn != "" {
		if len([]rune(cn)) > 64 {
			problems = append(problems, certctl.Problem{Field: "common_name", Message: "is longer than 64 characters (RFC 5280 appendix A, ub-common-name); leave it empty and use SANs"})
		}
		if problem := badText(cn); problem != "" {
			problems = append(problems, certctl.Problem{Field: "common_name", Message: problem})
		} else if looksLikeName(cn) {
			if problem := add(cn); problem != "" {
				problems = append(problems, certctl.Problem{Field: "common_name", Message: problem})
			}
		}
	}
	for i, s := range sans {
		if problem := add(s); problem != "" {
			problems = append(problems, certctl.Problem{Field: fmt.Sprintf("sans[%d]", i), Message: problem})
		}
	}
	if n.Len() == 0 && len(problems) == 0 {
		problems = append(problems, certctl.Problem{Field: "sans", Message: "at least one name is needed: a DNS name, an IP address, an e-mail address or a URI"})
	}
	return n, problems
}

// looksLikeName tells "api.example.com" from "Jane Doe".
func looksLikeName(cn string) bool {
	return !strings.ContainsAny(cn, " ,=") && (strings.ContainsAny(cn, ".:@") || cn == "localhost" || isLabel(strings.ToLower(cn)))
}

func badText(s string) string {
	for _, r := range s {
		if r < 0x20 || r == 0x7f || r == '�' {
			return "holds a control character or broken UTF-8"
		}
	}
	return ""
}

func classify(name string) (kind nameKind, clean, problem string) {
	if problem := badText(name); problem != "" {
		return dnsName, "", problem
	}
	switch {
	case name == "":
		return dnsName, "", "is empty"
	case strings.Contains(name, "://"):
		return classifyURI(name)
	case strings.Contains(name, "@"):
		return classifyEmail(name)
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.Zone() != "" {
			return ipName, "", fmt.Sprintf("%.60q: an address in a certificate has no zone", name)
		}
		return ipName, ip.Unmap().String(), ""
	}
	return classifyDNS(name)
}

func classifyURI(name string) (nameKind, string, string) {
	u, err := url.Parse(name)
	if err != nil || u.Scheme == "" || u.Host == "" || len(name) > 2048 || !isASCII(name) {
		return uriName, "", fmt.Sprintf("%.60q is not an absolute URI with a host", name)
	}
	return uriName, u.String(), ""
}

func classifyEmail(name string) (nameKind, string, string) {
	a, err := mail.ParseAddress(name)
	if err != nil || a.Address != name || len(name) > 254 || !isASCII(name) {
		return emailName, "", fmt.Sprintf("%.60q is not an e-mail address", name)
	}
	local, host, _ := strings.Cut(name, "@")
	return emailName, local + "@" + strings.ToLower(host), ""
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7e }) < 0
}

// classifyDNS checks the preferred name syntax (RFC 5280 section 4.2.1.6, RFC
// 1034 section 3.5), with a wildcard as the whole left-most label alone.
func classifyDNS(name string) (nameKind, string, string) {
	clean := strings.ToLower(name)
	bad := func(why string) (nameKind, string, string) {
		return dnsName, "", fmt.Sprintf("%.60q: %s", name, why)
	}
	if !isASCII(name) {
		return bad("write an international name in its A-label form (xn--…)")
	}
	if len(clean) > 253 {
		return bad("a DNS name has at most 253 characters")
	}
	labels := strings.Split(clean, ".")
	if labels[0] == "*" {
		if len(labels) < 3 {
			return bad("a wildcard needs at least two labels below it, such as *.example.com")
		}
		labels = labels[1:]
	}
	for _, l := range labels {
		switch {
		case l == "":
			return bad("a DNS name has no empty label and no dot at its end")
		case strings.Contains(l, "*"):
			return bad("a wildcard is the whole left-most label, such as *.example.com")
		case strings.Contains(l, "_"):
			return bad("a host name has no underscore")
		case !isLabel(l):
			return bad("a label has 1 to 63 letters, digits and hyphens, and begins and ends without a hyphen")
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return bad("this is neither a DNS name nor an IP address")
	}
	return dnsName, clean, ""
}

func isLabel(l string) bool {
	return l != "" && len(l) <= 63 && l[0] != '-' && l[len(l)-1] != '-' &&
		strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
