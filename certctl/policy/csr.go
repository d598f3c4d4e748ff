package policy

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/keys"
)

// MaxCSR bounds a CSR in PEM, in octets: room for an RSA-8192 key and 100 long
// names.
const MaxCSR = 64 << 10

// CheckCSR judges a CSR. It proves that the requester holds the key, and that
// is all it is good for: names come from the request, and a CSR that asks for
// anything beyond it is refused with the reason. The error is a
// *certctl.InvalidError with all problems.
func CheckCSR(p *certctl.Profile, r Request, csrPEM []byte) (*x509.CertificateRequest, error) {
	csr, problem := parseCSR(csrPEM)
	if problem != "" {
		return nil, certctl.Invalid("CSR", certctl.Problem{Field: "csr_pem", Message: problem})
	}
	var found []string
	names, problems := SplitSANs(r.CommonName, r.SANs)
	if len(problems) > 0 {
		return nil, certctl.Invalid("certificate request", problems...)
	}
	found = append(found, checkKey(p, csr)...)
	found = append(found, checkSubject(r, names, csr)...)
	found = append(found, checkNames(names, csr)...)
	found = append(found, checkExtensions(p, csr)...)
	if len(found) == 0 {
		return csr, nil
	}
	out := make([]certctl.Problem, len(found))
	for i, m := range found {
		out[i] = certctl.Problem{Field: "csr_pem", Message: m}
	}
	return nil, certctl.Invalid("CSR", out...)
}

func parseCSR(text []byte) (*x509.CertificateRequest, string) {
	if len(text) > MaxCSR {
		return nil, fmt.Sprintf("is %d octets long; the limit is %d", len(text), MaxCSR)
	}
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, "is not PEM (-----BEGIN CERTIFICATE REQUEST-----)"
	case block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST":
		return nil, fmt.Sprintf("holds a PEM block of type %.40q instead of CERTIFICATE REQUEST", block.Type)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, "holds more than one PEM block"
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, "cannot be read: " + err.Error()
	}
	// Before the signature, which is the dear part for a hostile key.
	if err := keys.CheckPublic(csr.PublicKey); err != nil {
		return nil, err.Error()
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, "its signature is not by its own key: " + err.Error()
	}
	return csr, ""
}

var defaultKeys = []certctl.KeyRule{{Algorithm: "RSA", MinSize: 2048}, {Algorithm: "ECDSA", MinSize: 256}, {Algorithm: "Ed25519"}}

func checkKey(p *certctl.Profile, csr *x509.CertificateRequest) []string {
	rules := defaultKeys
	if p != nil && len(p.AllowedKeyAlgorithms) > 0 {
		rules = p.AllowedKeyAlgorithms
	}
	algorithm, bits := keys.Describe(csr.PublicKey)
	allowed := make([]string, len(rules))
	for i, r := range rules {
		if r.Algorithm == algorithm && bits >= r.MinSize {
			return nil
		}
		allowed[i] = r.Algorithm
		if r.MinSize > 0 {
			allowed[i] += fmt.Sprintf(" of %d bits or more", r.MinSize)
		}
	}
	return []string{fmt.Sprintf("its %s key of %d bits is not allowed; allowed are %s", algorithm, bits, strings.Join(allowed, ", "))}
}

func checkSubject(r Request, names Names, csr *x509.CertificateRequest) []string {
	var out []string
	for _, a := range csr.Subject.Names {
		value, _ := a.Value.(string)
		if a.Type.Equal(asn1.ObjectIdentifier{2, 5, 4, 3}) && (value == r.CommonName || names.Has(value)) {
			continue
		}
		out = append(out, fmt.Sprintf("its subject says %s=%.80q, which was not requested", attributeName(a.Type), value))
	}
	return out
}

// attributeName is the short name of a subject attribute (RFC 4514 section 3).
func attributeName(oid asn1.ObjectIdentifier) string {
	if name := map[string]string{
		"2.5.4.3": "CN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "1.2.840.113549.1.9.1": "emailAddress",
	}[oid.String()]; name != "" {
		return name
	}
	return oid.String()
}

