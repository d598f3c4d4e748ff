package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
)

// ErrWeak is matched by every refusal of CheckPublic.
var ErrWeak = errors.New("weak key")

// CheckPublic refuses keys that are known to be weak, whoever made them: RSA
// shorter than 2048 or longer than 8192 bits, with a small or even exponent,
// with small or close prime factors, or with the ROCA fingerprint
// (CVE-2017-15361); elliptic curves other than P-256, P-384 and P-521.
func CheckPublic(pub crypto.PublicKey) error {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return checkRSA(k)
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256, 384, 521:
		default:
			return weak("the curve %s is not P-256, P-384 or P-521", k.Curve.Params().Name)
		}
		if _, err := k.ECDH(); err != nil {
			return weak("the public point is not on the curve")
		}
		return nil
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return weak("an Ed25519 key has 32 octets, not %d", len(k))
		}
		return nil
	default:
		return weak("keys of type %T are not supported; use RSA, ECDSA or Ed25519", pub)
	}
}

func weak(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrWeak}, a...)...)
}

func checkRSA(k *rsa.PublicKey) error {
	bits := k.N.BitLen()
	switch {
	case bits < 2048:
		return weak("an RSA key of %d bits is too short; use 2048 or more", bits)
	case bits > 8192:
		return weak("an RSA key of %d bits is too long; use 8192 or less", bits)
	case k.E < 65537 || k.E%2 == 0:
		return weak("the RSA exponent %d is not an odd number of 65537 or more", k.E)
	case k.N.Bit(0) == 0:
		return weak("the RSA modulus is even")
	}
	if new(big.Int).GCD(nil, nil, k.N, smallPrimes()).Cmp(big.NewInt(1)) != 0 {
		return weak("the RSA modulus has a small prime factor")
	}
	if roca(k.N) {
		return weak("the RSA key has the ROCA fingerprint (CVE-2017-15361); make a new one elsewhere")
	}
	if closePrimes(k.N) {
		return weak("the prime factors of the RSA key are too close to each other")
	}
	return nil
}

// smallPrimes is the product of the odd primes below 752, as CAs check them.
func smallPrimes() *big.Int {
	product := big.NewInt(1)
	for n := int64(3); n < 752; n += 2 {
		if big.NewInt(n).ProbablyPrime(0) {
			product.Mul(product, big.NewInt(n))
		}
	}
	return product
}

// closePrimes tries 100 rounds of Fermat's factorisation.
func closePrimes(n *big.Int) bool {
	a := new(big.Int).Sqrt(n)
	if new(big.Int).Mul(a, a).Cmp(n) < 0 {
		a.Add(a, big.NewInt(1))
	}
	for range 100 {
		b2 := new(big.Int).Mul(a, a)
		b2.Sub(b2, n)
		b := new(big.Int).Sqrt(b2)
		if new(big.Int).Mul(b, b).Cmp(b2) == 0 {
			return true
		}
		a.Add(a, big.NewInt(1))
	}
	return false
}

// rocaPrimes are the primes for which a vulnerable modulus is a power of 65537.
var rocaPrimes = [...]int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157}

// roca is the discriminant test of Nemec et al. (2017): for each of these
// primes, the modulus lies in the subgroup that 65537 generates.
func roca(n *big.Int) bool {
	for _, p := range rocaPrimes {
		r := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		member := false
		for x := int64(1); ; {
			if x == r {
				member = true
				break
			}
			if x = x * 65537 % p; x == 1 {
				break
			}
		}
		if !member {
			return false
		}
	}
	return true
}
