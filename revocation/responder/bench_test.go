package responder_test

import (
	"bytes"
	"context"
	"crypto"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/responder"
	"github.com/certctl/certctl/revocation/revocationtest"
)

// sink is a ResponseWriter that costs nothing.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

type body struct{ bytes.Reader }

func (*body) Close() error { return nil }

// BenchmarkHandlerKept is the common request: POST, no nonce, about one of
// 100,000 certificates that were asked about before.
func BenchmarkHandlerKept(b *testing.B) {
	at := time.Now()
	ca := revocationtest.NewCA(b, "p256", "Served CA", at)
	source := &revocationtest.Source{}
	issuer := revocationtest.Issuer(b, ca.Delegate(b, "p256", at.Add(-time.Hour), at.AddDate(0, 1, 0)))
	answers, err := ocsp.New(ocsp.Options{Source: source, Issuers: ocsp.Fixed(issuer), Now: time.Now, CacheSize: 512 << 20, Validity: 24 * time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = answers.Follow(ctx) }()
	defer func() { cancel(); <-done }()
	h, err := responder.New(responder.Options{OCSP: func(context.Context, string) (*ocsp.Responder, error) { return answers, nil }, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	requests := make([][]byte, 100_000)
	for i := range requests {
		n := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(rand.Int64()), 64), big.NewInt(rand.Int64()))
		source.Issue(ca.Cert, at.AddDate(0, 1, 0), n)
		if requests[i], err = ocsp.NewRequest(ca.Cert, crypto.SHA1, nil, n); err != nil {
			b.Fatal(err)
		}
		answers.Respond(ctx, requests[i])
	}
	w := &sink{http.Header{}}
	r := &http.Request{Method: "POST", URL: &url.URL{Path: responder.Prefix + "ocsp/iss-one"}, Header: http.Header{"Content-Type": {"application/ocsp-request"}}}
	in := &body{}
	b.ReportAllocs()
	for b.Loop() {
		q := requests[rand.IntN(len(requests))]
		in.Reset(q)
		r.Body, r.ContentLength = in, int64(len(q))
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}
