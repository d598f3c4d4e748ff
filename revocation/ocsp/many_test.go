package ocsp_test

import (
	"crypto"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/revocationtest"
)

// TestTenThousandResponses: about random certificates, by every kind of key, hash
// and nonce, expired ones among them. Each passes the lint, and a relying party.
func TestTenThousandResponses(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	reasons := append(slices.Clone(revocation.Reasons), revocation.AACompromise)
	hashes := []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512}
	kinds := []string{"p256", "p384", "ed25519", "rsa2048"}
	share := []int{8000, 700, 1000, 300} // those that sign fast sign more
	for i, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			ca := revocationtest.NewCA(t, kind, "OCSP CA", now)
			src := &revocationtest.Source{}
			responder, err := ocsp.New(ocsp.Options{
				Source: src, Now: func() time.Time { return now }, Archive: true,
				Issuers: ocsp.Fixed(revocationtest.Issuer(t, ca.Delegate(t, kind, now.Add(-time.Hour), now.AddDate(0, 1, 0)))),
			})
			if err != nil {
				t.Fatal(err)
			}
			src.Issue(ca.Cert, now.AddDate(0, 1, 0))
			for range share[i] {
				octets := make([]byte, 1+r.IntN(20))
				for j := range octets {
					octets[j] = byte(r.Uint32())
				}
				serial := new(big.Int).SetBytes(octets)
				serial.SetBit(serial, 0, 1)
				want := revocation.State(r.IntN(3))
				if want != revocation.Unknown {
					src.Issue(ca.Cert, now.Add(time.Duration(r.IntN(2000)-1000)*time.Hour), serial)
				}
				if want == revocation.Revoked {
					if err := src.Revoke(ca.Cert, serial, reasons[r.IntN(len(reasons))], now.Add(-time.Duration(r.IntN(1000))*time.Hour)); err != nil {
						t.Fatal(err)
					}
				}
				var nonce []byte
				if r.IntN(2) == 0 {
					nonce = octets
				}
				request, err := ocsp.NewRequest(ca.Cert, hashes[r.IntN(4)], nonce, serial)
				if err != nil {
					t.Fatal(err)
				}
				response := responder.Respond(t.Context(), request)
				v, err := ocsp.Verify(response.DER, ocsp.VerifyOptions{CA: ca.Cert, Now: now, Nonce: nonce})
				if err != nil {
					t.Fatalf("%x: %v, %v", serial, err, response.Err)
				}
				if got := v.Answers[0].Status.State; got != want && (want != revocation.Unknown || len(octets) > 3) {
					t.Fatalf("%x is %v, want %v", serial, got, want)
				}
				lintOCSP(t, response.DER)
				if t.Failed() {
					t.Fatalf("%x: %x", serial, response.DER)
				}
			}
		})
	}
}
