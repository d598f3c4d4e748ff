package ocsp

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certctl/certctl/revocation/internal/der"
)

// NewRequest makes the DER of a request about serials of a CA. The hash of the
// CertIDs is SHA-1 (what RFC 5019 responders understand), SHA-256, SHA-384 or
// SHA-512. A nil nonce sends none.
func NewRequest(ca *x509.Certificate, hash crypto.Hash, nonce []byte, serials ...*big.Int) ([]byte, error) {
	if len(serials) == 0 || len(serials) > MaxCertIDs {
		return nil, fmt.Errorf("ocsp: a request is about 1 to %d certificates, not %d", MaxCertIDs, len(serials))
	}
	if nonce != nil && (len(nonce) == 0 || len(nonce) > MaxNonce) {
		return nil, fmt.Errorf("ocsp: a nonce has 1 to %d octets, not %d", MaxNonce, len(nonce))
	}
	hashed, err := hashIssuer(ca, hash)
	if err != nil {
		return nil, err
	}
	var b []byte
	for _, serial := range serials {
		start := len(b)
		b = append(b, hashed...)
		b = der.AppendInteger(b, serial)
		b = der.Wrap(b, start, der.Sequence) // CertID
		b = der.Wrap(b, start, der.Sequence) // Request
	}
	b = der.Wrap(b, 0, der.Sequence)
	if nonce != nil {
		b = appendNonce(b, nonce, der.Context(2))
	}
	b = der.Wrap(b, 0, der.Sequence) // TBSRequest
	return der.Wrap(b, 0, der.Sequence), nil
}

// hashIssuer is the part of a CertID that names the issuer.
func hashIssuer(ca *x509.Certificate, hash crypto.Hash) ([]byte, error) {
	key, err := keyBits(ca.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, err
	}
	for _, h := range hashes {
		if h.hash == hash {
			b := der.Append(nil, 0x06, h.oid)
			b = append(b, 0x05, 0) // NULL, as every implementation writes it
			b = der.Wrap(b, 0, der.Sequence)
			b = der.Append(b, der.OctetString, sum(hash, ca.RawSubject))
			return der.Append(b, der.OctetString, sum(hash, key)), nil
		}
	}
	return nil, fmt.Errorf("ocsp: %v is not a hash for CertIDs; use SHA-1, SHA-256, SHA-384 or SHA-512", hash)
}

// keyBits is the public key without tag, length and count of unused bits,
// which is what OCSP hashes (RFC 6960 section 4.1.1).
func keyBits(spki []byte) ([]byte, error) {
	in := cryptobyte.String(spki)
	var info cryptobyte.String
	var bits []byte
	if !in.ReadASN1(&info, asn1.SEQUENCE) || !info.SkipASN1(asn1.SEQUENCE) || !info.ReadASN1BitStringAsBytes(&bits) {
		return nil, fmt.Errorf("ocsp: the certificate's public key cannot be read")
	}
	return bits, nil
}

// appendNonce appends Extensions with just the nonce, under a tag.
func appendNonce(b, nonce []byte, tag byte) []byte {
	start := len(b)
	b = der.Append(b, 0x06, oidNonce)
	value := len(b)
	b = der.Append(b, der.OctetString, nonce)
	b = der.Wrap(b, value, der.OctetString)
	b = der.Wrap(b, start, der.Sequence) // Extension
	b = der.Wrap(b, start, der.Sequence) // Extensions
	return der.Wrap(b, start, tag)
}
