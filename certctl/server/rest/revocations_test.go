package rest_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
)

// issue makes a certificate for a CSR and waits for it.
func (s *setup) issue(id string, change ...func(*api.CertificateRequest)) *api.Certificate {
	s.t.Helper()
	c := s.admin()
	r := api.CertificateRequest{ID: id, CommonName: id + ".example.com", SANs: []string{id + ".example.com"}, CSRPEM: csr(s.t, id+".example.com")}
	for _, f := range change {
		f(&r)
	}
	out, err := c.CreateCertificate(s.t.Context(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	if j := finished(s.t, c, out.JobID); j.Status != "Completed" {
		s.t.Fatalf("the issuance is %s: %s", j.Status, j.LastError)
	}
	cert, err := c.GetCertificate(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return cert
}

func TestHoldAndRelease(t *testing.T) {
	s := newSetup(t)
	s.run()
	c, ctx := s.client(s.keys[certctl.RoleOperator]), t.Context()
	cert := s.issue("mc-a")
	held, err := c.HoldCertificate(ctx, "mc-a", api.HoldRequest{})
	if err != nil || held.Status != api.StatusHeld || len(held.Revocations) != 1 || held.Revocations[0].Reason != "certificateHold" || held.Revocations[0].SerialNumber != cert.SerialNumber {
		t.Fatalf("%+v, %v", held, err)
	}
	if v, err := c.ListCertificateVersions(ctx, "mc-a", api.ListOptions{}); err != nil || v.Data[0].Revocation == nil || v.Data[0].Revocation.Reason != "certificateHold" {
		t.Errorf("the version on hold: %+v, %v", v, err)
	}
	if _, err := c.DeployCertificate(ctx, "mc-a", api.DeployRequest{}); !errors.Is(err, client.ErrIllegalTransition) {
		t.Errorf("a deployment on hold: %v", err)
	}
	// The same request under the same key takes effect once, though a release
	// would be refused the second time.
	var answers []string
	for range 2 {
		a := s.send(s.keys[certctl.RoleOperator], http.MethodPost, "/api/v1/certificates/mc-a/release", `{}`, "Idempotency-Key: once")
		if a.StatusCode != http.StatusOK {
			t.Fatalf("release: %d %s", a.StatusCode, a.body)
		}
		answers = append(answers, a.body)
	}
	if answers[0] != answers[1] {
		t.Errorf("%s\n%s", answers[0], answers[1])
	}
	var released api.ReleaseResponse
	if err := json.Unmarshal([]byte(answers[0]), &released); err != nil || released.Status != api.StatusReleased || len(released.Revocations) != 1 || released.Revocations[0].ReleasedAt.IsZero() {
		t.Errorf("%+v, %v", released, err)
	}
	if v, err := c.ListCertificateVersions(ctx, "mc-a", api.ListOptions{}); err != nil || v.Data[0].Revocation != nil {
		t.Errorf("the released version: %+v, %v", v, err)
	}
	if back, err := c.GetCertificate(ctx, "mc-a"); err != nil || back.Status != "Active" || back.RenewAt.IsZero() || back.RevocationReason != "" {
		t.Errorf("%+v, %v", back, err)
	}
	if _, err := c.ReleaseCertificate(ctx, "mc-a", api.ReleaseRequest{}); !errors.Is(err, client.ErrIllegalTransition) {
		t.Errorf("nothing is on hold: %v", err)
	}
	if _, err := c.HoldCertificate(ctx, "mc-a", api.HoldRequest{SerialNumber: "xyz"}); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("no serial: %v", err)
	}
}

func TestInvalidityDate(t *testing.T) {
	s := newSetup(t)
	s.run()
	c, ctx := s.client(s.keys[certctl.RoleOperator]), t.Context()
	s.issue("mc-a")
	_, err := c.RevokeCertificate(ctx, "mc-a", api.RevokeRequest{InvalidSince: time.Now().Add(time.Hour)})
	if p, ok := errors.AsType[*client.Problem](err); !ok || !errors.Is(err, client.ErrInvalid) || len(p.Errors) != 1 || p.Errors[0].Field != "invalid_since" {
		t.Errorf("a date in the future: %v", err)
	}
	since := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	out, err := c.RevokeCertificate(ctx, "mc-a", api.RevokeRequest{Reason: "keyCompromise", InvalidSince: since})
	if err != nil || !out.Revocations[0].InvalidSince.Equal(since) {
		t.Errorf("%+v, %v", out, err)
	}
}
