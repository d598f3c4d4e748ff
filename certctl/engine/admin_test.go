package engine_test

import (
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/engine"
)

func TestCRLCache(t *testing.T) {
	s := newSetup(t)
	s.fleet(2)
	if rows, at, err := s.CRLCache(t.Context()); err != nil || len(rows) != 0 || at.IsZero() {
		t.Fatalf("%v at %v, %v", rows, at, err)
	}
	first, err := s.CRL(t.Context(), "iss-local")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Revoke(t.Context(), "mc-000001", engine.RevokeOptions{}); err != nil {
		t.Fatal(err)
	}
	s.clock.Forward(time.Second)
	second, err := s.CRL(t.Context(), "iss-local")
	if err != nil || second.Number <= first.Number {
		t.Fatalf("%+v, %v", second, err)
	}
	rows, at, err := s.CRLCache(t.Context())
	if err != nil || len(rows) != 1 {
		t.Fatalf("%v, %v", rows, err)
	}
	row := rows[0]
	if row.CRL.Number != second.Number || row.CRL.RevokedCount != 1 || row.CRL.DER != nil || row.Stale || at.Before(row.CRL.ThisUpdate) {
		t.Errorf("%+v", row)
	}
	if len(row.Events) != 2 || row.Events[0].Number != second.Number || !row.Events[0].Succeeded || row.Events[1].RevokedCount != 0 {
		t.Errorf("%+v", row.Events)
	}
	s.clock.Forward(48 * time.Hour)
	if rows, _, err := s.CRLCache(t.Context()); err != nil || !rows[0].Stale {
		t.Errorf("%+v, %v", rows, err)
	}
}
