package lint_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/lint"
	"golang.org/x/crypto/ocsp"
)

type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{key: key, cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1, 2, 3},
	}}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a authority) leaf(t testing.TB, change func(*x509.Certificate)) []byte {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "printer"}, DNSNames: []string{"printer"}, // no public name: fine for a private CA
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, SubjectKeyId: []byte{4, 5, 6},
	}
	change(c)
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// finds wants an *Error with a finding of that name, or none at all.
func finds(t *testing.T, name string, err error, want string) {
	t.Helper()
	found, ok := errors.AsType[*lint.Error](err)
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want == "":
	case !ok || !slices.ContainsFunc(found.Findings, func(f string) bool { return strings.HasPrefix(f, want) }):
		t.Errorf("%s: %v, want %s", name, err, want)
	case !strings.Contains(err.Error(), want) || !slices.IsSorted(found.Findings):
		t.Errorf("%s: %v", name, err)
	}
}

func TestCertificate(t *testing.T) {
	a := newAuthority(t)
	finds(t, "the CA", lint.Certificate(a.cert.Raw), "")
	san, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte("a.example.com")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*x509.Certificate)
		want   string
	}{
		"good":                {func(*x509.Certificate) {}, ""},
		"trust domain":        {func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "spiffe", Host: "corp", Path: "/web"}} }, ""},
		"long common name":    {func(c *x509.Certificate) { c.Subject.CommonName = strings.Repeat("x", 65) }, "e_subject_common_name_max_length"},
		"certSign without CA": {func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }, "e_ext_key_usage_cert_sign_without_ca"},
		"no subject, SAN not critical": {func(c *x509.Certificate) {
			c.Subject, c.DNSNames = pkix.Name{}, nil
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: san}}
		}, "e_ext_san_not_critical_without_subject"},
	} {
		finds(t, name, lint.Certificate(a.leaf(t, c.change)), c.want)
	}
}

// TestBrokenSignature: what is linted bears another key's signature, so the
// signature must not matter.
func TestBrokenSignature(t *testing.T) {
	der := newAuthority(t).leaf(t, func(*x509.Certificate) {})
	der[len(der)-4] ^= 1
	finds(t, "broken signature", lint.Certificate(der), "")
}

func TestCRL(t *testing.T) {
	a := newAuthority(t)
	now := time.Now().Truncate(time.Second)
	sign := func(e x509.RevocationListEntry) []byte {
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour), RevokedCertificateEntries: []x509.RevocationListEntry{e},
		}, a.cert, a.key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	serial := big.NewInt(7)
	finds(t, "good", lint.CRL(sign(x509.RevocationListEntry{SerialNumber: serial, RevocationTime: now.Add(-time.Minute), ReasonCode: 1})), "")
	finds(t, "revoked in the future", lint.CRL(sign(x509.RevocationListEntry{SerialNumber: serial, RevocationTime: now.Add(time.Minute)})), "e_crl_revocation_time_after_this_update")
	finds(t, "no such reason", lint.CRL(sign(x509.RevocationListEntry{SerialNumber: serial, RevocationTime: now, ReasonCode: 7})), "e_crl_has_valid_reason_code")
}

func TestOCSP(t *testing.T) {
	a := newAuthority(t)
	sign := func(thisUpdate time.Time) []byte {
		der, err := ocsp.CreateResponse(a.cert, a.cert, ocsp.Response{
			Status: ocsp.Good, SerialNumber: big.NewInt(7), ThisUpdate: thisUpdate, NextUpdate: thisUpdate.Add(time.Hour),
		}, a.key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	finds(t, "good", lint.OCSP(sign(time.Now().Add(-2*time.Minute))), "")
	finds(t, "from the future", lint.OCSP(sign(time.Now().Add(time.Hour))), "e_this_update_not_after_produced_at")
}

func TestGarbage(t *testing.T) {
	for name, judge := range map[string]func([]byte) error{"certificate": lint.Certificate, "CRL": lint.CRL, "OCSP": lint.OCSP} {
		for _, der := range [][]byte{nil, {0x30, 0}, []byte("hello")} {
			if err := judge(der); err == nil {
				t.Errorf("%s: %x passes", name, der)
			}
		}
	}
}

func BenchmarkCertificate(b *testing.B) {
	der := newAuthority(b).leaf(b, func(*x509.Certificate) {})
	for b.Loop() {
		if err := lint.Certificate(der); err != nil {
			b.Fatal(err)
		}
	}
}
