package chain_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/chain"
)

// certificate makes a CA certificate of a name under a parent.
func certificate(t testing.TB, name string, serial int64, pub, by *ecdsa.PrivateKey, parent *x509.Certificate) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return c
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestOneNameForAll: a hundred certificates that could all have signed each
// other, as far as their names tell, cost no more than a long chain.
func TestOneNameForAll(t *testing.T) {
	k := newKey(t)
	same := make([]*x509.Certificate, chain.MaxCertificates)
	for i := range same {
		c := certificate(t, "same", int64(i+1), k, k, nil)
		c.Signature = slices.Clone(c.Signature)
		c.Signature[20] ^= 1 // no signature is good, so each pair is tried
		same[i] = c
	}
	begun := time.Now()
	if b, err := chain.Sort(same); err == nil {
		t.Errorf("sorted into %d", len(b.Certificates))
	}
	one := time.Now()
	for range 300 { // what the limit allows
		_ = same[0].CheckSignatureFrom(same[1])
	}
	if took, limit := one.Sub(begun), 3*time.Since(one)+100*time.Millisecond; took > limit {
		t.Errorf("took %s; 300 signature checks take a third of %s", took, limit)
	}
	if got := chain.Build(same[0], same); len(got) > 0 {
		t.Errorf("built %d", len(got))
	}
}

// TestLongestChain: the limits let a hundred certificates in a row pass, in the
// worst order.
func TestLongestChain(t *testing.T) {
	k := newKey(t)
	certs := []*x509.Certificate{certificate(t, "ca 0", 1, k, k, nil)}
	for i := 1; i < chain.MaxCertificates; i++ {
		next := newKey(t)
		certs = append(certs, certificate(t, "ca "+big.NewInt(int64(i)).String(), int64(i+1), next, k, certs[i-1]))
		k = next
	}
	b, err := chain.Sort(certs)
	if err != nil || len(b.Certificates) != chain.MaxCertificates || !b.Leaf().Equal(certs[len(certs)-1]) {
		t.Fatal(err)
	}
	if _, err := chain.Sort(append(certs, certs[0])); err == nil {
		t.Error("101 certificates")
	}
	if got := chain.Build(b.Leaf(), certs); len(got) != chain.MaxCertificates-1 {
		t.Errorf("built %d", len(got))
	}
}

// TestKeyRollover: two CAs of one name, told apart by their keys, and one of
// them certified by another root too.
func TestKeyRollover(t *testing.T) {
	oldKey, newCA, otherKey, leafKey := newKey(t), newKey(t), newKey(t), newKey(t)
	old, fresh := certificate(t, "CA", 1, oldKey, oldKey, nil), certificate(t, "CA", 2, newCA, newCA, nil)
	other := certificate(t, "Other root", 3, otherKey, otherKey, nil)
	cross := certificate(t, "CA", 4, newCA, otherKey, other)
	leaf := certificate(t, "leaf", 5, leafKey, newCA, fresh)
	if got := chain.Build(leaf, []*x509.Certificate{old, fresh}); len(got) != 1 || !got[0].Equal(fresh) {
		t.Errorf("built %v", got)
	}
	b, err := chain.Sort([]*x509.Certificate{other, cross, leaf})
	if err != nil || !b.Issuers()[0].Equal(cross) || !b.Issuers()[1].Equal(other) {
		t.Errorf("%v", err)
	}
	if _, err := chain.Sort([]*x509.Certificate{leaf, old}); err == nil {
		t.Error("the other CA of that name passes")
	}
	if chain.SelfSigned(cross) || !chain.SelfSigned(fresh) {
		t.Error("SelfSigned")
	}
}
