// Package lint runs zlint over what a private CA signs: the rules of the RFCs.
// The rules of the CA/Browser Forum and of root programs are for publicly
// trusted names, and do not fit here.
package lint

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
	"golang.org/x/crypto/ocsp"
)

// Error lists what zlint finds wrong.
type Error struct {
	What     string   // "certificate", "CRL", "OCSP response"
	Findings []string // names of lints, with their details, at level error or fatal
	Warnings []string // the same at level warning; alone they are no error
}

func (e *Error) Error() string {
	return "the " + e.What + " does not pass zlint: " + strings.Join(e.Findings, "; ")
}

var sources = lint.SourceList{lint.RFC3279, lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC6960, lint.RFC8813}

// exempt are rules of these sources that do not fit: a SPIFFE trust domain need
// not be a fully qualified domain name (SPIFFE-ID section 2.1), as RFC 5280
// section 4.2.1.6 wants the host of a URI to be.
var exempt = []string{"e_ext_san_uri_host_not_fqdn_or_ip"}

// registry is zlint's own, filtered once: filtering takes longer than linting.
var registry = sync.OnceValues(func() (lint.Registry, error) {
	return lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: sources, ExcludeNames: exempt})
})

// Certificate judges a DER certificate, whatever its signature.
func Certificate(der []byte) error {
	r, err := registry()
	if err != nil {
		return err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("lint: the certificate cannot be read: %w", err)
	}
	return judge("certificate", zlint.LintCertificateEx(c, r))
}

// CRL judges a DER CRL.
func CRL(der []byte) error {
	r, err := registry()
	if err != nil {
		return err
	}
	c, err := x509.ParseRevocationList(der)
	if err != nil {
		return fmt.Errorf("lint: the CRL cannot be read: %w", err)
	}
	return judge("CRL", zlint.LintRevocationListEx(c, r))
}

// OCSP judges a DER OCSP response.
func OCSP(der []byte) error {
	r, err := registry()
	if err != nil {
		return err
	}
	o, err := ocsp.ParseResponse(der, nil)
	if err != nil {
		return fmt.Errorf("lint: the OCSP response cannot be read: %w", err)
	}
	return judge("OCSP response", zlint.LintOcspResponseEx(o, r))
}

func judge(what string, results *zlint.ResultSet) error {
	if results == nil {
		return fmt.Errorf("lint: the %s was not linted", what)
	}
	if !results.ErrorsPresent && !results.FatalsPresent {
		return nil
	}
	e := &Error{What: what}
	for name, r := range results.Results {
		text := strings.TrimSuffix(name+": "+r.Details, ": ")
		switch {
		case r.Status >= lint.Error:
			e.Findings = append(e.Findings, text)
		case r.Status == lint.Warn:
			e.Warnings = append(e.Warnings, text)
		}
	}
	slices.Sort(e.Findings)
	slices.Sort(e.Warnings)
	return e
}
