package crl_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/crl"
	"github.com/certctl/certctl/revocation/revocationtest"
)

// many is a source of n entries in an array without pointers, so that what is
// measured is the list's own work and memory. The last changed are what a delta
// selects.
type many struct {
	serials [][16]byte
	changed int
}

func newMany(n int, sorted bool) *many {
	m := &many{serials: make([][16]byte, n)}
	for i := range m.serials {
		rand.Read(m.serials[i][:])
		m.serials[i][0] = 0x40 | m.serials[i][0]&0x3f
	}
	if sorted {
		slices.SortFunc(m.serials, func(x, y [16]byte) int { return slices.Compare(x[:], y[:]) })
	}
	return m
}

func (m *many) Status(context.Context, string, *big.Int) (revocation.Status, error) {
	return revocation.Status{}, nil
}

func (m *many) Revoked(_ context.Context, sel revocation.Selection, yield func(*big.Int, revocation.Status) error) error {
	all := m.serials
	if sel.Delta {
		all = all[len(all)-m.changed:]
	}
	n := new(big.Int)
	var dates [1024]time.Time
	for i := range dates {
		dates[i] = now.Add(-time.Duration(i) * time.Hour / 24)
	}
	for i := range all {
		s := revocation.Status{State: revocation.Revoked, Reason: revocation.KeyCompromise, At: dates[i%len(dates)]}
		if err := yield(n.SetBytes(all[i][:]), s); err != nil {
			return err
		}
	}
	return nil
}

// peak runs f and returns the most memory that the heap took meanwhile, above
// what it took before, in MiB.
func peak(f func()) float64 {
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	done, top := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		var m runtime.MemStats
		t := time.NewTicker(2 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-done:
				top <- most
				return
			case <-t.C:
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
			}
		}
	}()
	f()
	close(done)
	most := <-top
	return (float64(most) - float64(before.HeapInuse)) / (1 << 20)
}

// BenchmarkBuild: the floor is what must be done with as many octets: hash them,
// sign once, copy them.
func BenchmarkBuild(b *testing.B) {
	ca := revocationtest.NewCA(b, "p256", "CRL CA", now)
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		var list *crl.List
		for _, order := range []string{"sorted", "mixed"} {
			src := newMany(n, order == "sorted")
			b.Run(fmt.Sprintf("%d/%s", n, order), func(b *testing.B) {
				o := options(b, ca)
				for b.Loop() {
					list = build(b, src, o)
				}
				b.ReportMetric(float64(len(list.DER))/(1<<20), "MiB")
			})
		}
		b.Run(fmt.Sprintf("%d/floor", n), func(b *testing.B) {
			for b.Loop() {
				digest := sha256.Sum256(list.DER)
				if _, err := ca.Key.Sign(rand.Reader, digest[:], hash{}); err != nil {
					b.Fatal(err)
				}
				runtime.KeepAlive(append([]byte(nil), list.DER...))
			}
		})
		b.Run(fmt.Sprintf("%d/again after 1000", n), func(b *testing.B) {
			src := newMany(n, true)
			o := options(b, ca)
			o.Previous = build(b, src, o).DER
			src.changed = 1000
			src.serials = append(src.serials, newMany(1000, false).serials...)
			for b.Loop() {
				if again := build(b, src, o); again.Count != n+1000 {
					b.Fatal(again.Count)
				}
			}
		})
	}
}

type hash struct{}

func (hash) HashFunc() crypto.Hash { return crypto.SHA256 }

// BenchmarkBuildMemory reports the peak above the list's own size.
func BenchmarkBuildMemory(b *testing.B) {
	ca := revocationtest.NewCA(b, "p256", "CRL CA", now)
	for _, order := range []string{"sorted", "mixed"} {
		src := newMany(1_000_000, order == "sorted")
		b.Run(order, func(b *testing.B) {
			for b.Loop() {
				var list *crl.List
				most := peak(func() { list = build(b, src, options(b, ca)) })
				b.ReportMetric(most-float64(len(list.DER))/(1<<20), "MiB-above")
				runtime.KeepAlive(list)
			}
		})
	}
}
