package engine_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/revocation"
)

// TestShardsAndDeltas: certificates of an issuer with shards name the list of
// their shard and its delta; a revocation is on both, on the whole list, and on
// no other shard's. The shard stays when the setting changes.
func TestShardsAndDeltas(t *testing.T) {
	s := newSetup(t)
	s.run()
	const config = `{"crl_shards":%d,"delta_crl":true,"crl_distribution_point_urls":["http://crl.example.com/list"]}`
	if _, err := s.CreateIssuer(t.Context(), engine.ConnectorInput{ID: "iss-shards", Name: "Shards", Type: "local", Config: fmt.Appendf(nil, config, 4)}); err != nil {
		t.Fatal(err)
	}
	leaves := map[string]*x509.Certificate{}
	for i := range 6 {
		name := fmt.Sprintf("s%d.example.com", i)
		out, err := s.RequestCertificate(t.Context(), engine.CertificateRequest{CommonName: name, IssuerID: "iss-shards", CSRPEM: csrFor(t, newKey(t), name)})
		if err != nil {
			t.Fatal(err)
		}
		if j := s.wait(out.Job.ID); j.Status != certctl.JobCompleted {
			t.Fatal(j.LastError)
		}
		x, err := s.ExportPEM(t.Context(), out.Certificate.ID, "")
		if err != nil {
			t.Fatal(err)
		}
		certs, err := chain.Certificates([]byte(x.FullPEM))
		if err != nil {
			t.Fatal(err)
		}
		leaves[out.Certificate.ID] = certs[0]
	}
	for id, leaf := range leaves {
		shard := revocation.ShardOf(leaf.SerialNumber, 4)
		want := fmt.Sprintf("http://crl.example.com/list/%d", shard)
		if !slices.Equal(leaf.CRLDistributionPoints, []string{want}) || !freshest(leaf, want+"/delta") {
			t.Errorf("%v, want %s and its delta", leaf.CRLDistributionPoints, want)
		}
		before := s.list(shard, true)
		if _, err := s.Revoke(t.Context(), id, engine.RevokeOptions{Reason: revocation.Superseded}); err != nil {
			t.Fatal(err)
		}
		delta := s.list(shard, true)
		if !listed(delta, leaf.SerialNumber) || delta.Number.Cmp(before.Number) <= 0 {
			t.Errorf("delta %v of shard %d does not list what was revoked since %v", delta.Number, shard, before.Number)
		}
		for other := range 5 {
			if got := listed(s.list(other, false), leaf.SerialNumber); got != (other == shard || other == 0) {
				t.Errorf("the list of shard %d: %v, the certificate is of shard %d", other, got, shard)
			}
		}
	}
	for _, scope := range []engine.Scope{{Shard: 5}, {Shard: 5, Delta: true}} {
		if _, err := s.CRLOf(t.Context(), "iss-shards", scope); !errors.Is(err, revocation.ErrUnknownIssuer) {
			t.Errorf("%+v: %v", scope, err)
		}
	}
	if _, err := s.CRLOf(t.Context(), "iss-local", engine.Scope{Delta: true}); !errors.Is(err, revocation.ErrUnknownIssuer) {
		t.Errorf("a delta of an issuer that makes none: %v", err)
	}
	if _, err := s.UpdateIssuer(t.Context(), "iss-shards", engine.ConnectorInput{Config: fmt.Appendf(nil, config, 0)}, 0); err != nil {
		t.Fatal(err)
	}
	for _, leaf := range leaves {
		if shard := revocation.ShardOf(leaf.SerialNumber, 4); !listed(s.list(shard, false), leaf.SerialNumber) {
			t.Errorf("shard %d is empty since there are no more shards", shard)
		}
	}
}

// list is a checked list of iss-shards.
func (s *setup) list(shard int, delta bool) *x509.RevocationList {
	s.t.Helper()
	row, err := s.CRLOf(s.t.Context(), "iss-shards", engine.Scope{Shard: shard, Delta: delta})
	if err != nil {
		s.t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(row.DER)
	if err != nil {
		s.t.Fatal(err)
	}
	indicator := false
	point := ""
	for _, e := range list.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 27}) {
			indicator = e.Critical
		}
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 28}) && e.Critical {
			point = string(e.Value)
		}
	}
	if indicator != delta || (point != "") != (shard > 0) || shard > 0 && !strings.HasSuffix(point, fmt.Sprintf("http://crl.example.com/list/%d", shard)) {
		s.t.Errorf("shard %d, delta %v: indicator %v, point %q", shard, delta, indicator, point)
	}
	return list
}

func listed(list *x509.RevocationList, serial *big.Int) bool {
	return slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(serial) == 0 })
}

// freshest reports whether a certificate's freshest CRL is this URL.
func freshest(c *x509.Certificate, url string) bool {
	return slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool {
		return e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 46}) && strings.HasSuffix(string(e.Value), url)
	})
}

// TestResponderKey: the responder has the key that the issuer's setting asks
// for, from the next answer on.
func TestResponderKey(t *testing.T) {
	s := newSetup(t)
	for _, algorithm := range []string{"", "RSA-2048", "Ed25519", "ECDSA-P256"} {
		if algorithm != "" {
			if _, err := s.UpdateIssuer(t.Context(), "iss-local", engine.ConnectorInput{Config: fmt.Appendf(nil, `{"ocsp_key_algorithm":%q}`, algorithm)}, 0); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			signs, err := s.OCSPIssuer(t.Context(), "iss-local")
			if err != nil {
				t.Fatal(err)
			}
			kind, size := keys.Describe(signs.Certificate().PublicKey)
			want := map[string]string{"": "ECDSA", "RSA-2048": "RSA", "Ed25519": "Ed25519", "ECDSA-P256": "ECDSA"}[algorithm]
			if !strings.HasPrefix(kind, want) {
				t.Errorf("%q gives a key %s of %d bits", algorithm, kind, size)
			}
		}
	}
}

// slowSource takes an hour to list what is revoked.
type slowSource struct {
	revocation.Source
	clock *clock
}

func (s slowSource) Revoked(ctx context.Context, sel revocation.Selection, yield func(*big.Int, revocation.Status) error) error {
	s.clock.Forward(time.Hour)
	return s.Source.Revoked(ctx, sel, yield)
}

// TestAShortListIsNeverBehind: a list that was slow for another reason than its
// length has every revocation all the same.
func TestAShortListIsNeverBehind(t *testing.T) {
	s := newSetup(t)
	o := s.opts
	o.Revocations, o.Timing.CRLValidity = slowSource{s.store, s.clock}, 100*time.Hour
	slow, err := engine.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.run()
	for n, id := range []string{"mc-a", "mc-b", "mc-c"} {
		s.issue(id)
		if _, err := s.Revoke(t.Context(), id, engine.RevokeOptions{Reason: revocation.Superseded}); err != nil {
			t.Fatal(err)
		}
		list, err := slow.CRL(t.Context(), "iss-local")
		if err != nil {
			t.Fatal(err)
		}
		if list.RevokedCount != n+1 {
			t.Errorf("after %d revocations the list, made in %v, has %d", n+1, list.Duration, list.RevokedCount)
		}
	}
}
