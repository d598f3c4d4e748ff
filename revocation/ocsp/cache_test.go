package ocsp_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/revocationtest"
)

// counting counts what a Source is asked, and may hold an answer up.
type counting struct {
	*revocationtest.Source
	asked atomic.Int64
	hold  atomic.Pointer[gate]
}

type gate struct{ reached, open chan struct{} }

func (c *counting) Status(ctx context.Context, id string, n *big.Int) (revocation.Status, error) {
	c.asked.Add(1)
	st, err := c.Source.Status(ctx, id, n)
	if g := c.hold.Swap(nil); g != nil {
		close(g.reached)
		<-g.open
	}
	return st, err
}

// keeper is a responder with a cache, whose feed is read when the test says so.
type keeper struct {
	*ocsp.Responder
	t       *testing.T
	ca      *revocationtest.CA
	source  *counting
	changed chan struct{}
	clock   *atomic.Pointer[time.Time]
}

func newKeeper(t *testing.T, size int64) *keeper {
	t.Helper()
	ca := revocationtest.NewCA(t, "p256", "OCSP CA", now)
	source := &counting{Source: &revocationtest.Source{}}
	source.Issue(ca.Cert, now.AddDate(0, 1, 0))
	for n := range int64(100) {
		source.Issue(ca.Cert, now.AddDate(0, 1, 0), big.NewInt(1000+n))
	}
	delegate := ca.Delegate(t, "p256", now.Add(-time.Hour), now.AddDate(0, 1, 0))
	issuer, err := ocsp.NewIssuer(ocsp.Credentials{CA: ca.Cert, Cert: delegate.Cert, Signer: delegate.Signer})
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{t: t, ca: ca, source: source, changed: make(chan struct{}), clock: &atomic.Pointer[time.Time]{}}
	k.at(now)
	k.Responder, err = ocsp.New(ocsp.Options{
		Source: source, Issuers: ocsp.Fixed(issuer), Now: func() time.Time { return *k.clock.Load() },
		CacheSize: size, Changed: k.changed, Poll: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); _ = k.Follow(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	k.follow() // Follow runs
	return k
}

func (k *keeper) at(now time.Time) { k.clock.Store(&now) }

// follow returns when the feed was read: the second value is only taken when
// the first was dealt with.
func (k *keeper) follow() {
	k.t.Helper()
	for range 2 {
		select {
		case k.changed <- struct{}{}:
		case <-time.After(10 * time.Second):
			k.t.Fatal("Follow does not follow")
		}
	}
}

func (k *keeper) request(hash crypto.Hash, nonce []byte, serial int64) []byte {
	k.t.Helper()
	b, err := ocsp.NewRequest(k.ca.Cert, hash, nonce, big.NewInt(serial))
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

// state asks, and judges the answer as a relying party.
func (k *keeper) state(hash crypto.Hash, nonce []byte, serial int64) revocation.State {
	k.t.Helper()
	r := k.Respond(k.t.Context(), k.request(hash, nonce, serial))
	v, err := ocsp.Verify(r.DER, ocsp.VerifyOptions{CA: k.ca.Cert, Now: *k.clock.Load(), Nonce: nonce})
	if err != nil {
		k.t.Fatalf("%v: %v, %v", r.Status, err, r.Err)
	}
	return v.Answers[0].Status.State
}

func (k *keeper) asks(want int64, f func()) {
	k.t.Helper()
	before := k.source.asked.Load()
	f()
	if got := k.source.asked.Load() - before; got != want {
		k.t.Errorf("the source was asked %d times, want %d", got, want)
	}
}

func TestKeptAnswers(t *testing.T) {
	k := newKeeper(t, 1<<20)
	k.asks(1, func() {
		first := k.Respond(t.Context(), k.request(crypto.SHA1, nil, 1000))
		second := k.Respond(t.Context(), k.request(crypto.SHA1, nil, 1000))
		if !bytes.Equal(first.DER, second.DER) || !second.Cacheable || fmt.Sprint(first.Answers) != fmt.Sprint(second.Answers) {
			t.Errorf("%+v, then %+v", first, second)
		}
		third, facts := k.Append(t.Context(), []byte("before"), k.request(crypto.SHA1, nil, 1000))
		if string(third) != "before"+string(first.DER) || !facts.Cacheable || !facts.NextUpdate.Equal(first.NextUpdate) || !facts.ThisUpdate.Equal(first.ThisUpdate) {
			t.Errorf("%+v", facts)
		}
	})
	k.asks(0, func() { // a nonce needs a signature, not the source
		for _, nonce := range [][]byte{[]byte("12345678"), []byte("abcdefgh")} {
			if s := k.state(crypto.SHA1, nonce, 1000); s != revocation.Good {
				t.Error(s)
			}
		}
	})
	k.asks(1, func() { // a fact that came with a nonce serves the next one
		k.state(crypto.SHA256, []byte("12345678"), 1001)
		k.state(crypto.SHA256, []byte("12345679"), 1001)
	})
	k.asks(2, func() { // unknown is not kept: it may be issued in a second
		k.state(crypto.SHA1, nil, 5)
		k.state(crypto.SHA1, nil, 5)
	})
	k.asks(1, func() {
		k.source.Issue(k.ca.Cert, now.AddDate(0, 1, 0), big.NewInt(5))
		if s := k.state(crypto.SHA1, nil, 5); s != revocation.Good {
			t.Error(s)
		}
	})
}

// TestARevocationIsTold: every form in which a certificate is asked about.
func TestARevocationIsTold(t *testing.T) {
	k := newKeeper(t, 1<<20)
	hashes := []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512}
	plain := func(h crypto.Hash) []byte { return withoutNULL(t, k.request(h, nil, 1000)) }
	for _, h := range hashes {
		k.state(h, nil, 1000)
		k.Respond(t.Context(), plain(h))
	}
	k.state(crypto.SHA1, nil, 1001)
	if err := k.source.Revoke(k.ca.Cert, big.NewInt(1000), revocation.KeyCompromise, now); err != nil {
		t.Fatal(err)
	}
	k.follow()
	for _, h := range hashes {
		if s := k.state(h, nil, 1000); s != revocation.Revoked {
			t.Errorf("%v: %v", h, s)
		}
		if a := k.Respond(t.Context(), plain(h)).Answers[0]; a.Status.State != revocation.Revoked {
			t.Errorf("%v without NULL: %v", h, a.Status.State)
		}
	}
	k.asks(0, func() { k.state(crypto.SHA1, nil, 1001) })
}

// withoutNULL drops the parameters of the hash algorithm, as RFC 5754 wants it.
func withoutNULL(t *testing.T, request []byte) []byte {
	t.Helper()
	var r struct {
		TBS struct {
			List []struct {
				ID struct {
					Hash struct {
						OID  asn1.ObjectIdentifier
						NULL asn1.RawValue `asn1:"optional"`
					}
					Name, Key []byte
					Serial    *big.Int
				}
			}
		}
	}
	if _, err := asn1.Unmarshal(request, &r); err != nil {
		t.Fatal(err)
	}
	r.TBS.List[0].ID.Hash.NULL = asn1.RawValue{}
	out, err := asn1.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != len(request)-2 {
		t.Fatalf("%x became %x", request, out)
	}
	return out
}

// TestRevokedWhileItIsSigned: what was read before the revocation is sent, and
// not kept.
func TestRevokedWhileItIsSigned(t *testing.T) {
	k := newKeeper(t, 1<<20)
	k.state(crypto.SHA1, nil, 1001) // so that the CA's feed is followed
	g := &gate{make(chan struct{}), make(chan struct{})}
	k.source.hold.Store(g)
	var answer *ocsp.Response
	var group sync.WaitGroup
	group.Go(func() { answer = k.Respond(t.Context(), k.request(crypto.SHA1, nil, 1000)) })
	<-g.reached
	if err := k.source.Revoke(k.ca.Cert, big.NewInt(1000), revocation.KeyCompromise, now); err != nil {
		t.Fatal(err)
	}
	k.follow()
	close(g.open)
	group.Wait()
	if s := answer.Answers[0].Status.State; s != revocation.Good {
		t.Fatalf("%v: the test holds nothing up", s)
	}
	if s := k.state(crypto.SHA1, nil, 1000); s != revocation.Revoked {
		t.Errorf("%v after the revocation was told", s)
	}
}

func TestOneSigningHoweverManyAsk(t *testing.T) {
	k := newKeeper(t, 1<<20)
	g := &gate{make(chan struct{}), make(chan struct{})}
	k.source.hold.Store(g)
	request := k.request(crypto.SHA1, nil, 1000)
	k.asks(1, func() {
		var group sync.WaitGroup
		answers := make([]*ocsp.Response, 50)
		for i := range answers {
			group.Go(func() { answers[i] = k.Respond(t.Context(), request) })
		}
		<-g.reached
		close(g.open)
		group.Wait()
		for _, a := range answers {
			if !bytes.Equal(a.DER, answers[0].DER) {
				t.Fatal("signed twice")
			}
		}
	})
}

// TestTheSourceIsAway: what is kept is sent until its nextUpdate, is asked
// about from half of its life on, and nothing is signed after it.
func TestTheSourceIsAway(t *testing.T) {
	k := newKeeper(t, 1<<20)
	first := k.Respond(t.Context(), k.request(crypto.SHA1, nil, 1000))
	away := errors.New("away")
	k.source.Fail(away)
	k.follow()
	if h := k.Health(); !errors.Is(h.Follow, away) || !h.FollowedAt.Equal(now) {
		t.Errorf("%+v", h)
	}
	k.at(now.Add(59 * time.Minute))
	if !bytes.Equal(k.Respond(t.Context(), k.request(crypto.SHA1, nil, 1000)).DER, first.DER) {
		t.Error("what holds was not sent")
	}
	k.at(now.Add(time.Hour))
	if r := k.Respond(t.Context(), k.request(crypto.SHA1, nil, 1000)); r.Status != ocsp.TryLater {
		t.Errorf("%v past nextUpdate", r.Status)
	}
	k.source.Fail(nil)
	k.follow()
	if h := k.Health(); h.Follow != nil || !errors.Is(h.Last, away) {
		t.Errorf("%+v", h)
	}
	if s := k.state(crypto.SHA1, nil, 1000); s != revocation.Good {
		t.Error(s)
	}
}

func TestRefreshBeforeTheEnd(t *testing.T) {
	k := newKeeper(t, 1<<20)
	request := k.request(crypto.SHA1, nil, 1000)
	first := k.Respond(t.Context(), request)
	k.at(now.Add(31 * time.Minute))
	if !bytes.Equal(k.Respond(t.Context(), request).DER, first.DER) {
		t.Error("who asks had to wait")
	}
	deadline := time.After(10 * time.Second)
	for bytes.Equal(k.Respond(t.Context(), request).DER, first.DER) {
		select {
		case <-deadline:
			t.Fatal("never refreshed")
		default:
		}
	}
	if r := k.Respond(t.Context(), request); !r.ThisUpdate.Equal(now.Add(31 * time.Minute).Truncate(time.Second)) {
		t.Errorf("thisUpdate %v", r.ThisUpdate)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	k := newKeeper(t, 1)
	many := make([]*big.Int, 1000)
	for i := range many {
		many[i] = big.NewInt(int64(1)<<40 + int64(i))
	}
	k.source.Issue(k.ca.Cert, now.AddDate(0, 1, 0), many...)
	for range 2 {
		for _, n := range many {
			k.state(crypto.SHA1, nil, n.Int64())
		}
	}
	if kept := k.Health().Kept; kept == 0 || kept > 64<<20 {
		t.Errorf("%d octets are kept, 32 MiB may be, in whole chunks", kept)
	}
}

func TestNothingIsKeptUnlessFollowed(t *testing.T) {
	ca := revocationtest.NewCA(t, "p256", "OCSP CA", now)
	source := &counting{Source: &revocationtest.Source{}}
	source.Issue(ca.Cert, now.AddDate(0, 1, 0), big.NewInt(1))
	issuer, err := ocsp.NewIssuer(ocsp.Credentials{CA: ca.Cert, Signer: ca.Key})
	if err != nil {
		t.Fatal(err)
	}
	r, err := ocsp.New(ocsp.Options{Source: source, Issuers: ocsp.Fixed(issuer), Now: func() time.Time { return now }, CacheSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	request, err := ocsp.NewRequest(ca.Cert, crypto.SHA1, nil, big.NewInt(1))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r.Respond(t.Context(), request)
	}
	if source.asked.Load() != 2 {
		t.Errorf("asked %d times", source.asked.Load())
	}
	if _, err := ocsp.New(ocsp.Options{Source: struct{ revocation.Source }{source}, Issuers: ocsp.Fixed(issuer), Now: time.Now, CacheSize: 1}); err == nil {
		t.Error("a cache over a source that tells no changes")
	}
}

// TestArchiveCutoff: an expired certificate's answer says since when the source
// knows everything.
func TestArchiveCutoff(t *testing.T) {
	ca := revocationtest.NewCA(t, "p256", "OCSP CA", now)
	source := &revocationtest.Source{}
	source.Issue(ca.Cert, now.Add(-time.Hour), big.NewInt(1))
	source.Issue(ca.Cert, now.Add(time.Hour), big.NewInt(2))
	issuer, err := ocsp.NewIssuer(ocsp.Credentials{CA: ca.Cert, Signer: ca.Key})
	if err != nil {
		t.Fatal(err)
	}
	r, err := ocsp.New(ocsp.Options{Source: source, Issuers: ocsp.Fixed(issuer), Now: func() time.Time { return now }, Archive: true})
	if err != nil {
		t.Fatal(err)
	}
	cutoff, err := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 6})
	if err != nil {
		t.Fatal(err)
	}
	cutoff = append(cutoff, 4, 17, 0x18, 15)
	cutoff = ca.Cert.NotBefore.UTC().AppendFormat(cutoff, "20060102150405Z")
	for serial, want := range map[int64]int{1: 1, 2: 0} {
		request, err := ocsp.NewRequest(ca.Cert, crypto.SHA1, nil, big.NewInt(serial))
		if err != nil {
			t.Fatal(err)
		}
		response := r.Respond(t.Context(), request)
		if got := bytes.Count(response.DER, cutoff); got != want {
			t.Errorf("serial %d: %d archive cutoffs, want %d", serial, got, want)
		}
		if _, err := ocsp.Verify(response.DER, ocsp.VerifyOptions{CA: ca.Cert, Now: now}); err != nil {
			t.Error(err)
		}
		lintOCSP(t, response.DER)
	}
}
