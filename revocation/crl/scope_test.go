package crl_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/lint"
	"github.com/certctl/certctl/internal/peer"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/crl"
	"github.com/certctl/certctl/revocation/revocationtest"
)

// next is the number after another, or the first.
func next(t testing.TB, after crl.Number) crl.Number {
	t.Helper()
	n, err := crl.NextNumber(after.Int(), now)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestExtensionsAsCryptoX509WritesThem: with the extensions in ASN.1 by
// encoding/asn1, crypto/x509 makes the same octets.
func TestExtensionsAsCryptoX509WritesThem(t *testing.T) {
	type point struct {
		Name struct {
			Full []asn1.RawValue `asn1:"tag:0"`
		} `asn1:"tag:0"`
	}
	points := func(urls ...string) (p point) {
		for _, u := range urls {
			p.Name.Full = append(p.Name.Full, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(u)})
		}
		return p
	}
	extension := func(id int, critical bool, v any) pkix.Extension {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, id}, Critical: critical, Value: der}
	}
	long := "http://pki.example.com/" + strings.Repeat("long/", 60)
	ca := revocationtest.NewCA(t, "ed25519", "CRL CA", now)
	for name, c := range map[string]struct {
		change     func(*crl.Options)
		extensions []pkix.Extension
	}{
		"shard": {func(o *crl.Options) { o.Shard, o.Points = 3, []string{"http://pki.example.com/3", long} }, []pkix.Extension{extension(28, true, points("http://pki.example.com/3", long))}},
		"freshest": {func(o *crl.Options) { o.Freshest = []string{"http://pki.example.com/delta"} },
			[]pkix.Extension{extension(46, false, []point{points("http://pki.example.com/delta")})}},
		"delta of a shard": {func(o *crl.Options) {
			o.Shard, o.Points, o.Base, o.Number = 1, []string{"http://pki.example.com/1"}, o.Number, next(t, o.Number)
		}, []pkix.Extension{extension(28, true, points("http://pki.example.com/1")), extension(27, true, next(t, crl.Number{}).Int())}},
	} {
		o := options(t, ca)
		c.change(&o)
		list := build(t, &listed{}, o)
		want, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: o.Number.Int(), ThisUpdate: now.Truncate(time.Second), NextUpdate: now.Add(24 * time.Hour).Truncate(time.Second), ExtraExtensions: c.extensions,
		}, ca.Cert, ca.Key)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(list.DER, want) {
			t.Errorf("%s: %x, crypto/x509 makes %x", name, list.DER, want)
		}
		if err := lint.CRL(list.DER); err != nil { // the others only say that public CAs should not
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestScopesThatCannotBe(t *testing.T) {
	ca := revocationtest.NewCA(t, "p256", "CRL CA", now)
	for name, change := range map[string]func(*crl.Options){
		"shard without points": func(o *crl.Options) { o.Shard = 1 },
		"negative shard":       func(o *crl.Options) { o.Shard = -1 },
		"relative point":       func(o *crl.Options) { o.Shard, o.Points = 1, []string{"/crl"} },
		"point in Unicode":     func(o *crl.Options) { o.Shard, o.Points = 1, []string{"http://ä/crl"} },
		"base of the future":   func(o *crl.Options) { o.Base = next(t, o.Number) },
		"delta of a delta":     func(o *crl.Options) { o.Base, o.Freshest = o.Number, []string{"http://x/d"} },
		"delta and previous":   func(o *crl.Options) { o.Base, o.Previous = o.Number, []byte{0} },
		"previous is no list":  func(o *crl.Options) { o.Previous = []byte("<html>") },
	} {
		o := options(t, ca)
		change(&o)
		if list, err := crl.Build(t.Context(), &listed{}, o); err == nil || list != nil {
			t.Errorf("%s: %v", name, list)
		}
	}
}

// entriesOf are the serials of a list with their reasons.
func entriesOf(t *testing.T, list *crl.List) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, e := range parse(t, list).RevokedCertificateEntries {
		out[e.SerialNumber.String()] = e.ReasonCode
	}
	return out
}

