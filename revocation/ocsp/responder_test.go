package ocsp_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/revocationtest"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 890, time.UTC)

var (
	goodSerial  = new(big.Int).Lsh(big.NewInt(0x1234), 120)
	badSerial   = new(big.Int).Lsh(big.NewInt(0xff34), 120)
	neverIssued = big.NewInt(0xdead)
)

// bench is a CA with a source and a responder; the clock stands at its now.
type bench struct {
	ca        *revocationtest.CA
	src       *revocationtest.Source
	responder *ocsp.Responder
	now       time.Time
}

func newBench(t testing.TB, caKind, delegateKind string, more ...*ocsp.Issuer) *bench {
	t.Helper()
	b := &bench{ca: revocationtest.NewCA(t, caKind, "OCSP CA", now), src: &revocationtest.Source{}, now: now}
	credentials := ocsp.Credentials{CA: b.ca.Cert, Signer: b.ca.Key}
	if delegateKind != "" {
		credentials = b.ca.Delegate(t, delegateKind, now.Add(-time.Hour), now.AddDate(0, 1, 0))
	}
	b.src.Issue(b.ca.Cert, now.AddDate(0, 1, 0), goodSerial, badSerial)
	if err := b.src.Revoke(b.ca.Cert, badSerial, revocation.KeyCompromise, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.responder = b.with(t, ocsp.Fixed(append([]*ocsp.Issuer{revocationtest.Issuer(t, credentials)}, more...)...))
	return b
}

func (b *bench) with(t testing.TB, issuers func(context.Context) ([]*ocsp.Issuer, error)) *ocsp.Responder {
	t.Helper()
	r, err := ocsp.New(ocsp.Options{Source: b.src, Issuers: issuers, Now: func() time.Time { return b.now }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func request(t testing.TB, ca *x509.Certificate, nonce []byte, serials ...*big.Int) []byte {
	t.Helper()
	der, err := ocsp.NewRequest(ca, crypto.SHA1, nonce, serials...)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// answer asks about one serial and lets Verify judge the response.
func (b *bench) answer(t *testing.T, serial *big.Int) (ocsp.Answer, *ocsp.Response) {
	t.Helper()
	r := b.responder.Respond(t.Context(), request(t, b.ca.Cert, nil, serial))
	if r.Status != ocsp.Successful {
		t.Fatalf("%v: %v", r.Status, r.Err)
	}
	v, err := ocsp.Verify(r.DER, ocsp.VerifyOptions{CA: b.ca.Cert, Now: b.now})
	if err != nil {
		t.Fatal(err)
	}
	a, ok := v.Answer(serial)
	if !ok {
		t.Fatalf("no answer about %x", serial)
	}
	return a, r
}

func TestEveryKeySignsWhatGoAndZlintAccept(t *testing.T) {
	for _, caKind := range revocationtest.KeyKinds {
		for _, kind := range append([]string{""}, revocationtest.KeyKinds...) {
			t.Run(caKind+" CA, "+kind+" delegate", func(t *testing.T) {
				b := newBench(t, caKind, kind)
				for serial, want := range map[*big.Int]int{goodSerial: xocsp.Good, badSerial: xocsp.Revoked, neverIssued: xocsp.Unknown} {
					a, r := b.answer(t, serial)
					if int(a.Status.State) != map[int]int{xocsp.Good: 1, xocsp.Revoked: 2, xocsp.Unknown: 0}[want] {
						t.Errorf("%x is %v", serial, a.Status.State)
					}
					lintOCSP(t, r.DER)
					if kind == "ed25519" || kind == "" && caKind == "ed25519" {
						continue // golang.org/x/crypto/ocsp does not know the algorithm
					}
					theirs, err := xocsp.ParseResponse(r.DER, b.ca.Cert)
					if err != nil {
						t.Fatal(err)
					}
					if theirs.Status != want || theirs.SerialNumber.Cmp(serial) != 0 || len(theirs.ResponderKeyHash) != 20 ||
						!theirs.ThisUpdate.Equal(now.Truncate(time.Second)) || !theirs.NextUpdate.Equal(now.Truncate(time.Second).Add(time.Hour)) || theirs.ThisUpdate.After(theirs.ProducedAt) {
						t.Errorf("golang.org/x/crypto/ocsp reads %+v", theirs)
					}
					if (theirs.Certificate != nil) != (kind != "") {
						t.Errorf("certificate sent: %v", theirs.Certificate != nil)
					}
					if want == xocsp.Revoked && (theirs.RevocationReason != xocsp.KeyCompromise || !theirs.RevokedAt.Equal(now.Add(-time.Hour).Truncate(time.Second))) {
						t.Errorf("reason %d at %v", theirs.RevocationReason, theirs.RevokedAt)
					}
				}
			})
		}
	}
}

func TestEveryReasonAndDateIsSaid(t *testing.T) {
	b := newBench(t, "p256", "p256")
	for i, reason := range append(revocation.Reasons, revocation.AACompromise) {
		serial, at := big.NewInt(int64(1000+i)), now.AddDate(0, 0, -i).Truncate(time.Second)
		b.src.Issue(b.ca.Cert, time.Time{}, serial)
		if err := b.src.Revoke(b.ca.Cert, serial, reason, at); err != nil {
			t.Fatal(err)
		}
		a, r := b.answer(t, serial)
		if a.Status.State != revocation.Revoked || a.Status.Reason != reason || !a.Status.At.Equal(at) {
			t.Errorf("%v: %+v", reason, a.Status)
		}
		theirs, err := xocsp.ParseResponse(r.DER, b.ca.Cert)
		if err != nil || theirs.RevocationReason != int(reason) {
			t.Errorf("%v: golang.org/x/crypto/ocsp reads %+v, %v", reason, theirs, err)
		}
		if !r.Cacheable || len(r.Answers) != 1 || r.Answers[0].Status.Reason != reason {
			t.Errorf("%v: caching facts %+v", reason, r)
		}
	}
}

func TestHoldAndRelease(t *testing.T) {
	b := newBench(t, "p256", "p256")
	if err := b.src.Revoke(b.ca.Cert, goodSerial, revocation.CertificateHold, now); err != nil {
		t.Fatal(err)
	}
	if a, _ := b.answer(t, goodSerial); a.Status.State != revocation.Revoked || a.Status.Reason != revocation.CertificateHold {
		t.Errorf("held: %+v", a.Status)
	}
	if err := b.src.Release(b.ca.Cert, goodSerial); err != nil {
		t.Fatal(err)
	}
	if a, _ := b.answer(t, goodSerial); a.Status.State != revocation.Good {
		t.Errorf("released: %+v", a.Status)
	}
}

func TestARevocationFromAFasterClockIsRevokedNow(t *testing.T) {
	b := newBench(t, "p256", "p256")
	if err := b.src.Revoke(b.ca.Cert, goodSerial, revocation.Superseded, now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	a, _ := b.answer(t, goodSerial)
	if a.Status.State != revocation.Revoked || a.Status.At.After(a.ThisUpdate) {
		t.Errorf("%+v", a)
	}
}

func TestTheNonceIsEchoedAndMakesItUncacheable(t *testing.T) {
	b := newBench(t, "p256", "p256")
	for _, n := range []int{1, 16, 32, 128} {
		nonce := bytes.Repeat([]byte{byte(n)}, n)
		r := b.responder.Respond(t.Context(), request(t, b.ca.Cert, nonce, goodSerial))
		if r.Status != ocsp.Successful || r.Cacheable {
			t.Fatalf("%d octets: %v, cacheable %v", n, r.Status, r.Cacheable)
		}
		if _, err := ocsp.Verify(r.DER, ocsp.VerifyOptions{CA: b.ca.Cert, Now: now, Nonce: nonce}); err != nil {
			t.Errorf("%d octets: %v", n, err)
		}
		nonce[0] ^= 1
		if _, err := ocsp.Verify(r.DER, ocsp.VerifyOptions{CA: b.ca.Cert, Now: now, Nonce: nonce}); !errors.Is(err, ocsp.ErrUntrusted) {
			t.Errorf("another nonce: %v", err)
		}
	}
	if _, r := b.answer(t, neverIssued); r.Cacheable {
		t.Error("an unknown serial is cacheable: when it is issued it would stay unknown")
	}
}

func TestSeveralCertificatesInOneRequest(t *testing.T) {
	other := revocationtest.NewCA(t, "p256", "Second CA", now)
	second := revocationtest.Issuer(t, other.Delegate(t, "p256", now.Add(-time.Hour), now.Add(time.Hour)))
	b := newBench(t, "p256", "p256", second)
	b.src.Issue(other.Cert, time.Time{}, goodSerial)
	mine, err := ocsp.ParseRequest(request(t, b.ca.Cert, nil, goodSerial, badSerial, neverIssued))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ocsp.ParseRequest(request(t, other.Cert, nil, goodSerial))
	if err != nil {
		t.Fatal(err)
	}
	foreign := plain(9)
	ids := foreign
	for _, id := range append(mine.IDs, theirs.IDs...) {
		ids = append(ids, element(0x30, id.Raw)...)
	}
	r := b.responder.Respond(t.Context(), parts{ids: ids}.der())
	if r.Status != ocsp.Successful {
		t.Fatalf("%v: %v", r.Status, r.Err)
	}
	want := []revocation.State{revocation.Unknown, revocation.Good, revocation.Revoked, revocation.Unknown, revocation.Unknown}
	for i, a := range r.Answers {
		if a.Status.State != want[i] {
			t.Errorf("answer %d is %v, want %v", i, a.Status.State, want[i])
		}
	}
	v, err := ocsp.Verify(r.DER, ocsp.VerifyOptions{CA: b.ca.Cert, Now: now})
	if err != nil || len(v.Answers) != 3 {
		t.Fatalf("%+v, %v", v, err)
	}
	if a, _ := v.Answer(badSerial); a.Status.Reason != revocation.KeyCompromise {
		t.Errorf("%+v", a)
	}
	// The second CA's certificates are answered by its own delegate.
	r = b.responder.Respond(t.Context(), request(t, other.Cert, nil, goodSerial))
	if v, err := ocsp.Verify(r.DER, ocsp.VerifyOptions{CA: other.Cert, Now: now}); err != nil || v.Answers[0].Status.State != revocation.Good {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestEveryHashNamesTheIssuer(t *testing.T) {
	b := newBench(t, "p256", "p256")
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		der, err := ocsp.NewRequest(b.ca.Cert, hash, nil, badSerial)
		if err != nil {
			t.Fatal(err)
		}
		r := b.responder.Respond(t.Context(), der)
		theirs, err := xocsp.ParseResponse(r.DER, b.ca.Cert)
		if err != nil || theirs.Status != xocsp.Revoked || theirs.IssuerHash != hash {
			t.Errorf("%v: %+v, %v", hash, theirs, err)
		}
	}
}

// away is a signer whose device does not answer.
type away struct{ crypto.Signer }

func (away) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("device away")
}

// nonsense is a Source with a revocation without a date.
type nonsense struct{ revocation.Source }

func (nonsense) Status(context.Context, string, *big.Int) (revocation.Status, error) {
	return revocation.Status{State: revocation.Revoked}, nil
}

func TestErrorsAreAnsweredUnsigned(t *testing.T) {
	b := newBench(t, "p256", "p256")
	foreign := revocationtest.NewCA(t, "p256", "OCSP CA", now) // the same name, another key
	renamed := *b.ca.Cert                                      // the same key, another name
	renamed.RawSubject = foreign.Cert.RawSubject[:len(foreign.Cert.RawSubject)-1]
	credentials := b.ca.Delegate(t, "p256", now.Add(-time.Hour), now.Add(time.Hour))
	credentials.Signer = away{credentials.Signer}
	deviceAway := revocationtest.Issuer(t, credentials)
	expired := revocationtest.Issuer(t, b.ca.Delegate(t, "p256", now.Add(-2*time.Hour), now.Add(-time.Hour)))
	future := revocationtest.Issuer(t, b.ca.Delegate(t, "p256", now.Add(time.Hour), now.Add(2*time.Hour)))
	databaseAway := errors.New("database away")
	ask := request(t, b.ca.Cert, nil, goodSerial)
	of := func(issuers ...*ocsp.Issuer) *ocsp.Responder { return b.with(t, ocsp.Fixed(issuers...)) }
	wrong, err := ocsp.New(ocsp.Options{Source: nonsense{}, Issuers: ocsp.Fixed(revocationtest.Issuer(t, ocsp.Credentials{CA: b.ca.Cert, Signer: b.ca.Key})), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	empty, err := ocsp.New(ocsp.Options{Source: &revocationtest.Source{}, Issuers: ocsp.Fixed(revocationtest.Issuer(t, ocsp.Credentials{CA: b.ca.Cert, Signer: b.ca.Key})), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		responder *ocsp.Responder
		request   []byte
		want      ocsp.ResponseStatus
	}{
		"garbage":             {b.responder, []byte("garbage"), ocsp.MalformedRequest},
		"empty":               {b.responder, nil, ocsp.MalformedRequest},
		"1 MB":                {b.responder, make([]byte, 1<<20), ocsp.MalformedRequest},
		"10,000 CertIDs":      {b.responder, parts{ids: bytes.Repeat(plain(5), 10_000)}.der(), ocsp.MalformedRequest},
		"foreign issuer":      {b.responder, request(t, foreign.Cert, nil, goodSerial), ocsp.Unauthorized},
		"another name":        {b.responder, request(t, &renamed, nil, goodSerial), ocsp.Unauthorized},
		"unknown algorithm":   {b.responder, parts{ids: certID(element(0x30, otherOID), []byte{1}, []byte{2}, []byte{5})}.der(), ocsp.Unauthorized},
		"no issuers":          {of(), ask, ocsp.Unauthorized},
		"source without CA":   {empty, ask, ocsp.Unauthorized},
		"issuers away":        {b.with(t, func(context.Context) ([]*ocsp.Issuer, error) { return nil, databaseAway }), ask, ocsp.TryLater},
		"delegate expired":    {of(expired), ask, ocsp.TryLater},
		"delegate not yet":    {of(future), ask, ocsp.TryLater},
		"both":                {of(expired, future), ask, ocsp.TryLater},
		"signer away":         {of(deviceAway), ask, ocsp.InternalError},
		"source has nonsense": {wrong, ask, ocsp.InternalError},
	} {
		r := c.responder.Respond(t.Context(), c.request)
		if r.Status != c.want || r.Err == nil || r.Cacheable || !bytes.Equal(r.DER, []byte{0x30, 3, 10, 1, byte(c.want)}) {
			t.Errorf("%s: %v (%v), cacheable %v, %x", name, r.Status, r.Err, r.Cacheable, r.DER)
		}
		var failed *ocsp.ResponseError
		if _, err := ocsp.Verify(r.DER, ocsp.VerifyOptions{CA: b.ca.Cert, Now: now}); !errors.As(err, &failed) || failed.Status != c.want {
			t.Errorf("%s: Verify says %v", name, err)
		}
	}
	b.src.Fail(databaseAway)
	if r := b.responder.Respond(t.Context(), ask); r.Status != ocsp.TryLater || !errors.Is(r.Err, databaseAway) {
		t.Errorf("source away: %v (%v)", r.Status, r.Err)
	}
	b.src.Fail(nil)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if r := b.responder.Respond(cancelled, ask); r.Status != ocsp.TryLater || !errors.Is(r.Err, context.Canceled) {
		t.Errorf("cancelled: %v (%v)", r.Status, r.Err)
	}
	if a, _ := b.answer(t, goodSerial); a.Status.State != revocation.Good {
		t.Errorf("afterwards: %+v", a)
	}
}

func TestTheNewestValidDelegateSignsAndNeverPastItsEnd(t *testing.T) {
	b := newBench(t, "p256", "")
	before := revocationtest.Issuer(t, b.ca.Delegate(t, "p256", now.Add(-30*time.Hour), now.Add(30*time.Minute)))
	after := revocationtest.Issuer(t, b.ca.Delegate(t, "p256", now.Add(10*time.Minute), now.Add(40*time.Hour)))
	either, or := b.with(t, ocsp.Fixed(after, before)), b.with(t, ocsp.Fixed(before, after))
	for _, c := range []struct {
		at     time.Duration
		signer *ocsp.Issuer
		next   time.Duration
	}{{0, before, 30 * time.Minute}, {9 * time.Minute, before, 21 * time.Minute}, {11 * time.Minute, after, time.Hour}, {39*time.Hour + 50*time.Minute, after, 10 * time.Minute}} {
		b.now = now.Add(c.at)
		for _, responder := range []*ocsp.Responder{either, or} {
			r := responder.Respond(t.Context(), request(t, b.ca.Cert, nil, goodSerial))
			v, err := ocsp.Verify(r.DER, ocsp.VerifyOptions{CA: b.ca.Cert, Now: b.now})
			if err != nil {
				t.Fatalf("%v: %v", c.at, err)
			}
			if !v.Signer.Equal(c.signer.Certificate()) {
				t.Errorf("%v: signed by the other delegate", c.at)
			}
			if got := r.NextUpdate.Sub(r.ThisUpdate); got != c.next || r.NextUpdate.After(c.signer.Certificate().NotAfter) {
				t.Errorf("%v: holds for %v, want %v", c.at, got, c.next)
			}
		}
	}
}

// TestNothingIsSignedPastTheEndOfTheCA: a delegate that some other software
// made may outlive its CA; the answers do not.
func TestNothingIsSignedPastTheEndOfTheCA(t *testing.T) {
	b := newBench(t, "p256", "")
	key := revocationtest.NewKey(t, "p256")
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(9), Subject: pkix.Name{CommonName: "long-lived delegate"}, NotBefore: now, NotAfter: now.AddDate(5, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
	}, b.ca.Cert, key.Public(), b.ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	responder := b.with(t, ocsp.Fixed(revocationtest.Issuer(t, ocsp.Credentials{CA: b.ca.Cert, Cert: revocationtest.Parse(t, raw), Signer: key})))
	asked := request(t, b.ca.Cert, nil, goodSerial)
	end := b.ca.Cert.NotAfter
	b.now = end.Add(-10 * time.Minute)
	if r := responder.Respond(t.Context(), asked); r.Status != ocsp.Successful || !r.NextUpdate.Equal(end) {
		t.Errorf("ten minutes before: %v, until %v, want %v", r.Status, r.NextUpdate, end)
	}
	b.now = end
	if r := responder.Respond(t.Context(), asked); r.Status != ocsp.TryLater {
		t.Errorf("at the end: %v", r.Status)
	}
}

func TestOptionsAndCredentialsThatCannotWork(t *testing.T) {
	ca, other := revocationtest.NewCA(t, "p256", "OCSP CA", now), revocationtest.NewCA(t, "p256", "Other CA", now)
	leaf := ca.Issue(t, big.NewInt(3), now)
	sound := ca.Delegate(t, "p256", now, now.Add(time.Hour))
	for name, c := range map[string]ocsp.Credentials{
		"nothing":           {},
		"no signer":         {CA: ca.Cert, Cert: sound.Cert},
		"CA's key":          {CA: ca.Cert, Cert: sound.Cert, Signer: ca.Key},
		"another CA's":      {CA: other.Cert, Cert: sound.Cert, Signer: sound.Signer},
		"no OCSPSigning":    {CA: ca.Cert, Cert: leaf, Signer: sound.Signer},
		"an unrelated cert": {CA: ca.Cert, Cert: other.Cert, Signer: other.Key},
	} {
		if i, err := ocsp.NewIssuer(c); err == nil || i != nil || !strings.HasPrefix(err.Error(), "ocsp: ") {
			t.Errorf("%s: %v, %v", name, i, err)
		}
	}
	if _, err := ocsp.NewIssuer(sound); err != nil {
		t.Errorf("sound: %v", err)
	}
	clock := func() time.Time { return now }
	for name, o := range map[string]ocsp.Options{
		"no source":    {Issuers: ocsp.Fixed(), Now: clock},
		"no issuers":   {Source: &revocationtest.Source{}, Now: clock},
		"no clock":     {Source: &revocationtest.Source{}, Issuers: ocsp.Fixed()},
		"milliseconds": {Source: &revocationtest.Source{}, Issuers: ocsp.Fixed(), Now: clock, Validity: time.Millisecond},
		"negative":     {Source: &revocationtest.Source{}, Issuers: ocsp.Fixed(), Now: clock, Validity: -time.Hour},
	} {
		if _, err := ocsp.New(o); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func BenchmarkRespondP256(b *testing.B) {
	bench := newBench(b, "p256", "p256")
	ask := request(b, bench.ca.Cert, bytes.Repeat([]byte{1}, 32), goodSerial)
	b.ReportAllocs()
	for b.Loop() {
		if r := bench.responder.Respond(b.Context(), ask); r.Status != ocsp.Successful {
			b.Fatal(r.Err)
		}
	}
}
