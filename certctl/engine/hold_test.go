package engine_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/issuer/local"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/store/storetest"
)

// issue makes a certificate of one version with a key of the test's own.
func (s *setup) issue(id string, change ...func(*engine.CertificateRequest)) *certctl.Certificate {
	s.t.Helper()
	r := engine.CertificateRequest{ID: id, CommonName: id + ".example.com", IssuerID: "iss-local", CSRPEM: csrFor(s.t, newKey(s.t), id+".example.com")}
	for _, c := range change {
		c(&r)
	}
	out, err := s.RequestCertificate(s.t.Context(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	if j := s.wait(out.Job.ID); j.Status != certctl.JobCompleted {
		s.t.Fatalf("job is %s: %s", j.Status, j.LastError)
	}
	return s.certificate(id)
}

func (s *setup) renew(id string) *certctl.Certificate {
	s.t.Helper()
	out, err := s.Renew(s.t.Context(), id, engine.RenewOptions{CSRPEM: csrFor(s.t, newKey(s.t), id+".example.com")})
	if err != nil {
		s.t.Fatal(err)
	}
	if j := s.wait(out.Job.ID); j.Status != certctl.JobCompleted {
		s.t.Fatalf("job is %s: %s", j.Status, j.LastError)
	}
	return s.certificate(id)
}

// ca is the local CA's certificate.
func (s *setup) ca() *x509.Certificate {
	s.t.Helper()
	text, err := s.IssuerCertificates(s.t.Context(), "iss-local")
	if err != nil {
		s.t.Fatal(err)
	}
	certs, err := chain.Certificates([]byte(text))
	if err != nil {
		s.t.Fatal(err)
	}
	return certs[0]
}

func number(t testing.TB, serial string) *big.Int {
	t.Helper()
	n, err := certctl.ParseSerial(serial)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// published is what the octets of OCSP answer and CRL say of a serial; they
// have to agree.
func (s *setup) published(serial string) revocation.Status {
	s.t.Helper()
	ca, n := s.ca(), number(s.t, serial)
	signs, err := s.OCSPIssuer(s.t.Context(), "iss-local")
	if err != nil {
		s.t.Fatal(err)
	}
	nonce := []byte("sixteen octets..")
	request, err := ocsp.NewRequest(ca, crypto.SHA256, nonce, n)
	if err != nil {
		s.t.Fatal(err)
	}
	responder, err := ocsp.New(ocsp.Options{Source: s.store, Issuers: ocsp.Fixed(signs), Now: s.clock.Now})
	if err != nil {
		s.t.Fatal(err)
	}
	v, err := ocsp.Verify(responder.Respond(s.t.Context(), request).DER, ocsp.VerifyOptions{CA: ca, Now: s.clock.Now(), Nonce: nonce})
	if err != nil {
		s.t.Fatal(err)
	}
	answer, ok := v.Answer(n)
	if !ok {
		s.t.Fatalf("the answer says nothing of %s", serial)
	}
	crl, err := s.CRL(s.t.Context(), "iss-local")
	if err != nil {
		s.t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(crl.DER)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(ca); err != nil {
		s.t.Fatal(err)
	}
	listed := revocation.Good
	for _, e := range list.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(n) == 0 {
			listed = revocation.Revoked
			if e.ReasonCode != int(answer.Status.Reason) || !e.RevocationTime.Equal(answer.Status.At) {
				s.t.Errorf("the CRL says reason %d at %v, OCSP says %v", e.ReasonCode, e.RevocationTime, answer)
			}
		}
	}
	if listed != answer.Status.State {
		s.t.Errorf("the CRL says %v, OCSP says %v of %s", listed, answer.Status.State, serial)
	}
	return answer.Status
}

func TestHoldAndRelease(t *testing.T) {
	s := newSetup(t)
	s.run()
	before := s.issue("mc-a")
	rows, err := s.Hold(t.Context(), "mc-a", "")
	if err != nil || len(rows) != 1 {
		t.Fatalf("%v, %v", rows, err)
	}
	if c := s.certificate("mc-a"); !c.Held() || !c.RenewAt.IsZero() || c.RevokedAt.IsZero() {
		t.Errorf("on hold: %+v", c)
	}
	if a := s.published(before.Serial); a.State != revocation.Revoked || a.Reason != revocation.CertificateHold {
		t.Errorf("OCSP on hold: %+v", a)
	}
	if _, err := s.Hold(t.Context(), "mc-a", ""); !errors.Is(err, certctl.ErrIllegalTransition) {
		t.Errorf("a second hold: %v", err)
	}
	if _, err := s.Renew(t.Context(), "mc-a", engine.RenewOptions{CSRPEM: csrFor(t, newKey(t), "mc-a.example.com")}); !errors.Is(err, certctl.ErrIllegalTransition) {
		t.Errorf("a renewal on hold: %v", err)
	}

	released, err := s.Release(t.Context(), "mc-a", "")
	if err != nil || len(released) != 1 || released[0].ReleasedAt.IsZero() || released[0].Sequence <= rows[0].Sequence {
		t.Fatalf("%+v, %v", released, err)
	}
	if c := s.certificate("mc-a"); c.Status != certctl.CertificateActive || c.RenewAt.IsZero() || !c.RevokedAt.IsZero() || c.RevocationReason != "" {
		t.Errorf("released: %+v", c)
	}
	if a := s.published(before.Serial); a.State != revocation.Good {
		t.Errorf("OCSP after the release: %+v", a)
	}
	if _, err := s.Release(t.Context(), "mc-a", ""); !errors.Is(err, certctl.ErrIllegalTransition) {
		t.Errorf("a second release: %v", err)
	}
	if c := s.renew("mc-a"); c.Generation != 2 || c.Status != certctl.CertificateActive {
		t.Errorf("renewed after the release: %+v", c)
	}

	// Revoked after a release: a new date. The other version was never on hold.
	s.clock.Forward(time.Hour)
	since := s.clock.Now().Add(-48 * time.Hour)
	final, err := s.Revoke(t.Context(), "mc-a", engine.RevokeOptions{Reason: revocation.KeyCompromise, InvalidSince: since})
	if err != nil || len(final) != 2 {
		t.Fatalf("%v, %v", final, err)
	}
	for _, r := range final {
		if !r.RevokedAt.After(rows[0].RevokedAt.Add(59*time.Minute)) || !r.ReleasedAt.IsZero() || !r.InvalidSince.Equal(since.UTC().Truncate(time.Second)) {
			t.Errorf("%+v", r)
		}
	}
	if a := s.published(before.Serial); a.State != revocation.Revoked || a.Reason != revocation.KeyCompromise {
		t.Errorf("OCSP after the revocation: %+v", a)
	}
	if _, err := s.Release(t.Context(), "mc-a", ""); !errors.Is(err, certctl.ErrIllegalTransition) {
		t.Errorf("a final revocation was released: %v", err)
	}
	storetest.View(t, s.store, func(ctx context.Context, r certctl.Reader) error {
		for action, n := range map[string]int64{"certificate_held": 1, "certificate_released": 1, "certificate_revoked": 2} {
			if got, err := r.Audit().Count(ctx, certctl.AuditFilter{Actions: []string{action}}); err != nil || got != n {
				t.Errorf("%d audit entries %s, want %d (%v)", got, action, n, err)
			}
		}
		seen := map[string]int{}
		events, err := r.EventsAfter(ctx, 0, 500)
		for _, e := range events {
			seen[e.Name]++
		}
		if seen["certificate.revoked"] != 3 || seen["certificate.released"] != 1 {
			t.Errorf("events: %v", seen)
		}
		return err
	})
}

// TestHoldBecomesFinal revokes what is on hold: the date of the hold stays.
func TestHoldBecomesFinal(t *testing.T) {
	s := newSetup(t)
	s.run()
	c := s.issue("mc-a")
	rows, err := s.Hold(t.Context(), "mc-a", "")
	if err != nil {
		t.Fatal(err)
	}
	s.clock.Forward(time.Hour)
	final, err := s.Revoke(t.Context(), "mc-a", engine.RevokeOptions{Reason: revocation.Superseded})
	if err != nil || len(final) != 1 || !final[0].RevokedAt.Equal(rows[0].RevokedAt) || final[0].Sequence <= rows[0].Sequence || final[0].ID != rows[0].ID {
		t.Fatalf("%+v, %v", final, err)
	}
	if a := s.published(c.Serial); a.State != revocation.Revoked || a.Reason != revocation.Superseded || !a.At.Equal(rows[0].RevokedAt.Truncate(time.Second)) {
		t.Errorf("%+v", a)
	}
	after := s.certificate("mc-a")
	if after.Held() || after.Status != certctl.CertificateRevoked || !after.RevokedAt.Equal(rows[0].RevokedAt) || after.RevocationReason != "superseded" {
		t.Errorf("%+v", after)
	}
	for _, reason := range []revocation.Reason{revocation.KeyCompromise, revocation.CertificateHold} {
		if _, err := s.Revoke(t.Context(), "mc-a", engine.RevokeOptions{Reason: reason}); !errors.Is(err, certctl.ErrIllegalTransition) {
			t.Errorf("revoked again with %v: %v", reason, err)
		}
	}
}

// TestHoldOfOneVersion leaves the certificate as it is, unless it is the
// current one.
func TestHoldOfOneVersion(t *testing.T) {
	s := newSetup(t)
	s.run()
	old := s.issue("mc-a")
	current := s.renew("mc-a")
	if _, err := s.Hold(t.Context(), "mc-a", old.Serial); err != nil {
		t.Fatal(err)
	}
	if c := s.certificate("mc-a"); c.Status != certctl.CertificateActive || s.published(old.Serial).State != revocation.Revoked || s.published(current.Serial).State != revocation.Good {
		t.Errorf("%+v", c)
	}
	if _, err := s.Hold(t.Context(), "mc-a", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Release(t.Context(), "mc-a", old.Serial); err != nil {
		t.Fatal(err)
	}
	if c := s.certificate("mc-a"); !c.Held() {
		t.Errorf("an old version was released, and the certificate is %s", c.Status)
	}
	if _, err := s.Release(t.Context(), "mc-a", current.Serial); err != nil {
		t.Fatal(err)
	}
	if c := s.certificate("mc-a"); c.Status != certctl.CertificateActive {
		t.Errorf("%+v", c)
	}
	if _, err := s.Revoke(t.Context(), "mc-a", engine.RevokeOptions{InvalidSince: s.clock.Now().Add(time.Minute)}); !errors.Is(err, certctl.ErrInvalid) {
		t.Errorf("an invalidity date in the future: %v", err)
	}
	if _, err := s.Hold(t.Context(), "mc-none", ""); !errors.Is(err, certctl.ErrNotFound) {
		t.Errorf("no such certificate: %v", err)
	}
}

// outside is a CA that keeps its key, and its list, to itself.
type outside struct{ ca issuer.Issuer }

func (o outside) Issue(ctx context.Context, r *issuer.Request) (*issuer.Issued, error) {
	return o.ca.Issue(ctx, r)
}

func (o outside) Certificates(ctx context.Context) ([]*x509.Certificate, error) {
	a, _ := issuer.As[issuer.Authority](o.ca)
	return a.Certificates(ctx)
}

func outsideKind() connector.Kind[issuer.Issuer] {
	return connector.Define("outside", "Outside CA", func() struct{} { return struct{}{} }, func(ctx context.Context, _ struct{}, env connector.Env) (issuer.Issuer, error) {
		ca, err := local.Kind().Open(ctx, nil, env)
		return outside{ca}, err
	})
}

// TestHoldAtAnOutsideCA cannot be lifted here, but it can become final, which
// the CA is told.
func TestHoldAtAnOutsideCA(t *testing.T) {
	s := newSetup(t)
	e := s.replica("with an outside CA", local.Kind(), outsideKind())
	start(t, e)
	s.Engine = e
	if _, err := s.CreateIssuer(t.Context(), engine.ConnectorInput{ID: "iss-out", Name: "out", Type: "outside"}); err != nil {
		t.Fatal(err)
	}
	s.issue("mc-a", func(r *engine.CertificateRequest) { r.IssuerID = "iss-out" })
	if _, err := s.Hold(t.Context(), "mc-a", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Release(t.Context(), "mc-a", ""); !errors.Is(err, certctl.ErrUnsupported) {
		t.Errorf("released: %v", err)
	}
	if c := s.certificate("mc-a"); !c.Held() {
		t.Errorf("%+v", c)
	}
	rows, err := s.Revoke(t.Context(), "mc-a", engine.RevokeOptions{Reason: revocation.Superseded})
	if err != nil || len(rows) != 1 || !rows[0].IssuerNotified.IsZero() || rows[0].RetryAt.IsZero() {
		t.Errorf("%+v, %v", rows, err)
	}
}

// TestReleaseByDates comes back as what time has made of it.
func TestReleaseByDates(t *testing.T) {
	s := newSetup(t)
	s.run()
	for id, c := range map[string]struct {
		part int // hundredths of the life
		want certctl.CertificateStatus
	}{"mc-late": {90, certctl.CertificateExpiring}, "mc-over": {101, certctl.CertificateExpired}} {
		cert := s.issue(id, func(r *engine.CertificateRequest) { r.TTL = 30 * 24 * time.Hour })
		if _, err := s.Hold(t.Context(), id, ""); err != nil {
			t.Fatal(err)
		}
		s.clock.Forward(cert.ExpiresAt.Sub(s.clock.Now()) * time.Duration(c.part) / 100)
		if _, err := s.Release(t.Context(), id, ""); err != nil {
			t.Fatal(err)
		}
		if got := s.certificate(id); got.Status != c.want || got.RenewAt.IsZero() != (c.want == certctl.CertificateExpired) {
			t.Errorf("%s: %s, want %s; next renewal %v", id, got.Status, c.want, got.RenewAt)
		}
	}
}

// TestHoldWhileSigning holds at the moment at which the CA signs: the release
// brings the certificate back with what was signed.
func TestHoldWhileSigning(t *testing.T) {
	s := newSetup(t)
	s.run()
	if _, err := s.CreateIssuer(t.Context(), engine.ConnectorInput{ID: "iss-slow", Name: "slow", Type: "slow"}); err != nil {
		t.Fatal(err)
	}
	s.issue("mc-a", func(r *engine.CertificateRequest) { r.IssuerID = "iss-slow" })
	s.gate.close()
	out, err := s.Renew(t.Context(), "mc-a", engine.RenewOptions{CSRPEM: csrFor(t, newKey(t), "mc-a.example.com")})
	if err != nil {
		t.Fatal(err)
	}
	<-s.gate.entered
	if _, err := s.Hold(t.Context(), "mc-a", ""); err != nil {
		t.Fatal(err)
	}
	s.gate.open()
	s.wait(out.Job.ID)
	if c := s.certificate("mc-a"); !c.Held() || c.Generation != 1 {
		t.Fatalf("%+v", c)
	}
	rows, err := s.Release(t.Context(), "mc-a", "")
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v, %v", rows, err)
	}
	if c := s.certificate("mc-a"); c.Status != certctl.CertificateActive || c.Generation != 2 {
		t.Errorf("%+v", c)
	}
	if c := s.renew("mc-a"); c.Generation != 3 {
		t.Errorf("%+v", c)
	}
}