func checkNames(names Names, csr *x509.CertificateRequest) []string {
	asked := slices.Concat(csr.DNSNames, csr.EmailAddresses)
	for _, ip := range csr.IPAddresses {
		asked = append(asked, ip.String())
	}
	for _, u := range csr.URIs {
		asked = append(asked, u.String())
	}
	if len(asked) > MaxSANs {
		return []string{fmt.Sprintf("it asks for %d names; at most %d go into one certificate", len(asked), MaxSANs)}
	}
	var out []string
	for _, name := range asked {
		if !names.Has(name) {
			out = append(out, fmt.Sprintf("it asks for the name %.80q, which was not requested", name))
		}
	}
	return out
}

// OIDs of the extensions that a CSR may ask for (RFC 5280 section 4.2.1).
var (
	oidSubjectKeyID     = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSAN              = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
)

var ekuOIDs = map[string]string{
	"1.3.6.1.5.5.7.3.1": "serverAuth", "1.3.6.1.5.5.7.3.2": "clientAuth", "1.3.6.1.5.5.7.3.3": "codeSigning",
	"1.3.6.1.5.5.7.3.4": "emailProtection", "1.3.6.1.5.5.7.3.8": "timeStamping",
}

func checkExtensions(p *certctl.Profile, csr *x509.CertificateRequest) []string {
	var out []string
	for _, e := range csr.Extensions {
		switch {
		case e.Id.Equal(oidSubjectKeyID):
		case e.Id.Equal(oidSAN):
			out = append(out, checkSAN(e.Value)...)
		case e.Id.Equal(oidBasicConstraints):
			var bc struct {
				IsCA    bool `asn1:"optional"`
				PathLen int  `asn1:"optional,default:-1"`
			}
			if rest, err := asn1.Unmarshal(e.Value, &bc); err != nil || len(rest) > 0 || bc.IsCA {
				out = append(out, "it asks to be a CA (basicConstraints CA:TRUE)")
			}
		case e.Id.Equal(oidKeyUsage):
			var bits asn1.BitString
			if rest, err := asn1.Unmarshal(e.Value, &bits); err != nil || len(rest) > 0 || bits.At(5) == 1 || bits.At(6) == 1 {
				out = append(out, "it asks for the key usage of a CA (keyCertSign or cRLSign)")
			}
		case e.Id.Equal(oidExtKeyUsage):
			out = append(out, checkEKU(p, e.Value)...)
		default:
			out = append(out, fmt.Sprintf("it asks for the extension %s, which is not allowed in a CSR here", e.Id))
		}
	}
	return out
}

// generalNames are the kinds of names of RFC 5280 section 4.2.1.6, by their tag.
var generalNames = [...]string{
	"otherName", "rfc822Name", "dNSName", "x400Address", "directoryName", "ediPartyName", "uniformResourceIdentifier", "iPAddress", "registeredID",
}

// checkSAN refuses kinds of names that crypto/x509 passes over in silence, such
// as the user principal name (an otherName) that logs on to Windows.
func checkSAN(der []byte) []string {
	var names []asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &names); err != nil || len(rest) > 0 {
		return []string{"its subject alternative name cannot be read"}
	}
	var out []string
	for _, n := range names {
		switch {
		case n.Class != asn1.ClassContextSpecific || n.Tag >= len(generalNames):
			out = append(out, "it asks for a name of no known kind")
		case n.Tag != 1 && n.Tag != 2 && n.Tag != 6 && n.Tag != 7:
			out = append(out, fmt.Sprintf("it asks for a name of kind %s, which was not requested", generalNames[n.Tag]))
		}
	}
	return out
}

func checkEKU(p *certctl.Profile, der []byte) []string {
	var asked []asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(der, &asked); err != nil || len(rest) > 0 {
		return []string{"its extended key usage cannot be read"}
	}
	allowed := []string{"serverAuth"}
	if p != nil && len(p.AllowedEKUs) > 0 {
		allowed = p.AllowedEKUs
	}
	var out []string
	for _, oid := range asked {
		name := ekuOIDs[oid.String()]
		if name == "" {
			name = oid.String()
		}
		// Without a profile, agents of other makes ask for clientAuth by habit;
		// the certificate will not have it.
		if !slices.Contains(allowed, name) && !(name == "clientAuth" && (p == nil || len(p.AllowedEKUs) == 0)) {
			out = append(out, "it asks for the extended key usage "+name+", which was not requested")
		}
	}
	return out
}
