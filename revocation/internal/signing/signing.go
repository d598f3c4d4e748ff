// Package signing makes the signatures of CRLs and OCSP responses.
package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // the hashes below
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
)

// Algorithm is a signature algorithm.
type Algorithm struct {
	ID   []byte // DER of its AlgorithmIdentifier
	X509 x509.SignatureAlgorithm
	hash crypto.Hash // 0: the message itself is signed
}

// AlgorithmIdentifiers of RFC 5758, RFC 4055 and RFC 8410.
var (
	ecdsaSHA256 = Algorithm{[]byte{0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2}, x509.ECDSAWithSHA256, crypto.SHA256}
	ecdsaSHA384 = Algorithm{[]byte{0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3}, x509.ECDSAWithSHA384, crypto.SHA384}
	ecdsaSHA512 = Algorithm{[]byte{0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4}, x509.ECDSAWithSHA512, crypto.SHA512}
	rsaSHA256   = Algorithm{[]byte{0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 11, 5, 0}, x509.SHA256WithRSA, crypto.SHA256}
	pureEd25519 = Algorithm{[]byte{0x30, 5, 6, 3, 0x2b, 0x65, 0x70}, x509.PureEd25519, 0}
)

// ForKey is the algorithm with which a key signs: SHA-256 with RSA (PKCS #1
// v1.5), ECDSA with the hash of the curve's strength, Ed25519.
func ForKey(pub crypto.PublicKey) (Algorithm, error) {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return rsaSHA256, nil
	case ed25519.PublicKey:
		return pureEd25519, nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return ecdsaSHA256, nil
		case elliptic.P384():
			return ecdsaSHA384, nil
		case elliptic.P521():
			return ecdsaSHA512, nil
		}
		return Algorithm{}, fmt.Errorf("signing with curve %s is not supported; use P-256 or P-384", k.Params().Name)
	}
	return Algorithm{}, fmt.Errorf("signing with a key of type %T is not supported; use RSA, ECDSA or Ed25519", pub)
}

// Sign signs a message.
func (a Algorithm) Sign(s crypto.Signer, message []byte) ([]byte, error) {
	return s.Sign(rand.Reader, a.digest(message), a.hash)
}

// Message takes a message in pieces, for SignSame; nil when the key signs the
// message itself.
func (a Algorithm) Message() hash.Hash {
	if a.hash == 0 {
		return nil
	}
	return a.hash.New()
}

// SignSame signs a message, of which hashed is Message after it was written,
// equal messages alike wherever the key allows it: ECDSA keys in memory sign as
// in RFC 6979. The signature is checked, too: a module that signs wrongly is
// found out here.
func (a Algorithm) SignSame(s crypto.Signer, hashed hash.Hash, message []byte) ([]byte, error) {
	random := rand.Reader
	if _, ok := s.(*ecdsa.PrivateKey); ok {
		random = nil
	}
	digest := message
	if hashed != nil {
		digest = hashed.Sum(nil)
	}
	signature, err := s.Sign(random, digest, a.hash)
	if err != nil {
		return nil, err
	}
	if !a.verify(s.Public(), digest, signature) {
		return nil, errors.New("the signature that the key made is wrong")
	}
	return signature, nil
}

// digest is what the key signs: the hash, or the message itself.
func (a Algorithm) digest(message []byte) []byte {
	switch a.hash {
	case 0:
		return message
	case crypto.SHA256: // without the object
		sum := sha256.Sum256(message)
		return sum[:]
	default:
		h := a.hash.New()
		h.Write(message)
		return h.Sum(nil)
	}
}

func (a Algorithm) verify(pub crypto.PublicKey, digest, signature []byte) bool {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, a.hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest, signature)
	case ed25519.PublicKey:
		return ed25519.Verify(k, digest, signature)
	}
	return false
}

// Belongs reports, as an error, that signer is not the key of cert.
func Belongs(cert *x509.Certificate, signer crypto.Signer) error {
	pub, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !pub.Equal(cert.PublicKey) {
		return errors.New("the signing key is not the key of the certificate; give the pair that belongs together")
	}
	return nil
}
