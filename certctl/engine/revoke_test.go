package engine_test

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/revocation"
)

// entries are the reasons of a list by serial.
func (s *setup) entries(issuerID string, scope engine.Scope) map[string]revocation.Reason {
	s.t.Helper()
	crl, err := s.CRLOf(s.t.Context(), issuerID, scope)
	if err != nil {
		s.t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(crl.DER)
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]revocation.Reason{}
	for _, e := range list.RevokedCertificateEntries {
		out[certctl.SerialText(e.SerialNumber)] = revocation.Reason(e.ReasonCode)
	}
	return out
}

// TestHoldInShardAndDelta follows a hold through every list that names it: a
// delta tells of the release by removeFromCRL (RFC 5280 section 5.3.1).
func TestHoldInShardAndDelta(t *testing.T) {
	s := newSetup(t)
	s.run()
	_, err := s.CreateIssuer(t.Context(), engine.ConnectorInput{ID: "iss-d", Name: "d", Type: "local", Config: json.RawMessage(`{"crl_shards": 2, "delta_crl": true}`)})
	if err != nil {
		t.Fatal(err)
	}
	c := s.issue("mc-a", func(r *engine.CertificateRequest) { r.IssuerID = "iss-d" })
	rows, err := s.Hold(t.Context(), "mc-a", "")
	if err != nil || rows[0].CRLShard < 1 || rows[0].CRLShard > 2 {
		t.Fatalf("%+v, %v", rows, err)
	}
	own, other := rows[0].CRLShard, 3-rows[0].CRLShard
	for name, want := range map[string]struct {
		scope  engine.Scope
		listed bool
	}{"all": {engine.Scope{}, true}, "its shard": {engine.Scope{Shard: own}, true}, "the other shard": {engine.Scope{Shard: other}, false}} {
		if got, ok := s.entries("iss-d", want.scope)[c.Serial]; ok != want.listed || (ok && got != revocation.CertificateHold) {
			t.Errorf("%s on hold: %v, %v", name, got, ok)
		}
	}
	s.clock.Forward(2 * time.Second)
	if _, err := s.Release(t.Context(), "mc-a", ""); err != nil {
		t.Fatal(err)
	}
	s.clock.Forward(2 * time.Second)
	if got, ok := s.entries("iss-d", engine.Scope{Shard: own, Delta: true})[c.Serial]; !ok || got != revocation.RemoveFromCRL {
		t.Errorf("the delta after the release: %v, %v", got, ok)
	}
	if _, ok := s.entries("iss-d", engine.Scope{Shard: own})[c.Serial]; ok {
		t.Error("the shard's list still has it after the release")
	}
	s.clock.Forward(2 * time.Second)
	if _, err := s.Revoke(t.Context(), "mc-a", engine.RevokeOptions{Reason: revocation.KeyCompromise}); err != nil {
		t.Fatal(err)
	}
	for _, scope := range []engine.Scope{{Shard: own}, {Shard: own, Delta: true}, {}} {
		if got, ok := s.entries("iss-d", scope)[c.Serial]; scope.Delta && !ok {
			continue // the base may have been made anew, with it
		} else if !ok || got != revocation.KeyCompromise {
			t.Errorf("%+v after the revocation: %v, %v", scope, got, ok)
		}
	}
}

// TestShortLived says by noRevAvail that there is nothing to ask; a revocation
// is recorded and published nevertheless.
func TestShortLived(t *testing.T) {
	s := newSetup(t)
	s.run()
	p := &certctl.Profile{ID: "prof-short", Name: "short", AllowShortLived: true, MaxTTL: 30 * time.Minute, Enabled: true}
	if err := s.Profiles().Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	c := s.issue("mc-a", func(r *engine.CertificateRequest) { r.ProfileID = p.ID })
	long := s.issue("mc-b")
	for id, short := range map[string]bool{"mc-a": true, "mc-b": false} {
		x, err := s.ExportPEM(t.Context(), id, "")
		if err != nil {
			t.Fatal(err)
		}
		certs, err := chain.Certificates([]byte(x.CertPEM))
		if err != nil {
			t.Fatal(err)
		}
		leaf, noRevAvail := certs[0], false
		for _, e := range leaf.Extensions {
			noRevAvail = noRevAvail || e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 56})
		}
		if pointers := len(leaf.CRLDistributionPoints)+len(leaf.OCSPServer) > 0; noRevAvail != short || pointers == short {
			t.Errorf("%s: noRevAvail %v, pointers %v", id, noRevAvail, pointers)
		}
	}
	rows, err := s.Revoke(t.Context(), "mc-a", engine.RevokeOptions{Reason: revocation.KeyCompromise})
	if err != nil || len(rows) != 1 {
		t.Fatalf("%v, %v", rows, err)
	}
	if got := s.published(c.Serial); got.State != revocation.Revoked || got.Reason != revocation.KeyCompromise {
		t.Errorf("%+v", got)
	}
	if got := s.published(long.Serial); got.State != revocation.Good {
		t.Errorf("%+v", got)
	}
	if after := s.certificate("mc-a"); after.Status != certctl.CertificateRevoked {
		t.Errorf("%+v", after)
	}
}

// TestReleaseDeploys brings the current version to the targets that did not
// get it before the hold.
func TestReleaseDeploys(t *testing.T) {
	s := newSetup(t)
	s.run()
	b := s.join("web1", "tgt-1")
	deployed := b.report
	b.report = func(*engine.Work) engine.AgentReport {
		return engine.AgentReport{Outcome: "rolled_back", Error: "not today"}
	}
	s.request("api", "tgt-1", 0)
	b.until("failed", func() bool { return s.binding("mc-api").State == certctl.BindingFailed })
	if _, err := s.Hold(t.Context(), "mc-api", ""); err != nil {
		t.Fatal(err)
	}
	b.report = deployed
	if _, err := s.Release(t.Context(), "mc-api", ""); err != nil {
		t.Fatal(err)
	}
	b.until("deployed after the release", inSync(s, "mc-api", 1))
}
