package chain_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/chain"
)

func issue(t testing.TB, name string, parent *x509.Certificate, by crypto.Signer) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: name != "leaf", BasicConstraintsValid: true, DNSNames: []string{"localhost"},
	}
	if parent == nil {
		parent, by = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func TestChains(t *testing.T) {
	root, rootKey := issue(t, "root", nil, nil)
	sub, subKey := issue(t, "sub", root, rootKey)
	leaf, leafKey := issue(t, "leaf", sub, subKey)
	stranger, _ := issue(t, "stranger", nil, nil)
	for _, order := range [][]*x509.Certificate{{leaf, sub, root}, {root, sub, leaf}, {sub, leaf, root}, {sub, leaf}} {
		b, err := chain.Parse(chain.EncodePEM(order...))
		if err != nil || !b.Leaf().Equal(leaf) || !b.Issuers()[0].Equal(sub) {
			t.Errorf("%v", err)
		}
	}
	if _, err := chain.Sort([]*x509.Certificate{leaf, sub, stranger}); err == nil {
		t.Error("a stranger was taken into the chain")
	}
	if got := chain.Build(leaf, []*x509.Certificate{stranger, root, sub}); len(got) != 2 || !got[1].Equal(root) || !chain.SelfSigned(got[1]) {
		t.Errorf("built %v", got)
	}
	if !chain.Match(leaf, leafKey) || chain.Match(leaf, subKey) {
		t.Error("Match is wrong")
	}
	if err := chain.Verify(leaf, []*x509.Certificate{sub}, []*x509.Certificate{root}, []string{"localhost"}, time.Now()); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"other root": chain.Verify(leaf, []*x509.Certificate{sub}, []*x509.Certificate{stranger}, nil, time.Now()),
		"no issuer":  chain.Verify(leaf, nil, []*x509.Certificate{root}, nil, time.Now()),
		"other name": chain.Verify(leaf, []*x509.Certificate{sub}, []*x509.Certificate{root}, []string{"example.com"}, time.Now()),
		"expired":    chain.Verify(leaf, []*x509.Certificate{sub}, []*x509.Certificate{root}, nil, time.Now().Add(2*time.Hour)),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestHostilePEM(t *testing.T) {
	c, _ := issue(t, "leaf", nil, nil)
	good := chain.EncodePEM(c)
	for name, text := range map[string][]byte{
		"empty": nil, "no certificate": []byte("hello"), "a key": []byte("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"), "cut off": good[:len(good)-40],
		"too large": bytes.Repeat([]byte("x"), 2<<20), "101 certificates": bytes.Repeat(good, 101), "begins alone": []byte(strings.Repeat("-----BEGIN CERTIFICATE-----\n", 30000)),
	} {
		begun := time.Now()
		if _, err := chain.Certificates(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
	if _, err := chain.Certificates(nil); !errors.Is(err, chain.ErrNoCertificate) {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	c, _ := issue(f, "leaf", nil, nil)
	f.Add(chain.EncodePEM(c))
	f.Fuzz(func(t *testing.T, text []byte) {
		if b, err := chain.Parse(text); (b == nil) == (err == nil) {
			t.Errorf("%v, %v", b, err)
		}
	})
}
