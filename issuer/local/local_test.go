package local_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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

func open(t testing.TB, dir string, config map[string]any) issuer.Issuer {
	t.Helper()
	i, err := tryOpen(dir, config)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func tryOpen(dir string, config map[string]any) (issuer.Issuer, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	return local.Kind().Open(context.Background(), text, connector.Env{Now: time.Now, Vault: connector.DirVault(filepath.Join(dir, "vault"))})
}

func csr(t testing.TB, alg keys.Algorithm) (*x509.CertificateRequest, crypto.Signer) {
	t.Helper()
	key, err := keys.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return r, key
}

func authority(t testing.TB, i issuer.Issuer) []*x509.Certificate {
	t.Helper()
	a, ok := issuer.As[issuer.Authority](i)
	if !ok {
		t.Fatal("no authority")
	}
	certs, err := a.Certificates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return certs
}

var endpoints = issuer.Endpoints{
	CRL: []string{"http://pki.test/crl/iss-local"}, OCSP: []string{"http://pki.test/ocsp/iss-local"}, IssuerCertURL: []string{"http://pki.test/ca/iss-local"},
}

// TestMatrix issues from every kind of CA key for every kind of leaf key and
// shape of names, and has four foreign judges look.
func TestMatrix(t *testing.T) {
	shapes := map[string]issuer.Request{
		"common name":  {CommonName: "localhost", DNSNames: []string{"localhost", "demo.localhost"}, IPs: []string{"127.0.0.1", "::1"}},
		"no subject":   {DNSNames: []string{"localhost", "*.example.com"}},
		"address only": {DNSNames: []string{"localhost"}, IPs: []string{"10.1.2.3"}},
	}
	for _, caKey := range []keys.Algorithm{keys.ECDSAP256, keys.ECDSAP384, keys.RSA2048, keys.Ed25519} {
		dir := t.TempDir()
		ca := open(t, dir, map[string]any{"key_algorithm": caKey})
		root := authority(t, ca)[0]
		if err := lint.Certificate(root.Raw); err != nil {
			t.Errorf("CA with %s: %v", caKey, err)
		}
		for _, leafKey := range []keys.Algorithm{keys.ECDSAP256, keys.ECDSAP384, keys.RSA2048, keys.Ed25519} {
			request, key := csr(t, leafKey)
			for shape, r := range shapes {
				t.Run(fmt.Sprintf("%s/%s/%s", caKey, leafKey, shape), func(t *testing.T) {
					r.CSR, r.Endpoints, r.Serial = request, endpoints, issuer.NewSerial()
					out, err := ca.Issue(t.Context(), &r)
					if err != nil {
						t.Fatal(err)
					}
					if !chain.Match(out.Leaf, key) || out.Leaf.SerialNumber.Cmp(r.Serial) != 0 {
						t.Error("it is not for the key, or has not the serial that was asked for")
					}
					judgeLeaf(t, out.Leaf, leafKey, r.CommonName == "")
					judges(t, root, out.Leaf)
				})
			}
		}
	}
}

func judgeLeaf(t *testing.T, c *x509.Certificate, key keys.Algorithm, noSubject bool) {
	t.Helper()
	if err := lint.Certificate(c.Raw); err != nil {
		t.Error(err)
	}
	if has := c.KeyUsage&x509.KeyUsageKeyEncipherment != 0; has != (key == keys.RSA2048) {
		t.Errorf("keyEncipherment for %s: %v", key, has)
	}
	if len(c.SubjectKeyId) == 0 || len(c.AuthorityKeyId) == 0 || c.IsCA || !c.BasicConstraintsValid {
		t.Error("key identifiers or basic constraints are wrong")
	}
	for _, e := range c.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) && e.Critical != noSubject {
			t.Errorf("SAN critical: %v, empty subject: %v", e.Critical, noSubject)
		}
	}
	if back := time.Since(c.NotBefore); back < 4*time.Minute || back > 6*time.Minute {
		t.Errorf("NotBefore is %s back", back)
	}
	if len(c.CRLDistributionPoints) != 1 || len(c.OCSPServer) != 1 || len(c.IssuingCertificateURL) != 1 {
		t.Error("the pointers are not all there")
	}
}

