package engine_test

import (
	"context"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/store/storetest"
)

func TestIssueRenewRevoke(t *testing.T) {
	s := newSetup(t)
	s.run()
	key := newKey(t)
	out, err := s.RequestCertificate(t.Context(), engine.CertificateRequest{
		CommonName: "api.example.com", SANs: []string{"api.example.com", "10.0.0.1"}, CSRPEM: csrFor(t, key, "api.example.com"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if j := s.wait(out.Job.ID); j.Status != certctl.JobCompleted {
		t.Fatalf("job is %s: %s", j.Status, j.LastError)
	}
	c := s.certificate(out.Certificate.ID)
	if c.Status != certctl.CertificateActive || c.Generation != 1 || c.Serial == "" || !c.RenewAt.After(time.Now()) || !c.RenewAt.Before(c.ExpiresAt) {
		t.Fatalf("%+v", c)
	}
	x, err := s.ExportPEM(t.Context(), c.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	certs, err := chain.Certificates([]byte(x.FullPEM))
	if err != nil {
		t.Fatal(err)
	}
	rootPEM, err := s.IssuerCertificates(t.Context(), "iss-local")
	if err != nil {
		t.Fatal(err)
	}
	roots, err := chain.Certificates([]byte(rootPEM))
	if err != nil {
		t.Fatal(err)
	}
	if err := chain.Verify(certs[0], certs[1:], roots, []string{"api.example.com", "10.0.0.1"}, time.Now()); err != nil {
		t.Error(err)
	}
	if !chain.Match(certs[0], key) {
		t.Error("the certificate is not for the key of the CSR")
	}

	renewed, err := s.Renew(t.Context(), c.ID, engine.RenewOptions{CSRPEM: csrFor(t, newKey(t), "api.example.com")})
	if err != nil {
		t.Fatal(err)
	}
	s.wait(renewed.Job.ID)
	after := s.certificate(c.ID)
	if after.Generation != 2 || after.Serial == c.Serial || after.Status != certctl.CertificateActive {
		t.Fatalf("%+v", after)
	}

	revoked, err := s.Revoke(t.Context(), c.ID, engine.RevokeOptions{Reason: revocation.KeyCompromise})
	if err != nil || len(revoked) != 2 {
		t.Fatalf("%v, %v", revoked, err)
	}
	keyID := revocation.KeyID(roots[0])
	for _, serial := range []string{c.Serial, after.Serial} {
		n, _ := new(big.Int).SetString(serial, 16)
		st, err := s.store.Status(t.Context(), keyID, n)
		if err != nil || st.State != revocation.Revoked || st.Reason != revocation.KeyCompromise {
			t.Errorf("%s: %+v, %v", serial, st, err)
		}
	}
	crl, err := s.CRL(t.Context(), "iss-local")
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(crl.DER)
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(roots[0]); err != nil {
		t.Error(err)
	}
	if len(list.RevokedCertificateEntries) != 2 {
		t.Errorf("the CRL has %d entries", len(list.RevokedCertificateEntries))
	}
	if again, err := s.CRL(t.Context(), "iss-local"); err != nil || again.Number != crl.Number {
		t.Errorf("the CRL was made again without need: %v, %v", again, err)
	}
	if _, err := s.Renew(t.Context(), c.ID, engine.RenewOptions{CSRPEM: csrFor(t, newKey(t), "api.example.com")}); !errors.Is(err, certctl.ErrIllegalTransition) {
		t.Errorf("a revoked certificate was renewed: %v", err)
	}
	unknown, err := s.store.Status(t.Context(), keyID, big.NewInt(42))
	if err != nil || unknown.State != revocation.Unknown {
		t.Errorf("%+v, %v", unknown, err)
	}
	storetest.View(t, s.store, func(ctx context.Context, r certctl.Reader) error {
		seen := map[string]int{}
		page, err := r.Audit().List(ctx, certctl.AuditFilter{}, certctl.Page{Limit: 500})
		for _, e := range page.Items {
			seen[e.Action]++
		}
		for action, n := range map[string]int{"certificate_requested": 1, "order_placed": 2, "certificate_issued": 2, "renewal_started": 1, "certificate_revoked": 2, "job_completed": 2} {
			if seen[action] != n {
				t.Errorf("%d audit entries %q, want %d", seen[action], action, n)
			}
		}
		return err
	})
}
