// Package keys makes, reads and judges private and public keys. Keys are held
// as crypto.Signer, whatever keeps them.
package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Algorithm names a kind of key with its size.
type Algorithm string

const (
	ECDSAP256 Algorithm = "ECDSA-P256"
	ECDSAP384 Algorithm = "ECDSA-P384"
	RSA2048   Algorithm = "RSA-2048"
	RSA3072   Algorithm = "RSA-3072"
	RSA4096   Algorithm = "RSA-4096"
	Ed25519   Algorithm = "Ed25519"
)

// Algorithms lists them all.
var Algorithms = []Algorithm{ECDSAP256, ECDSAP384, RSA2048, RSA3072, RSA4096, Ed25519}

// ParseAlgorithm reads a name, whatever its case.
func ParseAlgorithm(s string) (Algorithm, error) {
	i := slices.IndexFunc(Algorithms, func(a Algorithm) bool { return strings.EqualFold(string(a), s) })
	if i < 0 {
		return "", fmt.Errorf("key algorithm %.40q is not one of ECDSA-P256, ECDSA-P384, RSA-2048, RSA-3072, RSA-4096, Ed25519", s)
	}
	return Algorithms[i], nil
}

// Generate makes a key.
func Generate(a Algorithm) (crypto.Signer, error) {
	switch a {
	case ECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECDSAP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	default:
		_, err := ParseAlgorithm(string(a))
		return nil, errors.Join(fmt.Errorf("no key can be made of algorithm %.40q", a), err)
	}
}

// Describe names the kind of a public key ("RSA", "ECDSA", "Ed25519") and its
// size in bits; "" and 0 for others.
func Describe(pub crypto.PublicKey) (algorithm string, bits int) {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return "RSA", k.N.BitLen()
	case *ecdsa.PublicKey:
		return "ECDSA", k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return "Ed25519", 256
	default:
		return "", 0
	}
}

// AlgorithmOf names the algorithm of a public key as Algorithms does, or as
// "RSA-1024" where it is none of them.
func AlgorithmOf(pub crypto.PublicKey) Algorithm {
	switch name, bits := Describe(pub); name {
	case "RSA":
		return Algorithm(fmt.Sprintf("RSA-%d", bits))
	case "ECDSA":
		return Algorithm(fmt.Sprintf("ECDSA-P%d", bits))
	default:
		return Algorithm(name)
	}
}

// SameKey reports whether two public keys are one.
func SameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// MarshalPEM writes a private key as PKCS#8 PEM (RFC 5208).
func MarshalPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("the key cannot be written as PKCS#8: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// maxPEM bounds a key file, in octets.
const maxPEM = 64 << 10

// ParsePEM reads the first private key of a PEM text: PKCS#8, PKCS#1 or SEC1.
func ParsePEM(text []byte) (crypto.Signer, error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("a private key of %d octets is too large; the limit is %d", len(text), maxPEM)
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("there is no private key in it (PEM block PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY)")
		}
		switch block.Type {
		case "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("the PKCS#8 private key cannot be read: %w", err)
			}
			signer, ok := key.(crypto.Signer)
			if !ok {
				return nil, fmt.Errorf("a %T cannot sign", key)
			}
			return signer, nil
		case "RSA PRIVATE KEY":
			return signerOr(x509.ParsePKCS1PrivateKey(block.Bytes))
		case "EC PRIVATE KEY":
			return signerOr(x509.ParseECPrivateKey(block.Bytes))
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the private key is encrypted; decrypt it first (openssl pkcs8 -in FILE)")
		}
	}
}

func signerOr[K crypto.Signer](key K, err error) (crypto.Signer, error) {
	if err != nil {
		return nil, fmt.Errorf("the private key cannot be read: %w", err)
	}
	return key, nil
}