// TestShardsAreAPartition: each entry is in the list of its shard, in no other,
// and in the list of everything.
func TestShardsAreAPartition(t *testing.T) {
	ca := revocationtest.NewCA(t, "p256", "CRL CA", now)
	src := &revocationtest.Source{Shards: 8}
	for i := range int64(200) {
		n := big.NewInt(i*7919 + 1)
		src.Issue(ca.Cert, now.AddDate(0, 1, 0), n)
		if err := src.Revoke(ca.Cert, n, revocation.KeyCompromise, now); err != nil {
			t.Fatal(err)
		}
	}
	all := entriesOf(t, build(t, src, options(t, ca)))
	seen := map[string]int{}
	for shard := 1; shard <= 8; shard++ {
		o := options(t, ca)
		o.Shard, o.Points = shard, []string{fmt.Sprintf("http://pki.example.com/%d", shard)}
		for serial := range entriesOf(t, build(t, src, o)) {
			if other, twice := seen[serial]; twice {
				t.Errorf("%s is in shard %d and %d", serial, other, shard)
			}
			seen[serial] = shard
			n, _ := new(big.Int).SetString(serial, 10)
			if revocation.ShardOf(n, 8) != shard {
				t.Errorf("%s is in shard %d", serial, shard)
			}
		}
	}
	if len(seen) != 200 || len(all) != 200 {
		t.Errorf("%d in shards, %d in all", len(seen), len(all))
	}
}

// TestDelta: base and delta together say what the list of everything says.
func TestDelta(t *testing.T) {
	ca := revocationtest.NewCA(t, "p256", "CRL CA", now)
	src := &revocationtest.Source{}
	serial := func(i int64) *big.Int { return big.NewInt(1000 + i) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range int64(20) {
		src.Issue(ca.Cert, now.AddDate(0, 1, 0), serial(i))
	}
	for i := range int64(5) {
		must(src.Revoke(ca.Cert, serial(i), revocation.Superseded, now))
	}
	must(src.Revoke(ca.Cert, serial(5), revocation.CertificateHold, now))
	must(src.Revoke(ca.Cert, serial(6), revocation.CertificateHold, now))
	o := options(t, ca)
	base := build(t, src, o)
	position, err := src.Changes(t.Context(), revocation.KeyID(ca.Cert), 0, func(*big.Int) error { return nil })
	must(err)

	must(src.Release(ca.Cert, serial(5)))
	must(src.Revoke(ca.Cert, serial(6), revocation.KeyCompromise, now)) // the hold became final
	must(src.Revoke(ca.Cert, serial(7), revocation.CertificateHold, now))
	must(src.Release(ca.Cert, serial(7)))
	must(src.Revoke(ca.Cert, serial(8), revocation.PrivilegeWithdrawn, now))
	o.Base, o.Since, o.Number = base.Number, position, next(t, base.Number)
	delta := build(t, src, o)
	want := map[string]int{"1005": 8, "1006": 1, "1007": 8, "1008": 9}
	if got := entriesOf(t, delta); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("delta %v, want %v", got, want)
	}
	merged := entriesOf(t, base)
	for s, reason := range entriesOf(t, delta) {
		if merged[s] = reason; reason == 8 {
			delete(merged, s)
		}
	}
	if all := entriesOf(t, build(t, src, options(t, ca))); fmt.Sprint(all) != fmt.Sprint(merged) {
		t.Errorf("base and delta say %v, the list of everything %v", merged, all)
	}
}

