package policy_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/certctl/policy"
)

// TestPatternsHoldEveryName: a pattern is for the whole name, and no kind of
// name gets past the patterns of a profile.
func TestPatternsHoldEveryName(t *testing.T) {
	hosts := `[a-z]+\.corp\.example`
	for name, c := range map[string]struct {
		profile certctl.Profile
		sans    []string
		refused bool
	}{
		"match":                         {certctl.Profile{RequiredSANPatterns: []string{hosts}}, []string{"web.corp.example"}, false},
		"alternatives":                  {certctl.Profile{RequiredSANPatterns: []string{"a|" + hosts, `10\.0\.0\.\d+`}}, []string{"web.corp.example", "10.0.0.7"}, false},
		"alternative is anchored":       {certctl.Profile{RequiredSANPatterns: []string{`a\.example|b\.example`}}, []string{"a.example.evil.com"}, true},
		"address":                       {certctl.Profile{RequiredSANPatterns: []string{hosts}}, []string{"web.corp.example", "10.0.0.7"}, true},
		"e-mail":                        {certctl.Profile{RequiredSANPatterns: []string{hosts}}, []string{"web.corp.example", "jane@corp.example"}, true},
		"URI without a pattern":         {certctl.Profile{RequiredSANPatterns: []string{hosts}}, []string{"web.corp.example", "spiffe://evil/web"}, true},
		"URI by a name pattern":         {certctl.Profile{RequiredSANPatterns: []string{hosts, `spiffe://corp/.*`}}, []string{"web.corp.example", "spiffe://corp/web"}, false},
		"URI has its own pattern":       {certctl.Profile{RequiredSANPatterns: []string{".*"}, SPIFFEURIPattern: `spiffe://corp/.*`}, []string{"spiffe://evil/web"}, true},
		"common name is held as well":   {certctl.Profile{RequiredSANPatterns: []string{hosts}}, []string{"CN:evil.example", "web.corp.example"}, true},
		"line feed does not end a name": {certctl.Profile{RequiredSANPatterns: []string{"(?m)web"}}, []string{"web.evil.com"}, true},
	} {
		r := policy.Request{}
		for _, s := range c.sans {
			if cn, ok := strings.CutPrefix(s, "CN:"); ok {
				r.CommonName = cn
				continue
			}
			r.SANs = append(r.SANs, s)
		}
		if err := policy.CheckRequest(&c.profile, r); (err != nil) != c.refused || (err != nil && !errors.Is(err, certctl.ErrInvalid)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPatternCannotLeaveItsAnchors: what would compile only together with the
// anchors is refused when the profile is stored, and matches nothing.
func TestPatternCannotLeaveItsAnchors(t *testing.T) {
	for _, pattern := range []string{`a)|(?:b`, `)|(`, `\Qa`, `(`} {
		p := &certctl.Profile{RequiredSANPatterns: []string{pattern}}
		if problems := policy.CheckProfile(p); len(problems) != 1 || problems[0].Field != "required_san_patterns[0]" {
			t.Errorf("%s: %v", pattern, problems)
		}
		if err := policy.CheckRequest(p, policy.Request{SANs: []string{"a.evil.com"}}); err == nil {
			t.Errorf("%s matches", pattern)
		}
	}
}

// TestNamesThatParsersPassOver: crypto/x509 shows none of these kinds.
func TestNamesThatParsersPassOver(t *testing.T) {
	api := policy.Request{SANs: []string{"api.example.com"}}
	dns := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte("api.example.com")}
	for kind, tag := range map[string]int{"otherName": 0, "x400Address": 3, "directoryName": 4, "ediPartyName": 5, "registeredID": 8, "no known kind": 11} {
		der, err := asn1.Marshal([]asn1.RawValue{dns, {Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: tag != 8, Bytes: []byte{5, 0}}})
		if err != nil {
			t.Fatal(err)
		}
		text := csr(t, key(t, keys.ECDSAP256), x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: der}}})
		if _, err := policy.CheckCSR(nil, api, []byte(text)); !errors.Is(err, certctl.ErrInvalid) || !strings.Contains(err.Error(), kind) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