// judges asks Go, OpenSSL, GnuTLS and NSS.
func judges(t *testing.T, root, leaf *x509.Certificate) {
	t.Helper()
	if err := chain.Verify(leaf, nil, []*x509.Certificate{root}, []string{"localhost"}, time.Now()); err != nil {
		t.Errorf("Go: %v", err)
	}
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca, cert := write("ca.pem", chain.EncodePEM(root)), write("leaf.pem", chain.EncodePEM(leaf))
	run(t, peer.Need(t, "openssl"), "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost", "-CAfile", ca, cert)
	run(t, peer.Need(t, "certtool"), "--verify", "--load-ca-certificate", ca, "--verify-hostname", "localhost", "--infile", cert)
	if root.PublicKeyAlgorithm == x509.Ed25519 || leaf.PublicKeyAlgorithm == x509.Ed25519 {
		return // NSS of Debian 12 knows no Ed25519 certificates
	}
	vfychain := peer.Need(t, "vfychain")
	run(t, peer.Need(t, "certutil"), "-N", "-d", "sql:"+dir, "--empty-password")
	run(t, peer.Need(t, "certutil"), "-A", "-d", "sql:"+dir, "-n", "root", "-t", "CT,C,C", "-i", ca)
	run(t, vfychain, "-d", "sql:"+dir, "-pp", "-u", "1", write("leaf.der", leaf.Raw))
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", filepath.Base(program), err, out)
	}
}

// TestSameRequestSameCertificate is what makes an issuance repeatable.
func TestSameRequestSameCertificate(t *testing.T) {
	for _, caKey := range []keys.Algorithm{keys.ECDSAP256, keys.ECDSAP384, keys.RSA2048, keys.Ed25519} {
		dir := t.TempDir()
		request, _ := csr(t, keys.ECDSAP256)
		now := time.Now().Truncate(time.Second)
		r := issuer.Request{CSR: request, DNSNames: []string{"a.example.com"}, Serial: issuer.NewSerial(), NotBefore: now.Add(-time.Minute), Endpoints: endpoints}
		var first []byte
		for range 3 {
			out, err := open(t, dir, map[string]any{"key_algorithm": caKey}).Issue(t.Context(), &r) // a new process each time
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = out.Leaf.Raw
			}
			if !bytes.Equal(first, out.Leaf.Raw) {
				t.Errorf("%s: the same request made another certificate", caKey)
			}
		}
	}
}

func TestValidity(t *testing.T) {
	ca := open(t, t.TempDir(), map[string]any{"ca_validity_days": 10, "validity_days": 5})
	root := authority(t, ca)[0]
	request, _ := csr(t, keys.ECDSAP256)
	issue := func(r issuer.Request) (*issuer.Issued, error) {
		r.CSR, r.DNSNames = request, []string{"a.example.com"}
		return ca.Issue(t.Context(), &r)
	}
	out, err := issue(issuer.Request{})
	if err != nil || time.Until(out.Leaf.NotAfter).Round(time.Hour) != 5*24*time.Hour {
		t.Errorf("default: %v, %v", out, err)
	}
	out, err = issue(issuer.Request{NotAfter: time.Now().Add(100 * 24 * time.Hour)})
	if err != nil || out.Leaf.NotAfter.After(root.NotAfter) {
		t.Errorf("it outlives its issuer: %v", err)
	}
	if _, err = issue(issuer.Request{NotAfter: time.Now().Add(-time.Hour)}); !errors.Is(err, issuer.ErrRefused) {
		t.Errorf("in the past: %v", err)
	}
}