// TestPreviousMakesTheSame: a list made of the previous one and what changed is
// octet for octet the list made of everything.
func TestPreviousMakesTheSame(t *testing.T) {
	ca := revocationtest.NewCA(t, "ed25519", "CRL CA", now)
	r := mrand.New(mrand.NewPCG(7, 7))
	src := &revocationtest.Source{}
	var serials []*big.Int
	for range 400 {
		octets := make([]byte, 1+r.IntN(19))
		for i := range octets {
			octets[i] = byte(r.Uint32())
		}
		n := new(big.Int).SetBytes(octets)
		n.SetBit(n, 0, 1)
		serials = append(serials, n)
		src.Issue(ca.Cert, time.Time{}, n)
	}
	o := options(t, ca)
	whole := build(t, src, o)
	var position int64
	for round := range 60 {
		for range r.IntN(30) {
			n := serials[r.IntN(len(serials))]
			switch r.IntN(3) {
			case 0:
				_ = src.Release(ca.Cert, n) // unless it is not on hold
			case 1:
				_ = src.Revoke(ca.Cert, n, revocation.CertificateHold, now)
			default:
				_ = src.Revoke(ca.Cert, n, revocation.Reasons[r.IntN(len(revocation.Reasons))], now.Add(-time.Duration(round)*time.Hour))
			}
		}
		o.Number = next(t, o.Number)
		incremental := o
		incremental.Previous, incremental.Since = whole.DER, position
		got := build(t, src, incremental)
		whole = build(t, src, o)
		if !bytes.Equal(got.DER, whole.DER) || got.Count != whole.Count {
			t.Fatalf("round %d: %d entries, want %d", round, got.Count, whole.Count)
		}
		var err error
		if position, err = src.Changes(t.Context(), revocation.KeyID(ca.Cert), position, func(*big.Int) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if whole.Count < 50 {
		t.Fatalf("only %d entries: the test tries little", whole.Count)
	}
}

// TestOpenSSLJudgesShardAndDelta: a leaf whose CDP names a shard, and the
// freshest CRL beside it, verified by OpenSSL with -use_deltas.
func TestOpenSSLJudgesShardAndDelta(t *testing.T) {
	openssl := peer.Need(t, "openssl")
	at := time.Now()
	ca := revocationtest.NewCA(t, "p256", "CRL CA", at)
	src := &revocationtest.Source{Shards: 4}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	caFile := write("ca.pem", "CERTIFICATE", ca.Cert.Raw)
	leaf := func(n int64) (string, int) {
		serial := big.NewInt(n)
		shard := revocation.ShardOf(serial, 4)
		src.Issue(ca.Cert, at.AddDate(0, 1, 0), serial)
		key := revocationtest.NewKey(t, "p256")
		raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: serial, Subject: pkix.Name{CommonName: "leaf"}, NotBefore: at.Add(-time.Hour), NotAfter: at.AddDate(0, 1, 0),
			CRLDistributionPoints: []string{fmt.Sprintf("http://pki.example.com/%d", shard)},
		}, ca.Cert, key.Public(), ca.Key)
		if err != nil {
			t.Fatal(err)
		}
		return write(fmt.Sprintf("leaf%d.pem", n), "CERTIFICATE", raw), shard
	}
	good, shard := leaf(101)
	bad, badShard := leaf(105)
	if shard != badShard {
		t.Fatal("the test wants both in one shard")
	}
	number, err := crl.NextNumber(nil, at)
	if err != nil {
		t.Fatal(err)
	}
	o := crl.Options{
		CA: ca.Cert, Signer: ca.Key, Number: number, ThisUpdate: at.Add(-time.Minute), NextUpdate: at.Add(time.Hour),
		Shard: shard, Points: []string{fmt.Sprintf("http://pki.example.com/%d", shard)}, Freshest: []string{"http://pki.example.com/delta"},
	}
	base := build(t, src, o)
	other := o
	other.Shard, other.Points = shard%4+1, []string{fmt.Sprintf("http://pki.example.com/%d", shard%4+1)}
	wrong := write("wrong.pem", "X509 CRL", build(t, src, other).DER)
	if err := src.Revoke(ca.Cert, big.NewInt(105), revocation.KeyCompromise, at.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	d := o
	d.Base, d.Freshest, d.Number = base.Number, nil, next(t, base.Number)
	delta := build(t, src, d)
	lists := write("base.pem", "X509 CRL", base.DER)
	deltas := write("delta.pem", "X509 CRL", delta.DER)
	verify := func(leaf string, more ...string) (string, bool) {
		args := append([]string{"verify", "-CAfile", caFile, "-crl_check", "-extended_crl"}, more...)
		out, err := exec.CommandContext(t.Context(), openssl, append(args, leaf)...).CombinedOutput()
		return string(out), err == nil
	}
	for _, c := range []struct {
		name, leaf string
		lists      []string
		ok         bool
		says       string
	}{
		{"good, its shard", good, []string{"-CRLfile", lists}, true, "OK"},
		{"revoked since, base alone", bad, []string{"-CRLfile", lists}, true, "OK"},
		{"revoked since, with the delta", bad, []string{"-CRLfile", lists, "-CRLfile", deltas, "-use_deltas"}, false, "certificate revoked"},
		{"good, with the delta", good, []string{"-CRLfile", lists, "-CRLfile", deltas, "-use_deltas"}, true, "OK"},
		{"another shard's list", good, []string{"-CRLfile", wrong}, false, "scope"},
	} {
		if out, ok := verify(c.leaf, c.lists...); ok != c.ok || !strings.Contains(out, c.says) {
			t.Errorf("%s: %v\n%s", c.name, ok, out)
		}
	}
}
