package foreign

import (
	"bytes"
	"math"
	"math/big"
	"slices"
	"time"

	"github.com/certctl/certctl/revocation"
)

// key is a serial of at most 20 octets (RFC 5280 section 4.1.2.2), as a number.
type key [20]byte

// record is a revocation. Times are in seconds since 1970.
type record struct {
	at, invalid int64
	reason      uint8
}

// never stands for a time that is not set.
const never = math.MinInt64

func (r record) status() revocation.Status {
	s := revocation.Status{State: revocation.Revoked, Reason: revocation.Reason(r.reason), At: time.Unix(r.at, 0).UTC()}
	if r.invalid != never {
		s.Invalid = time.Unix(r.invalid, 0).UTC()
	}
	return s
}

type row struct {
	key key
	record
}

// table is a set of serials with their revocations, sorted, without a pointer
// for each. Serials that no conforming CA issues are in odd.
type table struct {
	rows []row
	odd  map[string]record // by decimal number
}

func (t *table) len() int { return len(t.rows) + len(t.odd) }

// add takes the content octets of an INTEGER.
func (t *table) add(serial []byte, r record) error {
	digits := bytes.TrimLeft(serial, "\x00")
	if serial[0] < 0x80 && len(digits) <= len(key{}) {
		var k key
		copy(k[len(k)-len(digits):], digits)
		t.rows = append(t.rows, row{k, r})
		return nil
	}
	if len(serial) > 64 {
		return &Rejected{"unreadable", errLong}
	}
	n := new(big.Int).SetBytes(serial)
	if serial[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(serial))))
	}
	if t.odd == nil {
		t.odd = map[string]record{}
	}
	t.odd[n.String()] = r
	return nil
}

// sort puts the serials in order, each once: the earliest revocation counts.
func (t *table) sort() {
	slices.SortFunc(t.rows, func(x, y row) int {
		if c := bytes.Compare(x.key[:], y.key[:]); c != 0 {
			return c
		}
		return int(min(max(x.at-y.at, -1), 1))
	})
	t.rows = slices.CompactFunc(t.rows, func(x, y row) bool { return x.key == y.key })
}

// keyOf is a serial as a key, if it is one.
func keyOf(n *big.Int) (k key, ok bool) {
	if n.Sign() < 0 || n.BitLen() > 8*len(k) {
		return k, false
	}
	n.FillBytes(k[:])
	return k, true
}

func (t *table) find(n *big.Int) (record, bool) {
	k, ok := keyOf(n)
	if !ok {
		r, ok := t.odd[n.String()]
		return r, ok
	}
	i, found := slices.BinarySearchFunc(t.rows, k, func(r row, k key) int { return bytes.Compare(r.key[:], k[:]) })
	if !found {
		return record{}, false
	}
	return t.rows[i].record, true
}

// each yields every serial with its record; the number is used again.
func (t *table) each(yield func(*big.Int, record) error) error {
	n := new(big.Int)
	for i := range t.rows {
		if err := yield(n.SetBytes(t.rows[i].key[:]), t.rows[i].record); err != nil {
			return err
		}
	}
	for text, r := range t.odd {
		odd, _ := new(big.Int).SetString(text, 10)
		if err := yield(odd, r); err != nil {
			return err
		}
	}
	return nil
}

// maxDiff is how many changes are told one by one.
const maxDiff = 100_000

// diff lists the serials that are in one table only, or differ; false when there
// are too many, or odd ones.
func diff(old, next *table) ([]key, bool) {
	if len(old.odd)+len(next.odd) > 0 {
		return nil, false
	}
	var out []key
	i, j := 0, 0
	for (i < len(old.rows) || j < len(next.rows)) && len(out) <= maxDiff {
		var c int
		switch {
		case i == len(old.rows):
			c = 1
		case j == len(next.rows):
			c = -1
		default:
			c = bytes.Compare(old.rows[i].key[:], next.rows[j].key[:])
		}
		switch {
		case c < 0:
			out, i = append(out, old.rows[i].key), i+1
		case c > 0:
			out, j = append(out, next.rows[j].key), j+1
		default:
			if old.rows[i].record != next.rows[j].record {
				out = append(out, next.rows[j].key)
			}
			i, j = i+1, j+1
		}
	}
	return out, len(out) <= maxDiff
}
