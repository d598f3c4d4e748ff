package local_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/certctl/lint"
	"github.com/certctl/certctl/internal/peer"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/issuer/local"
)

// TestNames: the CA itself refuses what relying parties would read in two ways,
// whoever asks.
func TestNames(t *testing.T) {
	ca := open(t, t.TempDir(), nil)
	request, _ := csr(t, keys.ECDSAP256)
	dns := func(names ...string) issuer.Request { return issuer.Request{DNSNames: names} }
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf("h%d.example.com", i)
	}
	for name, r := range map[string]issuer.Request{
		"empty label": dns("a..b"), "dot at the end": dns("a.example.com."), "underscore": dns("a_b.example.com"), "hyphen": dns("-a.example.com"),
		"wildcard inside": dns("a.*.example.com"), "part of a label": dns("w*.example.com"), "wildcard of a TLD": dns("*.com"), "bare wildcard": dns("*"),
		"Unicode": dns("müller.example"), "NUL": dns("a.example.com\x00.evil.com"), "line feed": dns("a\nb.example.com"), "address as DNS": dns("10.0.0.1"),
		"long label": dns(strings.Repeat("a", 64) + ".com"), "long name": dns(strings.Repeat("abcdefg.", 32) + "com"), "URI as DNS": dns("https://a.example.com"), "empty": dns(""),
		"101 names": dns(many...), "zone": {IPs: []string{"fe80::1%eth0"}}, "name as address": {IPs: []string{"a.example.com"}},
		"e-mail": {Emails: []string{"Jane <jane@example.com>"}}, "e-mail in Unicode": {Emails: []string{"jäne@example.com"}},
		"relative URI": {URIs: []string{"/x"}}, "URI without host": {URIs: []string{"mailto:jane@example.com"}}, "URI in Unicode": {URIs: []string{"https://müller.example/"}},
		"other common name":       {CommonName: "b.example.com", DNSNames: []string{"a.example.com"}},
		"address as common name":  {CommonName: "10.0.0.2", DNSNames: []string{"a.example.com"}, IPs: []string{"10.0.0.1"}},
		"label as common name":    {CommonName: "admin", DNSNames: []string{"a.example.com"}},
		"NUL in the common name":  {CommonName: "a.example.com\x00", DNSNames: []string{"a.example.com"}},
		"UTF-8 broken":            {CommonName: "Printer \xff", DNSNames: []string{"a.example.com"}},
		"common name of 65":       {CommonName: strings.Repeat("a", 65), DNSNames: []string{strings.Repeat("a", 61) + ".com"}},
		"URI as other commonName": {CommonName: "spiffe://evil/x", URIs: []string{"spiffe://corp/x"}},
	} {
		r.CSR = request
		if out, err := ca.Issue(t.Context(), &r); !errors.Is(err, issuer.ErrRefused) || out != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, r := range map[string]issuer.Request{
		"upper case":         {CommonName: "A.Example.com", DNSNames: []string{"a.example.com"}},
		"A-label":            dns("xn--mller-kva.example"),
		"wildcard":           {CommonName: "*.example.com", DNSNames: []string{"*.example.com"}},
		"one label":          dns("printer"),
		"a sentence":         {CommonName: "Printer in room 5", DNSNames: []string{"printer"}},
		"IPv6":               {CommonName: "2001:db8::1", IPs: []string{"2001:DB8::1"}},
		"mapped":             {CommonName: "10.0.0.1", IPs: []string{"::ffff:10.0.0.1"}},
		"workload":           {URIs: []string{"spiffe://corp/web"}, EKUs: []string{"clientAuth", "serverAuth"}},
		"workload with CN":   {CommonName: "spiffe://corp/web", URIs: []string{"spiffe://corp/web"}},
		"person for clients": {CommonName: "jane", Emails: []string{"jane@example.com"}, EKUs: []string{"clientAuth"}},
		"all kinds":          {DNSNames: many[:96], IPs: []string{"10.0.0.1", "::1"}, Emails: []string{"a@example.com"}, URIs: []string{"https://a.example.com/x"}},
	} {
		r.CSR, r.Endpoints = request, endpoints
		out, err := ca.Issue(t.Context(), &r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := len(out.Leaf.DNSNames) + len(out.Leaf.IPAddresses) + len(out.Leaf.EmailAddresses) + len(out.Leaf.URIs); got != len(r.DNSNames)+len(r.IPs)+len(r.Emails)+len(r.URIs) || out.Leaf.Subject.CommonName != r.CommonName {
			t.Errorf("%s: %d names, common name %q", name, got, out.Leaf.Subject.CommonName)
		}
	}
}

// TestOnlyTheKeyOfACSR: whatever else a CSR asks for does not come to be.
func TestOnlyTheKeyOfACSR(t *testing.T) {
	ca := open(t, t.TempDir(), nil)
	key, err := keys.Generate(keys.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "evil.example.com", Organization: []string{"Evil Inc"}}, DNSNames: []string{"evil.example.com"}, IPAddresses: []net.IP{net.IPv4(6, 6, 6, 6)},
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}},
			{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: []byte{3, 2, 1, 6}},
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}},
		},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	out, err := ca.Issue(t.Context(), &issuer.Request{CSR: request, DNSNames: []string{"a.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Leaf
	if c.IsCA || len(c.Subject.Names) != 0 || len(c.DNSNames) != 1 || c.DNSNames[0] != "a.example.com" || len(c.IPAddresses) != 0 || c.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("CA %v, subject %q, names %v %v, usage %b", c.IsCA, c.Subject, c.DNSNames, c.IPAddresses, c.KeyUsage)
	}
	for _, e := range c.Extensions {
		if e.Id.String() == "1.3.6.1.5.5.7.1.24" {
			t.Error("must-staple was taken from the CSR")
		}
	}
}

func TestBadCSRs(t *testing.T) {
	ca := open(t, t.TempDir(), nil)
	good, _ := csr(t, keys.ECDSAP256)
	broken := *good
	broken.Signature = append([]byte{}, good.Signature...)
	broken.Signature[len(broken.Signature)-2] ^= 1
	exponent := *good
	p, err := rand.Prime(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	q, err := rand.Prime(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	exponent.PublicKey = &rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 3}
	for name, r := range map[string]*x509.CertificateRequest{"none": nil, "broken signature": &broken, "exponent 3": &exponent} {
		if _, err := ca.Issue(t.Context(), &issuer.Request{CSR: r, DNSNames: []string{"a.example.com"}}); !errors.Is(err, issuer.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ca.Issue(ctx, &issuer.Request{CSR: good, DNSNames: []string{"a.example.com"}}); !errors.Is(err, issuer.ErrNotDone) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// subCA has OpenSSL make a root and a CA below it with these extensions.
func subCA(t *testing.T, curve string, extensions ...string) (config map[string]any, dir string) {
	t.Helper()
	openssl := peer.Need(t, "openssl")
	dir = t.TempDir()
	p := func(name string) string { return filepath.Join(dir, name) }
	run(t, openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", p("root.key"), "-out", p("root.pem"), "-subj", "/CN=Root", "-days", "30",
		"-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
	run(t, openssl, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:"+curve, "-nodes", "-keyout", p("sub.key"), "-out", p("sub.csr"), "-subj", "/CN=Sub")
	if err := os.WriteFile(p("ext"), []byte(strings.Join(extensions, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, openssl, "x509", "-req", "-in", p("sub.csr"), "-CA", p("root.pem"), "-CAkey", p("root.key"), "-set_serial", "77", "-days", "20", "-extfile", p("ext"), "-out", p("sub.pem"))
	if err := os.WriteFile(p("chain.pem"), append(read(t, p("sub.pem")), read(t, p("root.pem"))...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p("sub.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]any{"ca_cert_path": p("chain.pem"), "ca_key_path": p("sub.key")}, dir
}

var caExtensions = []string{"basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign,cRLSign", "subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid"}

// TestConstraintsOfTheCA: what relying parties would refuse for the CA's own
// constraints is never signed; what they allow is accepted by OpenSSL too.
func TestConstraintsOfTheCA(t *testing.T) {
	config, dir := subCA(t, "P-521", append([]string{"nameConstraints=critical,permitted;DNS:corp.example", "extendedKeyUsage=clientAuth,serverAuth"}, caExtensions...)...)
	ca := open(t, dir, config)
	request, _ := csr(t, keys.ECDSAP256)
	out, err := ca.Issue(t.Context(), &issuer.Request{CSR: request, DNSNames: []string{"web.corp.example"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := lint.Certificate(out.Leaf.Raw); err != nil {
		t.Error(err)
	}
	leaf := filepath.Join(dir, "leaf.pem")
	if err := os.WriteFile(leaf, chain.EncodePEM(out.Leaf), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, peer.Need(t, "openssl"), "verify", "-x509_strict", "-CAfile", filepath.Join(dir, "root.pem"), "-untrusted", filepath.Join(dir, "sub.pem"), leaf)
	for name, r := range map[string]issuer.Request{
		"name outside":  {DNSNames: []string{"web.evil.example"}},
		"usage outside": {DNSNames: []string{"web.corp.example"}, EKUs: []string{"codeSigning"}},
	} {
		r.CSR = request
		if _, err := ca.Issue(t.Context(), &r); !errors.Is(err, issuer.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnfitCACertificates(t *testing.T) {
	for want, extensions := range map[string][]string{
		"no CA certificate":         {"basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", "subjectKeyIdentifier=hash"},
		"may not sign certificates": {"basicConstraints=critical,CA:TRUE", "keyUsage=critical,cRLSign", "subjectKeyIdentifier=hash"},
		"may not sign CRLs":         {"basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign", "subjectKeyIdentifier=hash"},
	} {
		config, dir := subCA(t, "P-256", extensions...)
		_, err := tryOpen(dir, config)
		if bad, ok := errors.AsType[*connector.ConfigError](err); !ok || bad.Problems[0].Field != "ca_cert_path" || !strings.Contains(err.Error(), want) || !errors.Is(err, issuer.ErrConfig) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestReplicasMakeOneCA: many that start at once on one vault end with one key
// and one certificate.
func TestReplicasMakeOneCA(t *testing.T) {
	vault := connector.DirVault(filepath.Join(t.TempDir(), "vault"))
	var group sync.WaitGroup
	certs := make([]*x509.Certificate, 8)
	for i := range certs {
		group.Go(func() {
			ca, err := local.Kind().Open(t.Context(), nil, connector.Env{Now: time.Now, Vault: vault})
			if err != nil {
				t.Error(err)
				return
			}
			certs[i] = authority(t, ca)[0]
		})
	}
	group.Wait()
	for _, c := range certs {
		if c == nil || !c.Equal(certs[0]) {
			t.Fatal("two replicas have two CAs")
		}
	}
}

// TestEndOfTheCA: near its end certificates become shorter, and after it there
// are none; Check says so before.
func TestEndOfTheCA(t *testing.T) {
	now := time.Now()
	ca, err := local.Kind().Open(t.Context(), []byte(`{"ca_validity_days":10,"validity_days":5}`), connector.Env{Now: func() time.Time { return now }, Vault: connector.DirVault(t.TempDir())})
	if err != nil {
		t.Fatal(err)
	}
	end := authority(t, ca)[0].NotAfter
	check, ok := issuer.As[issuer.Checker](ca)
	if !ok {
		t.Fatal("no checker")
	}
	request, _ := csr(t, keys.ECDSAP256)
	issue := func() (*issuer.Issued, error) {
		return ca.Issue(t.Context(), &issuer.Request{CSR: request, DNSNames: []string{"a.example.com"}})
	}
	now = end.Add(-time.Hour)
	if out, err := issue(); err != nil || !out.Leaf.NotAfter.Equal(end) || check.Check(t.Context()) != nil {
		t.Errorf("an hour before: %v, %v", err, check.Check(t.Context()))
	}
	now = end
	if _, err := issue(); !errors.Is(err, issuer.ErrRefused) {
		t.Errorf("at the end: %v", err)
	}
	if err := check.Check(t.Context()); !errors.Is(err, issuer.ErrConfig) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("check at the end: %v", err)
	}
}

// TestConcurrentUse: one CA, many requests, serials all different.
func TestConcurrentUse(t *testing.T) {
	ca := open(t, t.TempDir(), nil)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var serials sync.Map
	for i := range 16 {
		group.Go(func() {
			out, err := ca.Issue(t.Context(), &issuer.Request{CSR: request, DNSNames: []string{fmt.Sprintf("h%d.example.com", i)}})
			if err != nil {
				t.Error(err)
				return
			}
			if _, twice := serials.LoadOrStore(out.Leaf.SerialNumber.String(), i); twice {
				t.Error("a serial came twice")
			}
		})
	}
	group.Wait()
}
