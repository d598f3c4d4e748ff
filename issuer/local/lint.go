package local

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"time"

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
	key, err := likeIt(caKey.Public())
	if err != nil {
		return nil, err
	}
	parent := *ca // its name and key identifier, under the other key
	parent.PublicKey = key.Public()
	return &linter{&parent, key}, nil
}

// likeIt makes a key of the same kind, so that the signature algorithm in what
// is linted is the CA's own. The length of an RSA key makes no difference to it.
func likeIt(pub crypto.PublicKey) (crypto.Signer, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.GenerateKey(k.Curve, rand.Reader)
	case *rsa.PublicKey:
		return keys.Generate(keys.RSA2048)
	case ed25519.PublicKey:
		return keys.Generate(keys.Ed25519)
	default:
		return nil, fmt.Errorf("local CA: a CA key of type %T is not supported; use RSA, ECDSA or Ed25519", pub)
	}
}

// check lints a certificate before it is signed, and has it verified below the
// CA, whose own constraints (names, usages, path length: RFC 5280 section 6.1)
// it might break. It returns the octets that are to be signed.
func (l *linter) check(t *x509.Certificate, pub crypto.PublicKey, now time.Time) ([]byte, error) {
	der, err := x509.CreateCertificate(nil, t, l.parent, pub, l.key)
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be built: %w", err)
	}
	if err := lint.Certificate(der); err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be read: %w", err)
	}
	if now.Before(c.NotBefore) {
		now = c.NotBefore // valid later is valid
	}
	roots := x509.NewCertPool()
	roots.AddCert(l.parent)
	if _, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: t.ExtKeyUsage}); err != nil {
		return nil, fmt.Errorf("relying parties would refuse the certificate: %w", err)
	}
	return c.RawTBSCertificate, nil
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
