package local

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/certctl/lint"
)

// linter signs what is to be judged with a throw-away key of the CA key's own
// kind, so that nothing bad ever bears the CA's signature.
type linter struct {
	parent *x509.Certificate
	key    crypto.Signer
}

func newLinter(ca *x509.Certificate, caKey crypto.Signer) (*linter, error) {
	key, err := keys.Generate(kindOf(caKey.Public()))
	if err != nil {
		return nil, err
	}
	parent := *ca // its name and key identifier, under the other key
	parent.PublicKey = key.Public()
	return &linter{&parent, key}, nil
}

// kindOf is the algorithm of a key, with the shortest RSA key: its length says
// nothing about what is signed.
func kindOf(pub crypto.PublicKey) keys.Algorithm {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return keys.RSA2048
	case ed25519.PublicKey:
		return keys.Ed25519
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize > 256 {
			return keys.ECDSAP384
		}
	}
	return keys.ECDSAP256
}

// check lints a certificate before it is signed.
func (l *linter) check(t *x509.Certificate, pub crypto.PublicKey) error {
	der, err := x509.CreateCertificate(nil, t, l.parent, pub, l.key)
	if err != nil {
		return fmt.Errorf("the certificate cannot be built: %w", err)
	}
	return lint.Certificate(der)
}

// keyID is the subject key identifier by method (1) of RFC 5280 section 4.2.1.2:
// SHA-1 of the key's bits. It is a name, not a protection.
func keyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, errKey
	}
	var spki struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &spki); err != nil {
		return nil, errKey
	}
	sum := sha1.Sum(spki.Key.Bytes)
	return sum[:], nil
}
