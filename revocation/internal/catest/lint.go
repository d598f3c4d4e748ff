package catest

import (
	"testing"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
	"golang.org/x/crypto/ocsp"
)

// LintCRL fails the test for every error and warning of zlint's CRL lints, RFC
// 5280's and all others.
func LintCRL(t testing.TB, der []byte) {
	t.Helper()
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatalf("zcrypto cannot read the CRL: %v", err)
	}
	report(t, "CRL", zlint.LintRevocationList(list))
}

// LintOCSP does so for an OCSP response. It must be one that
// golang.org/x/crypto/ocsp reads: not signed with Ed25519.
func LintOCSP(t testing.TB, der []byte) {
	t.Helper()
	response, err := ocsp.ParseResponse(der, nil)
	if err != nil {
		t.Fatalf("golang.org/x/crypto/ocsp cannot read the response: %v", err)
	}
	report(t, "OCSP response", zlint.LintOcspResponse(response))
}

// LintCertificate does so for a certificate, by the lints of RFC 5280.
func LintCertificate(t testing.TB, der []byte) {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("zcrypto cannot read the certificate: %v", err)
	}
	registry, err := lint.GlobalRegistry().Filter(lint.FilterOptions{
		IncludeSources: lint.SourceList{lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC6960, lint.Community},
	})
	if err != nil {
		t.Fatal(err)
	}
	report(t, "certificate", zlint.LintCertificateEx(cert, registry))
}

func report(t testing.TB, what string, results *zlint.ResultSet) {
	t.Helper()
	if results == nil || len(results.Results) == 0 {
		t.Fatalf("zlint ran no lint on the %s", what)
	}
	for name, r := range results.Results {
		if r.Status >= lint.Warn {
			t.Errorf("%s: %s: %s %s", what, name, r.Status, r.Details)
		}
	}
}
