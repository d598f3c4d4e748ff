package revocationtest_test

import (
	"context"
	"crypto/x509"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/revocationtest"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// listed are the serials that a CRL would have, in their order.
func listed(t *testing.T, s *revocationtest.Source, ca *x509.Certificate) []int64 {
	t.Helper()
	var serials []int64
	err := s.Revoked(t.Context(), revocation.Selection{IssuerKeyID: revocation.KeyID(ca), At: now}, func(n *big.Int, st revocation.Status) error {
		if err := st.Check(); err != nil {
			return err
		}
		serials = append(serials, n.Int64())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(serials)
	return serials
}

func TestWhatIsIssuedIsGoodAndNothingElse(t *testing.T) {
	ca, other := revocationtest.NewCA(t, "p256", "one", now).Cert, revocationtest.NewCA(t, "p256", "two", now).Cert
	s := &revocationtest.Source{}
	if _, err := s.Status(t.Context(), revocation.KeyID(ca), big.NewInt(1)); !errors.Is(err, revocation.ErrUnknownIssuer) {
		t.Errorf("the zero Source knows a CA: %v", err)
	}
	s.Issue(ca, now, big.NewInt(1))
	for serial, want := range map[int64]revocation.State{1: revocation.Good, 2: revocation.Unknown} {
		if st, err := s.Status(t.Context(), revocation.KeyID(ca), big.NewInt(serial)); err != nil || st.State != want {
			t.Errorf("%d is %v, %v; want %v", serial, st.State, err, want)
		}
	}
	if _, err := s.Status(t.Context(), revocation.KeyID(other), big.NewInt(1)); !errors.Is(err, revocation.ErrUnknownIssuer) {
		t.Errorf("another CA's: %v", err)
	}
	if err := s.Revoke(ca, big.NewInt(2), revocation.Superseded, now); err == nil {
		t.Error("revoked what was never issued")
	}
}

func TestOnlyAHoldCanBeLiftedOrChanged(t *testing.T) {
	ca, s := revocationtest.NewCA(t, "p256", "one", now).Cert, &revocationtest.Source{}
	held, gone := big.NewInt(1), big.NewInt(2)
	s.Issue(ca, now.AddDate(0, 1, 0), held, gone)
	if err := errors.Join(s.Revoke(ca, held, revocation.CertificateHold, now), s.Revoke(ca, gone, revocation.KeyCompromise, now)); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, s, ca); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("listed: %v", got)
	}
	if err := s.Release(ca, held); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, s, ca); !slices.Equal(got, []int64{2}) {
		t.Errorf("after the release: %v", got)
	}
	if s.Release(ca, gone) == nil || s.Release(ca, held) == nil || s.Revoke(ca, gone, revocation.Superseded, now) == nil {
		t.Error("changed what is final")
	}
	if st, err := s.Status(t.Context(), revocation.KeyID(ca), gone); err != nil || st.Reason != revocation.KeyCompromise || !st.At.Equal(now) {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestAnEntryLeavesOnceAListPastItsExpiryWasPublished(t *testing.T) {
	ca, s := revocationtest.NewCA(t, "p256", "one", now).Cert, &revocationtest.Source{}
	s.Issue(ca, now, big.NewInt(1))
	if err := s.Revoke(ca, big.NewInt(1), revocation.Superseded, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		published time.Time
		want      []int64
	}{{now.Add(-time.Minute), []int64{1}}, {now, []int64{1}}, {now.Add(time.Second), nil}} {
		s.Published(ca, 0, step.published)
		if got := listed(t, s, ca); !slices.Equal(got, step.want) {
			t.Errorf("after the list of %v: %v, want %v", step.published, got, step.want)
		}
	}
}

func TestAnOutageAndACancelledContextAreErrors(t *testing.T) {
	ca, s := revocationtest.NewCA(t, "p256", "one", now).Cert, &revocationtest.Source{}
	s.Issue(ca, now, big.NewInt(1))
	away := errors.New("the database is away")
	ask := func(ctx context.Context) [2]error {
		_, one := s.Status(ctx, revocation.KeyID(ca), big.NewInt(1))
		return [2]error{one, s.Revoked(ctx, revocation.Selection{IssuerKeyID: revocation.KeyID(ca), At: now}, func(*big.Int, revocation.Status) error { return nil })}
	}
	s.Fail(away)
	for _, err := range ask(t.Context()) {
		if !errors.Is(err, away) {
			t.Errorf("away: %v", err)
		}
	}
	s.Fail(nil)
	for _, err := range ask(t.Context()) {
		if err != nil {
			t.Errorf("back: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range ask(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
}
