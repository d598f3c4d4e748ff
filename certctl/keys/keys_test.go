package keys_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/keys"
)

func TestRoundTrip(t *testing.T) {
	for _, a := range keys.Algorithms {
		key, err := keys.Generate(a)
		if err != nil {
			t.Fatal(err)
		}
		if err := keys.CheckPublic(key.Public()); err != nil {
			t.Errorf("%s: %v", a, err)
		}
		text, err := keys.MarshalPEM(key)
		if err != nil {
			t.Fatal(err)
		}
		back, err := keys.ParsePEM(text)
		if err != nil || !keys.SameKey(back.Public(), key.Public()) {
			t.Errorf("%s: %v", a, err)
		}
		if got := keys.AlgorithmOf(key.Public()); got != a {
			t.Errorf("%s is called %s", a, got)
		}
		if name, bits := keys.Describe(key.Public()); !strings.HasPrefix(string(a), name) || bits < 256 {
			t.Errorf("%s: %s %d", a, name, bits)
		}
		if parsed, err := keys.ParseAlgorithm(strings.ToUpper(string(a))); err != nil || parsed != a {
			t.Errorf("%s: %s, %v", a, parsed, err)
		}
	}
	if _, err := keys.ParseAlgorithm("DSA-1024"); err == nil {
		t.Error("DSA")
	}
}

func prime(t *testing.T, bits int) *big.Int {
	t.Helper()
	p, err := rand.Prime(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWeakKeys(t *testing.T) {
	p := prime(t, 1024)
	near := new(big.Int).Add(p, big.NewInt(2))
	for !near.ProbablyPrime(20) {
		near.Add(near, big.NewInt(2))
	}
	modulus := new(big.Int).Mul(p, prime(t, 1024))
	// Each prime of a ROCA key is a power of 65537 modulo the product of small
	// primes; so is the modulus.
	roca := new(big.Int).Exp(big.NewInt(65537), big.NewInt(123457), primorial())
	roca.Add(roca, new(big.Int).Mul(primorial(), new(big.Int).Lsh(big.NewInt(1), uint(2049-primorial().BitLen()))))
	for hasSmallFactor(roca) {
		roca.Add(roca, primorial())
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  any
		want string
	}{
		"1024 bits":     {&rsa.PublicKey{N: new(big.Int).Mul(prime(t, 512), prime(t, 512)), E: 65537}, "too short"},
		"16384 bits":    {&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 16383), E: 65537}, "too long"},
		"exponent 3":    {&rsa.PublicKey{N: modulus, E: 3}, "exponent 3"},
		"exponent even": {&rsa.PublicKey{N: modulus, E: 65538}, "exponent"},
		"even modulus":  {&rsa.PublicKey{N: new(big.Int).Lsh(modulus, 1), E: 65537}, "even"},
		"small factor":  {&rsa.PublicKey{N: new(big.Int).Mul(modulus, big.NewInt(701)), E: 65537}, "small prime"},
		"close primes":  {&rsa.PublicKey{N: new(big.Int).Mul(p, near), E: 65537}, "too close"},
		"ROCA":          {&rsa.PublicKey{N: roca, E: 65537}, "ROCA"},
		"P-224":         {p224.Public(), "P-224"},
		"not on curve":  {&ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}, "not on the curve"}, //nolint:staticcheck // no other way makes a bad one
		"no key":        {"key", "not supported"},
	} {
		begun := time.Now()
		err := keys.CheckPublic(c.key)
		if !errors.Is(err, keys.ErrWeak) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if took := time.Since(begun); took > 200*time.Millisecond {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

func hasSmallFactor(n *big.Int) bool {
	for p := int64(2); p < 752; p++ {
		if new(big.Int).Mod(n, big.NewInt(p)).Sign() == 0 {
			return true
		}
	}
	return false
}

// primorial is the product of the primes that the ROCA test looks at.
func primorial() *big.Int {
	m := big.NewInt(1)
	for _, p := range []int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157} {
		m.Mul(m, big.NewInt(p))
	}
	return m
}

func TestOpen(t *testing.T) {
	key, err := keys.Generate(keys.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.MarshalPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{path, "file:" + path} {
		if got, err := keys.Open(t.Context(), uri); err != nil || !keys.SameKey(got.Public(), key.Public()) {
			t.Errorf("%s: %v", uri, err)
		}
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("%v", err)
	}
	if _, err := keys.Open(t.Context(), "pkcs11:token=x"); err == nil || !strings.Contains(err.Error(), "pkcs11") {
		t.Errorf("%v", err)
	}
}

func FuzzParsePEM(f *testing.F) {
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if k, err := keys.ParsePEM(text); (k == nil) == (err == nil) {
			t.Errorf("%v, %v", k, err)
		}
	})
}
