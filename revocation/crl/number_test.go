package crl_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation/crl"
)

func TestNumbersRise(t *testing.T) {
	at := now
	last, err := crl.NextNumber(nil, at)
	if err != nil || last.Int().Int64() != now.UnixMicro() {
		t.Fatalf("the first number is %v (%v), want %d", last, err, now.UnixMicro())
	}
	for i, step := range []time.Duration{time.Hour, 0, 0, -24 * time.Hour, time.Second, 48 * time.Hour, -10 * 365 * 24 * time.Hour} {
		at = at.Add(step)
		next, err := crl.NextNumber(last.Int(), at)
		if err != nil || next.Int().Cmp(last.Int()) <= 0 {
			t.Fatalf("step %d: %v after %v (%v)", i, next, last, err)
		}
		last = next
	}
}

func TestAnOlderBackupDoesNotLowerTheNumber(t *testing.T) {
	backup, _ := crl.NextNumber(nil, now)
	used := backup
	for hour := range 1000 { // one a hour since the backup
		used, _ = crl.NextNumber(used.Int(), now.Add(time.Duration(hour)*time.Hour))
	}
	restored, err := crl.NextNumber(backup.Int(), now.Add(1001*time.Hour))
	if err != nil || restored.Int().Cmp(used.Int()) <= 0 {
		t.Errorf("%v after a restore, %v was used (%v)", restored, used, err)
	}
}

func TestNumbersThatCannotBe(t *testing.T) {
	last := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 159), big.NewInt(1))
	for _, previous := range []*big.Int{big.NewInt(-1), last, new(big.Int).Lsh(big.NewInt(1), 200)} {
		if n, err := crl.NextNumber(previous, now); err == nil {
			t.Errorf("after %v comes %v", previous, n)
		}
	}
	before := new(big.Int).Sub(last, big.NewInt(1))
	if n, err := crl.NextNumber(before, now); err != nil || n.Int().Cmp(last) != 0 {
		t.Errorf("the last number is %v (%v)", n, err)
	}
	if n, err := crl.NextNumber(nil, time.Time{}); err != nil || n.Int().Sign() <= 0 {
		t.Errorf("the year 1 gives %v (%v)", n, err)
	}
	if (crl.Number{}).Int() != nil || (crl.Number{}).String() != "none" {
		t.Error("the zero number is a number")
	}
	n, _ := crl.NextNumber(nil, now)
	n.Int().SetInt64(1)
	if n.Int().Int64() != now.UnixMicro() || n.String() != "1772600767000000" {
		t.Errorf("a number changed from outside: %v", n)
	}
}
