package crl_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/crl"
	"github.com/certctl/certctl/revocation/revocationtest"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 890, time.UTC)

// listed is a Source of given entries, in the given order.
type listed struct {
	serials  []*big.Int
	statuses []revocation.Status
	err      error // after the last one
}

func (l *listed) add(serial *big.Int, s revocation.Status) {
	l.serials, l.statuses = append(l.serials, serial), append(l.statuses, s)
}

func (l *listed) Status(context.Context, string, *big.Int) (revocation.Status, error) {
	return revocation.Status{}, errors.New("a CRL needs no single status")
}

func (l *listed) Revoked(_ context.Context, _ revocation.Selection, yield func(*big.Int, revocation.Status) error) error {
	for i := range l.serials {
		if err := yield(l.serials[i], l.statuses[i]); err != nil {
			return err
		}
	}
	return l.err
}

// random makes n entries of every sort. It is repeatable by its seed.
func random(seed uint64, n int) *listed {
	r := rand.New(rand.NewPCG(seed, 1))
	reasons := append(slices.Clone(revocation.Reasons), revocation.AACompromise)
	l := &listed{}
	for range n {
		octets := make([]byte, 1+r.IntN(20))
		for i := range octets {
			octets[i] = byte(r.Uint32())
		}
		s := revocation.Status{State: revocation.Revoked, Reason: reasons[r.IntN(len(reasons))],
			At: now.Add(-time.Duration(r.Int64N(int64(20 * 365 * 24 * time.Hour))))}
		if r.IntN(3) == 0 {
			s.Invalid = s.At.Add(-time.Duration(r.Int64N(int64(80 * 365 * 24 * time.Hour))))
		}
		l.add(new(big.Int).SetBytes(octets), s)
	}
	return l
}

func options(t testing.TB, ca *revocationtest.CA) crl.Options {
	t.Helper()
	number, err := crl.NextNumber(nil, now)
	if err != nil {
		t.Fatal(err)
	}
	return crl.Options{CA: ca.Cert, Signer: ca.Key, Number: number, ThisUpdate: now, NextUpdate: now.Add(24 * time.Hour)}
}

func build(t testing.TB, src revocation.Source, o crl.Options) *crl.List {
	t.Helper()
	list, err := crl.Build(t.Context(), src, o)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// reference is what crypto/x509 makes of the same entries.
func reference(t *testing.T, l *listed, o crl.Options) []byte {
	t.Helper()
	var entries []x509.RevocationListEntry
	for i, s := range l.statuses {
		e := x509.RevocationListEntry{SerialNumber: l.serials[i], RevocationTime: s.At, ReasonCode: int(s.Reason)}
		if !s.Invalid.IsZero() {
			value, err := asn1.MarshalWithParams(s.Invalid.UTC().Truncate(time.Second), "generalized")
			if err != nil {
				t.Fatal(err)
			}
			e.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 24}, Value: value}}
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b x509.RevocationListEntry) int { return a.SerialNumber.Cmp(b.SerialNumber) })
	entries = slices.CompactFunc(entries, func(a, b x509.RevocationListEntry) bool { return a.SerialNumber.Cmp(b.SerialNumber) == 0 })
	want, err := x509.CreateRevocationList(nil, &x509.RevocationList{
		Number: o.Number.Int(), ThisUpdate: o.ThisUpdate, NextUpdate: o.NextUpdate, RevokedCertificateEntries: entries,
	}, o.CA, o.Signer)
	if err != nil {
		t.Fatal(err)
	}
	return want
}

func TestIsOctetForOctetWhatCryptoX509Makes(t *testing.T) {
	for _, kind := range append(slices.Clone(revocationtest.KeyKinds), "p521") {
		t.Run(kind, func(t *testing.T) {
			o := options(t, revocationtest.NewCA(t, kind, "CRL CA", now))
			for seed, n := range []int{0, 1, 2, 3, 10, 200, 5000} {
				l := unique(random(uint64(seed), n))
				list := build(t, l, o)
				if want := reference(t, l, o); !bytes.Equal(list.DER, want) {
					t.Fatalf("%d entries: %d octets differ from the %d of crypto/x509", n, len(list.DER), len(want))
				}
				if list.Count != len(l.serials) || list.Number.Int().Cmp(o.Number.Int()) != 0 || !list.ThisUpdate.Equal(now.Truncate(time.Second)) {
					t.Errorf("%d entries: %d counted, number %v, thisUpdate %v", n, list.Count, list.Number, list.ThisUpdate)
				}
			}
			o.ThisUpdate, o.NextUpdate = time.Date(2049, 12, 31, 23, 0, 0, 0, time.UTC), time.Date(2050, 1, 1, 1, 0, 0, 0, time.UTC)
			l := unique(random(99, 50))
			l.statuses[0].At = o.ThisUpdate
			if !bytes.Equal(build(t, l, o).DER, reference(t, l, o)) {
				t.Error("differs from crypto/x509 around 2050")
			}
			o.ThisUpdate, o.NextUpdate = o.ThisUpdate.AddDate(3, 0, 0), o.NextUpdate.AddDate(3, 0, 0)
			l.statuses[0].At = time.Date(2051, 1, 1, 0, 0, 0, 0, time.UTC)
			if !bytes.Equal(build(t, l, o).DER, reference(t, l, o)) {
				t.Error("differs from crypto/x509 after 2050")
			}
		})
	}
}

