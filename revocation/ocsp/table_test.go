package ocsp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// TestTableAgainstAMap: what is found is what was set last, and what was dropped
// is not found. Old values may be gone; recent ones are there.
func TestTableAgainstAMap(t *testing.T) {
	for _, size := range []int64{0, 3 << 20, 256 << 20} {
		tab := newTable(size)
		r := rand.New(rand.NewPCG(uint64(size), 1))
		model := map[string]string{}
		found, missed := 0, 0
		for i := range 300_000 {
			key := fmt.Sprintf("certificate %d, and what its CertID holds besides", r.IntN(20_000))
			switch r.IntN(10) {
			case 0:
				tab.drop([]byte(key))
				delete(model, key)
			case 1, 2, 3:
				value := string(bytes.Repeat([]byte{byte(i)}, 60+r.IntN(900))) + fmt.Sprint(i)
				tab.set([]byte(key), []byte(value))
				model[key] = value
				if got, ok := tab.appendTo([]byte("x"), []byte(key)); !ok || string(got) != "x"+value {
					t.Fatalf("%d: what was set just now is not there", i)
				}
			default:
				got, ok := tab.appendTo(nil, []byte(key))
				want, known := model[key]
				if ok && (!known || string(got) != want) {
					t.Fatalf("%d: %s has %.40q, want %.40q (known: %v)", i, key, got, want, known)
				}
				if ok {
					found++
				} else if known {
					missed++
				}
			}
		}
		if size == 256<<20 && missed > found/1000 {
			t.Errorf("%d were found, %d are missing though there was room", found, missed)
		}
		if n := tab.size(); n == 0 || n > uint64(len(tab.memory)) {
			t.Errorf("%d octets of %d", n, len(tab.memory))
		}
		tab.clear()
		for key := range model {
			if _, ok := tab.appendTo(nil, []byte(key)); ok {
				t.Fatal("found after clear")
			}
		}
	}
}

// TestTableIsWhole: readers see whole values while writers overwrite them all.
func TestTableIsWhole(t *testing.T) {
	tab := newTable(0)
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 2))
			var b []byte
			for range 50_000 {
				key := binary.LittleEndian.AppendUint64([]byte("key"), uint64(r.IntN(300)))
				if w%2 == 0 {
					tab.set(key, bytes.Repeat(key, 1+r.IntN(400)))
					continue
				}
				var ok bool
				if b, ok = tab.appendTo(b[:0], key); ok && (len(b)%len(key) != 0 || !bytes.Equal(bytes.Repeat(key, len(b)/len(key)), b)) {
					t.Errorf("%x has %.60x", key, b)
					return
				}
			}
		})
	}
	group.Wait()
}

func TestTableKeepsNothingHuge(t *testing.T) {
	tab := newTable(1 << 20)
	tab.set([]byte("k"), make([]byte, maxRecord))
	if _, ok := tab.appendTo(nil, []byte("k")); ok {
		t.Error("kept")
	}
}
