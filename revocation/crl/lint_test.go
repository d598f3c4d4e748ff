package crl_test

import (
	"testing"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	ours "github.com/certctl/certctl/certctl/lint"
)

// lintCRL fails the test for everything that certctl/lint finds, and for every
// warning of zlint's other CRL lints.
func lintCRL(t testing.TB, der []byte) {
	t.Helper()
	if err := ours.CRL(der); err != nil {
		t.Error(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatalf("zcrypto cannot read the CRL: %v", err)
	}
	report(t, zlint.LintRevocationList(list))
}

func report(t testing.TB, results *zlint.ResultSet) {
	t.Helper()
	if results == nil || len(results.Results) == 0 {
		t.Fatal("zlint ran no lint")
	}
	for name, r := range results.Results {
		if r.Status >= lint.Warn {
			t.Errorf("%s: %s %s", name, r.Status, r.Details)
		}
	}
}
