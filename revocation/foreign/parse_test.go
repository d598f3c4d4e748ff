package foreign

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
)

// newCA makes a CA for the parser's own tests.
func newCA(t testing.TB) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Foreign CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte("foreign"),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return ca, key
}

func randomCRL(t testing.TB, ca *x509.Certificate, key *ecdsa.PrivateKey, r *mrand.Rand, n int) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(r.Int64()), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	for range n {
		serial := make([]byte, 1+r.IntN(20))
		for i := range serial {
			serial[i] = byte(r.Uint32())
		}
		e := x509.RevocationListEntry{SerialNumber: new(big.Int).SetBytes(serial), RevocationTime: time.Unix(r.Int64N(4e9), 0).UTC(), ReasonCode: []int{0, 1, 2, 3, 4, 5, 6, 9, 10}[r.IntN(9)]}
		if r.IntN(4) == 0 {
			e.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 24}, Value: append([]byte{0x18, 15}, time.Unix(r.Int64N(4e9), 0).UTC().Format("20060102150405Z")...)}}
		}
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, e)
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestReadsAsCryptoX509Does: every entry, reason and date of random CRLs.
func TestReadsAsCryptoX509Does(t *testing.T) {
	ca, key := newCA(t)
	r := mrand.New(mrand.NewPCG(3, 4))
	for range 300 {
		der := randomCRL(t, ca, key, r, r.IntN(40))
		want, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parse(ca, der, false)
		if err != nil {
			t.Fatal(err)
		}
		if got.Number.Cmp(want.Number) != 0 || !got.ThisUpdate.Equal(want.ThisUpdate) || !got.NextUpdate.Equal(want.NextUpdate) {
			t.Fatalf("%+v", got.List)
		}
		seen := map[string]time.Time{}
		for _, e := range want.RevokedCertificateEntries {
			name := e.SerialNumber.String()
			if at, twice := seen[name]; twice && at.Before(e.RevocationTime) {
				continue
			}
			seen[name] = e.RevocationTime
			rec, ok := got.revoked.find(e.SerialNumber)
			if !ok || rec.at > e.RevocationTime.Unix() || rec.at == e.RevocationTime.Unix() && len(want.RevokedCertificateEntries) == len(seen) && int(rec.reason) != e.ReasonCode {
				t.Fatalf("serial %s: %+v, crypto/x509 reads %+v", name, rec, e)
			}
		}
		if got.Entries != len(seen) {
			t.Fatalf("%d entries, want %d", got.Entries, len(seen))
		}
	}
}

// FuzzParseCRL: nothing but a Rejected comes back, and what is accepted is read
// as crypto/x509 reads it.
func FuzzParseCRL(f *testing.F) {
	ca, key := newCA(f)
	r := mrand.New(mrand.NewPCG(1, 2))
	f.Add(randomCRL(f, ca, key, r, 3))
	f.Add(randomCRL(f, ca, key, r, 0))
	f.Add([]byte("-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parse(ca, text, true)
		var rejected *Rejected
		if err != nil && !errors.As(err, &rejected) {
			t.Fatalf("%v is no Rejected", err)
		}
		if err != nil {
			// The fields, without the signature, must not panic either.
			fields := &parsed{only: true}
			_, _ = fields.readFields(ca, text)
			return
		}
		if _, err := x509.ParseRevocationList(p.DER); err != nil {
			t.Fatalf("accepted, and crypto/x509 says %v", err)
		}
	})
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte("V\t270101000000Z\t\t07\tunknown\t/CN=a\nR\t270101000000Z\t260101000000Z,keyTime,20260101000000Z\t08\tunknown\t/CN=b\n"))
	f.Add([]byte("# x\n0a\n0x0B\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		x, err := parseIndex(bytes.NewReader(text))
		var rejected *Rejected
		if err != nil && !errors.As(err, &rejected) {
			t.Fatalf("%v is no Rejected", err)
		}
		if err == nil && len(x.issued) > bytes.Count(text, []byte("\n"))+1 {
			t.Fatalf("%d serials in %q", len(x.issued), text)
		}
	})
}

// BenchmarkParseCRL reads a million entries, and reports the heap that they keep.
func BenchmarkParseCRL(b *testing.B) {
	ca, key := newCA(b)
	der := randomCRL(b, ca, key, mrand.New(mrand.NewPCG(1, 2)), 1_000_000)
	var index strings.Builder
	for i := range 2_000_000 {
		fmt.Fprintf(&index, "%032x\n", i)
	}
	b.Run("CRL of 1M", func(b *testing.B) {
		var p *parsed
		for b.Loop() {
			var err error
			if p, err = parse(ca, der, false); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(p.revoked.rows))*float64(len(key20{})+24)/(1<<20), "MiB")
	})
	b.Run("index of 2M", func(b *testing.B) {
		for b.Loop() {
			x, err := parseIndex(strings.NewReader(index.String()))
			if err != nil {
				b.Fatal(err)
			}
			runtime.KeepAlive(x)
		}
	})
	p, err := parse(ca, der, false)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("find", func(b *testing.B) {
		b.ReportAllocs()
		n := big.NewInt(123456789)
		for b.Loop() {
			p.revoked.find(n)
		}
	})
}

type key20 = key
