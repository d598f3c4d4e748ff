package policy_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/certctl/policy"
)

func key(t testing.TB, a keys.Algorithm) crypto.Signer {
	t.Helper()
	k, err := keys.Generate(a)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func encode(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func csr(t testing.TB, k crypto.Signer, r x509.CertificateRequest) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &r, k)
	if err != nil {
		t.Fatal(err)
	}
	return encode(der)
}

func extension(oid string, der []byte) pkix.Extension {
	var id asn1.ObjectIdentifier
	for part := range strings.SplitSeq(oid, ".") {
		n, _ := new(big.Int).SetString(part, 10)
		id = append(id, int(n.Int64()))
	}
	return pkix.Extension{Id: id, Value: der}
}

var api = policy.Request{CommonName: "api.example.com", SANs: []string{"api.example.com", "10.0.0.1"}}

func TestGoodCSRs(t *testing.T) {
	for _, a := range keys.Algorithms {
		text := csr(t, key(t, a), x509.CertificateRequest{
			Subject: pkix.Name{CommonName: "api.example.com"}, DNSNames: []string{"API.example.com"}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)},
			ExtraExtensions: []pkix.Extension{extension("2.5.29.19", []byte{0x30, 0}), extension("2.5.29.15", []byte{3, 2, 7, 0x80}), extension("2.5.29.37", []byte{0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1})},
		})
		if _, err := policy.CheckCSR(nil, api, []byte(text)); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	if _, err := policy.CheckCSR(nil, api, []byte(csr(t, key(t, keys.Ed25519), x509.CertificateRequest{}))); err != nil {
		t.Errorf("names come from the request, so a CSR needs none: %v", err)
	}
}

// TestHostileCSRs: each is refused in little time, with a reason.
func TestHostileCSRs(t *testing.T) {
	k := key(t, keys.ECDSAP256)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatalf("this Go makes no RSA keys of 1024 bits; GODEBUG rsa1024min=0 lets it: %v", err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	many := make([]string, 10000)
	for i := range many {
		many[i] = strings.Repeat("a", 40) + big.NewInt(int64(i)).String() + ".example.com"
	}
	broken, _ := pem.Decode([]byte(csr(t, k, x509.CertificateRequest{})))
	broken.Bytes[len(broken.Bytes)-3] ^= 1
	good := csr(t, k, x509.CertificateRequest{})
	for name, c := range map[string]struct{ text, want string }{
		"extra name":       {csr(t, k, x509.CertificateRequest{DNSNames: []string{"api.example.com", "evil.example.com"}}), "evil.example.com"},
		"extra address":    {csr(t, k, x509.CertificateRequest{IPAddresses: []net.IP{net.IPv4(10, 0, 0, 2)}}), "10.0.0.2"},
		"other subject":    {csr(t, k, x509.CertificateRequest{Subject: pkix.Name{CommonName: "evil.example.com"}}), "evil.example.com"},
		"organization":     {csr(t, k, x509.CertificateRequest{Subject: pkix.Name{CommonName: "api.example.com", Organization: []string{"Evil Inc"}}}), "Evil Inc"},
		"wants to be a CA": {csr(t, k, x509.CertificateRequest{ExtraExtensions: []pkix.Extension{extension("2.5.29.19", []byte{0x30, 3, 1, 1, 0xff})}}), "CA:TRUE"},
		"CA key usage":     {csr(t, k, x509.CertificateRequest{ExtraExtensions: []pkix.Extension{extension("2.5.29.15", []byte{3, 2, 2, 4})}}), "keyCertSign"},
		"other EKU":        {csr(t, k, x509.CertificateRequest{ExtraExtensions: []pkix.Extension{extension("2.5.29.37", []byte{0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 3})}}), "codeSigning"},
		"constraints":      {csr(t, k, x509.CertificateRequest{ExtraExtensions: []pkix.Extension{extension("2.5.29.30", []byte{0x30, 0})}}), "2.5.29.30"},
		"short key":        {csr(t, short, x509.CertificateRequest{}), "too short"},
		"P-224":            {csr(t, p224, x509.CertificateRequest{}), "P-224"},
		"broken signature": {encode(broken.Bytes), "signature"},
		"10,000 names":     {csr(t, k, x509.CertificateRequest{DNSNames: many}), "octets long"},
		"2 MB":             {strings.Repeat("A", 2<<20), "octets long"},
		"empty":            {"", "not PEM"},
		"garbage":          {encode([]byte("hello")), "cannot be read"},
		"a private key":    {"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", "instead of CERTIFICATE REQUEST"},
		"two":              {good + good, "more than one"},
	} {
		begun := time.Now()
		_, err := policy.CheckCSR(nil, api, []byte(c.text))
		if !errors.Is(err, certctl.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if took := time.Since(begun); took > 500*time.Millisecond {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

func TestProfileOnCSR(t *testing.T) {
	p := &certctl.Profile{ID: "prof", AllowedKeyAlgorithms: []certctl.KeyRule{{Algorithm: "RSA", MinSize: 3072}}, AllowedEKUs: []string{"clientAuth"}}
	if _, err := policy.CheckCSR(p, api, []byte(csr(t, key(t, keys.RSA2048), x509.CertificateRequest{}))); err == nil || !strings.Contains(err.Error(), "RSA of 3072 bits or more") {
		t.Errorf("%v", err)
	}
	if _, err := policy.CheckCSR(p, api, []byte(csr(t, key(t, keys.RSA3072), x509.CertificateRequest{}))); err != nil {
		t.Error(err)
	}
}

func FuzzCheckCSR(f *testing.F) {
	f.Add(csr(f, key(f, keys.ECDSAP256), x509.CertificateRequest{DNSNames: []string{"api.example.com"}}))
	f.Fuzz(func(t *testing.T, text string) {
		r, err := policy.CheckCSR(nil, api, []byte(text))
		if (r == nil) == (err == nil) {
			t.Errorf("%v, %v", r, err)
		}
		if err != nil && !errors.Is(err, certctl.ErrInvalid) {
			t.Error(err)
		}
	})
}
