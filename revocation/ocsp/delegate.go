package ocsp

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/certctl/certctl/revocation/internal/signing"
)

// DelegateOptions describe a delegated responder certificate.
type DelegateOptions struct {
	Serial *big.Int // required: 1 to 159 bits, recorded as issued before the CA signs
	// NotBefore and NotAfter, both required, are cut to the CA's own validity.
	NotBefore, NotAfter time.Time
	CommonName          string // "OCSP Responder" when empty
}

// noCheck is id-pkix-ocsp-nocheck (RFC 6960 section 4.2.2.2.1): clients trust
// the delegate for its lifetime, which is therefore short.
var noCheck = pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}

// NewDelegate makes the DER of a certificate with which the holder of pub may
// sign OCSP responses for a CA (RFC 6960 section 4.2.2.2), and nothing else.
// It fails when the CA may not sign certificates, when pub cannot sign
// responses, and when no validity is left within the CA's.
func NewDelegate(ca *x509.Certificate, caSigner crypto.Signer, pub crypto.PublicKey, o DelegateOptions) ([]byte, error) {
	template, err := delegateTemplate(ca, pub, o)
	if err != nil {
		return nil, fmt.Errorf("ocsp: responder certificate: %w", err)
	}
	if err := signing.Belongs(ca, caSigner); err != nil {
		return nil, fmt.Errorf("ocsp: responder certificate: %w", err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, ca, pub, caSigner)
	if err != nil {
		return nil, fmt.Errorf("ocsp: responder certificate: %w", err)
	}
	return cert, nil
}

func delegateTemplate(ca *x509.Certificate, pub crypto.PublicKey, o DelegateOptions) (*x509.Certificate, error) {
	switch {
	case !ca.IsCA || ca.KeyUsage != 0 && ca.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, fmt.Errorf("%s is not a certificate that may sign certificates", ca.Subject)
	case len(ca.SubjectKeyId) == 0:
		return nil, fmt.Errorf("the certificate of %s has no subject key identifier (RFC 5280 section 4.2.1.2)", ca.Subject)
	case o.Serial == nil || o.Serial.Sign() <= 0 || o.Serial.BitLen() > 159:
		return nil, errors.New("the serial number must be positive and at most 159 bits (RFC 5280 section 4.1.2.2)")
	}
	if _, err := signing.ForKey(pub); err != nil {
		return nil, err
	}
	if o.NotBefore.Before(ca.NotBefore) {
		o.NotBefore = ca.NotBefore
	}
	if o.NotAfter.After(ca.NotAfter) {
		o.NotAfter = ca.NotAfter
	}
	if !o.NotAfter.After(o.NotBefore) {
		return nil, fmt.Errorf("no validity is left: %s is valid from %s to %s", ca.Subject, ca.NotBefore.UTC().Format(time.RFC3339), ca.NotAfter.UTC().Format(time.RFC3339))
	}
	if o.CommonName == "" {
		o.CommonName = "OCSP Responder"
	}
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	bits, err := keyBits(spki)
	if err != nil {
		return nil, err
	}
	keyID := sha256.Sum256(bits) // RFC 7093 section 2, method 1
	return &x509.Certificate{
		SerialNumber: o.Serial, Subject: pkix.Name{CommonName: o.CommonName},
		NotBefore: o.NotBefore.UTC(), NotAfter: o.NotAfter.UTC(),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
		// An end entity: basicConstraints without cA, critical.
		BasicConstraintsValid: true,
		SubjectKeyId:          keyID[:20],
		ExtraExtensions:       []pkix.Extension{noCheck},
	}, nil
}
