package ocsp_test

import (
	"context"
	"crypto"
	"math/big"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/revocationtest"
)

// benched is a responder that follows, and requests about what it was asked
// about before.
func benched(b *testing.B, kind string, nonce []byte, warm bool) (*ocsp.Responder, [][]byte) {
	b.Helper()
	at := time.Now()
	ca := revocationtest.NewCA(b, kind, "OCSP CA", at)
	source := &revocationtest.Source{}
	delegate := ca.Delegate(b, kind, at.Add(-time.Hour), at.AddDate(0, 1, 0))
	issuer, err := ocsp.NewIssuer(delegate)
	if err != nil {
		b.Fatal(err)
	}
	r, err := ocsp.New(ocsp.Options{Source: source, Issuers: ocsp.Fixed(issuer), Now: time.Now, CacheSize: 64 << 20, Poll: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Follow(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
	requests := make([][]byte, 1000)
	for i := range requests {
		n := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 150), big.NewInt(int64(i)))
		source.Issue(ca.Cert, at.AddDate(0, 1, 0), n)
		if requests[i], err = ocsp.NewRequest(ca.Cert, crypto.SHA1, nonce, n); err != nil {
			b.Fatal(err)
		}
	}
	for warm && !same(r, requests) {
	}
	return r, requests
}

// same reports whether every answer was kept.
func same(r *ocsp.Responder, requests [][]byte) bool {
	for _, q := range requests {
		if first := r.Respond(context.Background(), q); string(r.Respond(context.Background(), q).DER) != string(first.DER) {
			return false
		}
	}
	return true
}

func BenchmarkRespondKept(b *testing.B) {
	r, requests := benched(b, "p256", nil, true)
	b.ReportAllocs()
	i := 0
	var buffer []byte
	for b.Loop() {
		buffer, _ = r.Append(b.Context(), buffer[:0], requests[i%len(requests)])
		i++
	}
}

func BenchmarkRespondFresh(b *testing.B) {
	for _, kind := range []string{"p256", "rsa2048", "ed25519"} {
		b.Run(kind, func(b *testing.B) {
			r, requests := benched(b, kind, []byte("0123456789abcdef"), false)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if r.Respond(b.Context(), requests[i%len(requests)]).Status != ocsp.Successful {
					b.Fatal("no answer")
				}
				i++
			}
		})
	}
}
