package ocsp_test

import (
	"encoding/asn1"
	"testing"

	"github.com/certctl/certctl/certctl/lint"
)

// lintOCSP fails the test for everything that certctl/lint finds in an OCSP
// response. The linter does not read signatures of Ed25519, so that certificates, with which it would, are left out first.
func lintOCSP(t testing.TB, der []byte) {
	t.Helper()
	der = withoutCerts(t, der)
	check(t, lint.OCSP(der))
}

// lintCertificate does so for a certificate.
func lintCertificate(t testing.TB, der []byte) {
	t.Helper()
	check(t, lint.Certificate(der))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// withoutCerts drops the certs of a BasicOCSPResponse, which are not signed.
func withoutCerts(t testing.TB, der []byte) []byte {
	t.Helper()
	type body struct {
		Type asn1.ObjectIdentifier
		DER  []byte
	}
	var outer struct {
		Status asn1.Enumerated
		Body   body `asn1:"explicit,tag:0"`
	}
	var basic struct {
		Data, Algorithm asn1.RawValue
		Signature       asn1.BitString
		Certs           asn1.RawValue `asn1:"optional"`
	}
	_, err := asn1.Unmarshal(der, &outer)
	if err == nil {
		_, err = asn1.Unmarshal(outer.Body.DER, &basic)
	}
	if err != nil {
		t.Fatalf("encoding/asn1 cannot read the response: %v", err)
	}
	basic.Certs = asn1.RawValue{}
	if outer.Body.DER, err = asn1.Marshal(basic); err != nil {
		t.Fatal(err)
	}
	if der, err = asn1.Marshal(outer); err != nil {
		t.Fatal(err)
	}
	return der
}