// unique drops repeated serials.
func unique(l *listed) *listed {
	out, seen := &listed{}, map[string]bool{}
	for i, n := range l.serials {
		if !seen[n.String()] {
			seen[n.String()] = true
			out.add(n, l.statuses[i])
		}
	}
	return out
}

func TestTheOrderOfTheSourceDoesNotMatter(t *testing.T) {
	for _, kind := range revocationtest.KeyKinds {
		o := options(t, revocationtest.NewCA(t, kind, "CRL CA", now))
		l := unique(random(7, 300))
		first := build(t, l, o)
		slices.Reverse(l.serials)
		slices.Reverse(l.statuses)
		if again := build(t, l, o); !bytes.Equal(first.DER, again.DER) {
			t.Errorf("%s: two lists of the same facts differ", kind)
		}
	}
}

func TestARepeatedSerialIsListedOnceWithItsEarliestDate(t *testing.T) {
	o := options(t, revocationtest.NewCA(t, "p256", "CRL CA", now))
	l := &listed{}
	early := now.Add(-48 * time.Hour).Truncate(time.Second)
	for _, at := range []time.Time{now.Add(-time.Hour), early, now.Add(-24 * time.Hour)} {
		l.add(big.NewInt(77), revocation.Status{State: revocation.Revoked, At: at})
	}
	list := build(t, l, o)
	parsed := parse(t, list)
	if len(parsed.RevokedCertificateEntries) != 1 || list.Count != 1 || !parsed.RevokedCertificateEntries[0].RevocationTime.Equal(early) {
		t.Errorf("%d counted, %v listed", list.Count, parsed.RevokedCertificateEntries)
	}
}

func TestARevocationFromAFasterClockIsDatedAsTheList(t *testing.T) {
	o := options(t, revocationtest.NewCA(t, "p256", "CRL CA", now))
	l := &listed{}
	l.add(big.NewInt(5), revocation.Status{State: revocation.Revoked, At: now.Add(3 * time.Second)})
	entries := parse(t, build(t, l, o)).RevokedCertificateEntries
	if len(entries) != 1 || !entries[0].RevocationTime.Equal(now.Truncate(time.Second)) {
		t.Errorf("listed: %v", entries)
	}
}

func TestOddSerialsAreListedAsTheyAre(t *testing.T) {
	o := options(t, revocationtest.NewCA(t, "p256", "CRL CA", now))
	l := &listed{}
	long := new(big.Int).Lsh(big.NewInt(1), 900) // an entry with a long header
	for _, n := range []*big.Int{long, big.NewInt(0), big.NewInt(-3), big.NewInt(255), big.NewInt(-300)} {
		l.add(n, revocation.Status{State: revocation.Revoked, At: now.Add(-time.Hour), Reason: revocation.KeyCompromise, Invalid: now})
	}
	var got []*big.Int
	for _, e := range parse(t, build(t, l, o)).RevokedCertificateEntries {
		got = append(got, e.SerialNumber)
	}
	if len(got) != 5 || got[0].Sign() >= 0 || got[1].Sign() >= 0 || got[2].Sign() != 0 || got[3].Int64() != 255 || got[4].Cmp(long) != 0 {
		t.Errorf("listed %v", got)
	}
	l.add(new(big.Int).Lsh(big.NewInt(1), 2000), revocation.Status{State: revocation.Revoked, At: now})
	if _, err := crl.Build(t.Context(), l, o); err == nil {
		t.Error("a serial of 2000 bits is listed")
	}
}

