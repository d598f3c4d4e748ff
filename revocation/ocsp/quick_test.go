package ocsp

import (
	"bytes"
	"math/big"
	"testing"
)

// FuzzQuick: what the quick parser finds is what ParseRequest finds. It may
// find something where ParseRequest refuses the inside of the CertID, which is
// in no cache then.
func FuzzQuick(f *testing.F) {
	hash := issuerHash{make([]byte, 20), make([]byte, 20)}
	id := encodeCertID(oidSHA1, []byte{5, 0}, hash, big.NewInt(5))
	f.Add(requestOf(id))
	f.Add(requestOf(encodeCertID(oidSHA512, nil, issuerHash{make([]byte, 64), make([]byte, 64)}, big.NewInt(-5))))
	f.Add([]byte("0\x800\x800"))
	f.Fuzz(func(t *testing.T, request []byte) {
		certID, nonce, ok := quick(request)
		req, err := ParseRequest(request)
		if !ok || err != nil {
			return
		}
		if len(req.IDs) != 1 || !bytes.Equal(req.IDs[0].Raw, certID) || !bytes.Equal(req.Nonce, nonce) {
			t.Fatalf("quick finds %x and %x, ParseRequest %x and %x", certID, nonce, req.IDs[0].Raw, req.Nonce)
		}
	})
}

// TestQuickIsUsed: the common requests take the short way.
func TestQuickIsUsed(t *testing.T) {
	for n, h := range hashes {
		size := h.hash.Size()
		id := encodeCertID(h.oid, []byte{5, 0}, issuerHash{make([]byte, size), make([]byte, size)}, new(big.Int).Lsh(big.NewInt(1), 150))
		if got, nonce, ok := quick(requestOf(id)); !ok || nonce != nil || !bytes.Equal(got, id) {
			t.Errorf("%d: %x, %x, %v", n, got, nonce, ok)
		}
		if _, err := ParseRequest(requestOf(id)); err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkQuick(b *testing.B) {
	request := requestOf(encodeCertID(oidSHA1, []byte{5, 0}, issuerHash{make([]byte, 20), make([]byte, 20)}, new(big.Int).Lsh(big.NewInt(1), 150)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := quick(request); !ok {
			b.Fatal("no")
		}
	}
}