func TestUsages(t *testing.T) {
	ca := open(t, t.TempDir(), nil)
	request, _ := csr(t, keys.RSA2048)
	out, err := ca.Issue(t.Context(), &issuer.Request{CSR: request, CommonName: "Jane Doe", Emails: []string{"jane@example.com"}, EKUs: []string{"emailProtection"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment; out.Leaf.KeyUsage != want {
		t.Errorf("S/MIME: %b", out.Leaf.KeyUsage)
	}
	if err := lint.Certificate(out.Leaf.Raw); err != nil {
		t.Error(err)
	}
	out, err = ca.Issue(t.Context(), &issuer.Request{CSR: request, DNSNames: []string{"a.example.com"}, NoRevocation: true, Endpoints: endpoints})
	if err != nil {
		t.Fatal(err)
	}
	noRev := slices.ContainsFunc(out.Leaf.Extensions, func(e pkix.Extension) bool { return e.Id.String() == "2.5.29.56" && !e.Critical })
	if !noRev || len(out.Leaf.CRLDistributionPoints)+len(out.Leaf.OCSPServer) != 0 {
		t.Error("a short-lived certificate has revocation pointers, or lacks noRevAvail")
	}
	for name, r := range map[string]issuer.Request{
		"unknown usage": {DNSNames: []string{"a.example.com"}, EKUs: []string{"everything"}}, "no name": {}, "no address": {IPs: []string{"1.2.3"}},
		"huge serial": {DNSNames: []string{"a.example.com"}, Serial: new(big.Int).Lsh(big.NewInt(1), 200)}, "zero serial": {DNSNames: []string{"a.example.com"}, Serial: new(big.Int)},
	} {
		r.CSR = request
		if _, err := ca.Issue(t.Context(), &r); !errors.Is(err, issuer.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSubCA runs below a root that OpenSSL made.
func TestSubCA(t *testing.T) {
	openssl, dir := peer.Need(t, "openssl"), t.TempDir()
	p := func(name string) string { return filepath.Join(dir, name) }
	run(t, openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", p("root.key"), "-out", p("root.pem"), "-subj", "/CN=Root", "-days", "30",
		"-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
	run(t, openssl, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", p("sub.key"), "-out", p("sub.csr"), "-subj", "/CN=Sub")
	if err := os.WriteFile(p("ext"), []byte("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, openssl, "x509", "-req", "-in", p("sub.csr"), "-CA", p("root.pem"), "-CAkey", p("root.key"), "-set_serial", "77", "-days", "20", "-extfile", p("ext"), "-out", p("sub.pem"))
	bundle := append(read(t, p("sub.pem")), read(t, p("root.pem"))...)
	if err := os.WriteFile(p("chain.pem"), bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sub.key", "root.key"} {
		if err := os.Chmod(p(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca := open(t, dir, map[string]any{"ca_cert_path": p("chain.pem"), "ca_key_path": p("sub.key")})
	request, _ := csr(t, keys.ECDSAP256)
	out, err := ca.Issue(t.Context(), &issuer.Request{CSR: request, DNSNames: []string{"a.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Chain) != 1 || out.Chain[0].Subject.CommonName != "Sub" {
		t.Errorf("chain: %v", out.Chain)
	}
	certs := authority(t, ca)
	if err := chain.Verify(out.Leaf, out.Chain, certs[len(certs)-1:], []string{"a.example.com"}, time.Now()); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		config map[string]any
		want   string
	}{
		"other key":     {map[string]any{"ca_cert_path": p("chain.pem"), "ca_key_path": p("root.key")}, "is not the key"},
		"half":          {map[string]any{"ca_cert_path": p("chain.pem")}, "set both or neither"},
		"no file":       {map[string]any{"ca_cert_path": p("none"), "ca_key_path": p("sub.key")}, "ca_cert_path"},
		"unknown field": {map[string]any{"ca_cert": "x", "validity_days": "long"}, "ca_cert: is not known here"},
	} {
		_, err := tryOpen(dir, c.config)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Chmod(p("sub.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOpen(dir, map[string]any{"ca_cert_path": p("chain.pem"), "ca_key_path": p("sub.key")}); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that everybody can read: %v", err)
	}
}

// TestKeyIsNeverMadeAnew: a CA whose key is lost is an error, not another CA.
func TestKeyIsNeverMadeAnew(t *testing.T) {
	dir := t.TempDir()
	before := authority(t, open(t, dir, nil))[0]
	if after := authority(t, open(t, dir, nil))[0]; !after.Equal(before) {
		t.Error("the second start made another CA")
	}
	if err := os.Remove(filepath.Join(dir, "vault", "ca-key")); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOpen(dir, nil); err == nil || !strings.Contains(err.Error(), "its key is gone") {
		t.Errorf("%v", err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func BenchmarkIssue(b *testing.B) {
	ca := open(b, b.TempDir(), nil)
	request, _ := csr(b, keys.ECDSAP256)
	for b.Loop() {
		if _, err := ca.Issue(b.Context(), &issuer.Request{CSR: request, DNSNames: []string{"a.example.com"}, Endpoints: endpoints}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFloor is the signature alone, for comparison.
func BenchmarkFloor(b *testing.B) {
	key, err := keys.Generate(keys.ECDSAP256)
	if err != nil {
		b.Fatal(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.example.com"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	for b.Loop() {
		if _, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key); err != nil {
			b.Fatal(err)
		}
	}
}