func parse(t *testing.T, list *crl.List) *x509.RevocationList {
	t.Helper()
	parsed, err := x509.ParseRevocationList(list.DER)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestAnExpiredEntryAppearsOnceMoreAndThenLeaves(t *testing.T) {
	ca := revocationtest.NewCA(t, "p256", "CRL CA", now)
	var src revocationtest.Source
	serial, expiry := big.NewInt(1234), now.Add(10*time.Hour)
	src.Issue(ca.Cert, expiry, serial)
	if err := src.Revoke(ca.Cert, serial, revocation.Superseded, now.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   time.Duration
		want int
	}{{0, 1}, {9 * time.Hour, 1}, {11 * time.Hour, 1}, {12 * time.Hour, 0}} {
		o := options(t, ca)
		o.ThisUpdate, o.NextUpdate = now.Add(c.at), now.Add(c.at+24*time.Hour)
		list := build(t, &src, o)
		if list.Count != c.want {
			t.Errorf("%v: %d entries, want %d", c.at, list.Count, c.want)
		}
		src.Published(ca.Cert, 0, list.ThisUpdate)
	}
}

// liar signs something else.
type liar struct{ crypto.Signer }

func (l liar) Sign(rand io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	digest = bytes.Clone(digest)
	digest[0] ^= 1
	return l.Signer.Sign(rand, digest, o)
}

// deaf never signs.
type deaf struct{ crypto.Signer }

var errDeaf = errors.New("the key is away")

func (deaf) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errDeaf }

func TestNothingIsReturnedWhenAnythingIsWrong(t *testing.T) {
	ca, other := revocationtest.NewCA(t, "p256", "CRL CA", now), revocationtest.NewCA(t, "p256", "Other CA", now)
	noCRL := revocationtest.NewCAFrom(t, "p256", &x509.Certificate{NotBefore: now, NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true})
	noSKI := revocationtest.NewCAFrom(t, "p256", &x509.Certificate{NotBefore: now, NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageCRLSign})
	away, objection := errors.New("database away"), errors.New("lint objects")
	one := func(s revocation.Status) *listed {
		l := &listed{}
		l.add(big.NewInt(9), s)
		return l
	}
	good := one(revocation.Status{State: revocation.Revoked, At: now})
	for name, c := range map[string]struct {
		src    revocation.Source
		change func(*crl.Options)
		is     error
	}{
		"no CA":           {good, func(o *crl.Options) { o.CA = nil }, nil},
		"no signer":       {good, func(o *crl.Options) { o.Signer = nil }, nil},
		"no number":       {good, func(o *crl.Options) { o.Number = crl.Number{} }, nil},
		"another's key":   {good, func(o *crl.Options) { o.Signer = other.Key }, nil},
		"no cRLSign":      {good, func(o *crl.Options) { o.CA, o.Signer = noCRL.Cert, noCRL.Key }, nil},
		"no SKI":          {good, func(o *crl.Options) { o.CA, o.Signer = noSKI.Cert, noSKI.Key }, nil},
		"no validity":     {good, func(o *crl.Options) { o.NextUpdate = o.ThisUpdate }, nil},
		"year 10000":      {good, func(o *crl.Options) { o.NextUpdate = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, nil},
		"source fails":    {&listed{err: away}, func(*crl.Options) {}, away},
		"half a source":   {&listed{serials: good.serials, statuses: good.statuses, err: away}, func(*crl.Options) {}, away},
		"good on a CRL":   {one(revocation.Status{State: revocation.Good}), func(*crl.Options) {}, revocation.ErrBadStatus},
		"no date":         {one(revocation.Status{State: revocation.Revoked}), func(*crl.Options) {}, revocation.ErrBadStatus},
		"reason 7":        {one(revocation.Status{State: revocation.Revoked, At: now, Reason: 7}), func(*crl.Options) {}, revocation.ErrBadStatus},
		"removeFromCRL":   {one(revocation.Status{State: revocation.Revoked, At: now, Reason: revocation.RemoveFromCRL}), func(*crl.Options) {}, revocation.ErrBadStatus},
		"signer fails":    {good, func(o *crl.Options) { o.Signer = deaf{ca.Key} }, errDeaf},
		"signer lies":     {good, func(o *crl.Options) { o.Signer = liar{ca.Key} }, nil},
		"lint objects":    {good, func(o *crl.Options) { o.Lint = func([]byte) error { return objection } }, objection},
		"unknown CA":      {new(revocationtest.Source), func(*crl.Options) {}, revocation.ErrUnknownIssuer},
		"year 0 invalid.": {one(revocation.Status{State: revocation.Revoked, At: now, Invalid: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)}), func(*crl.Options) {}, nil},
	} {
		o := options(t, ca)
		c.change(&o)
		list, err := crl.Build(t.Context(), c.src, o)
		if err == nil || list != nil {
			t.Errorf("%s: %v, %v", name, list, err)
			continue
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v does not match %v", name, err, c.is)
		}
		if !strings.HasPrefix(err.Error(), "crl: ") {
			t.Errorf("%s: %q does not say where it comes from", name, err)
		}
	}
	if _, err := crl.Build(t.Context(), good, options(t, ca)); err != nil {
		t.Errorf("the sound case fails: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if list, err := crl.Build(cancelled, good, options(t, ca)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, %v", list, err)
	}
}
