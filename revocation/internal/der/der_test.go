package der_test

import (
	"bytes"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation/internal/der"
)

func TestIntegerMatchesEncodingASN1(t *testing.T) {
	var cases []*big.Int
	for shift := range 170 {
		p := new(big.Int).Lsh(big.NewInt(1), uint(shift))
		for d := int64(-2); d <= 2; d++ {
			n := new(big.Int).Add(p, big.NewInt(d))
			cases = append(cases, n, new(big.Int).Neg(n))
		}
	}
	for _, n := range append(cases, big.NewInt(0)) {
		want, err := asn1.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		if got := der.AppendInteger(nil, n); !bytes.Equal(got, want) {
			t.Errorf("AppendInteger(%v) = %x, want %x", n, got, want)
		}
	}
}

func TestLengthsMatchEncodingASN1(t *testing.T) {
	for _, n := range []int{0, 1, 126, 127, 128, 129, 255, 256, 257, 65535, 65536, 1<<24 - 1, 1 << 24} {
		content := bytes.Repeat([]byte{7}, n)
		want, err := asn1.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if got := der.Append(nil, der.OctetString, content); !bytes.Equal(got, want) {
			t.Errorf("Append of %d octets begins %x, want %x", n, got[:min(8, len(got))], want[:min(8, len(want))])
		}
		if got := der.HeaderSize(n); got != len(want)-n {
			t.Errorf("HeaderSize(%d) = %d, want %d", n, got, len(want)-n)
		}
		wrapped := der.Wrap(append([]byte("kept"), content...), 4, der.OctetString)
		if !bytes.Equal(wrapped, append([]byte("kept"), want...)) {
			t.Errorf("Wrap of %d octets differs", n)
		}
	}
}

func TestTimesMatchEncodingASN1(t *testing.T) {
	zone := time.FixedZone("", 5*3600+1800)
	for _, at := range []time.Time{
		time.Date(1949, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2050, 1, 1, 4, 0, 0, 0, zone), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	} {
		want, err := asn1.Marshal(at.UTC())
		if err != nil {
			t.Fatal(err)
		}
		if got := der.AppendTime(nil, at); !bytes.Equal(got, want) {
			t.Errorf("AppendTime(%v) = %q, want %q", at, got, want)
		}
	}
	if der.CheckTime(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)) == nil {
		t.Error("year 10000 passes")
	}
}
