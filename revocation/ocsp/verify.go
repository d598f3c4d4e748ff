package ocsp

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/certctl/certctl/revocation/internal/signing"
)

// maxResponse bounds what Verify reads; a response is about 1 KiB.
const maxResponse = 1 << 20

// ErrUntrusted is matched by the errors of Verify for a response that cannot
// be believed.
var ErrUntrusted = errors.New("ocsp: response not trusted")

// ResponseError is the error of Verify for a response that is an OCSP error.
type ResponseError struct{ Status ResponseStatus }

func (e *ResponseError) Error() string { return "ocsp: the responder answers " + e.Status.String() }

// VerifyOptions say what a response must be.
type VerifyOptions struct {
	CA  *x509.Certificate // required: the issuer of the certificate asked about
	Now time.Time         // required
	// Nonce is the one that was sent; nil when none was. A response without
	// one, as RFC 5019 responders give, is then not trusted.
	Nonce []byte
	// Skew is by how much clocks may differ.
	Skew time.Duration
}

// Verified is a response that can be believed.
type Verified struct {
	Signer     *x509.Certificate // the CA, or its delegate
	ProducedAt time.Time
	Answers    []Answer // about certificates of the CA
}

// Answer finds what was said of a serial.
func (v *Verified) Answer(serial *big.Int) (Answer, bool) {
	for _, a := range v.Answers {
		if a.Serial.Cmp(serial) == 0 {
			return a, true
		}
	}
	return Answer{}, false
}

// Verify judges the DER of a response as a relying party must (RFC 6960 section
// 3.2): signed by the CA, or by a delegate that the CA issued for OCSP signing
// and that is valid now; with answers that are neither old nor of the future;
// with the nonce that was sent. Errors are *ResponseError when the responder
// reports one, and match ErrUntrusted otherwise.
func Verify(response []byte, o VerifyOptions) (*Verified, error) {
	if o.CA == nil || o.Now.IsZero() {
		return nil, errors.New("ocsp: VerifyOptions.CA and VerifyOptions.Now are required")
	}
	basic, err := parseResponse(response)
	if err != nil {
		return nil, err
	}
	v := &Verified{ProducedAt: basic.producedAt}
	if v.Signer, err = basic.signer(o); err != nil {
		return nil, err
	}
	if o.Nonce != nil && !bytes.Equal(basic.nonce, o.Nonce) {
		return nil, untrusted("it does not carry the nonce that was sent")
	}
	issuer := &Issuer{}
	if err := issuer.hashCA(o.CA); err != nil {
		return nil, err
	}
	for n := range basic.ids {
		if !issuer.matches(&basic.ids[n]) {
			continue
		}
		a := basic.answers[n]
		if a.ThisUpdate.After(o.Now.Add(o.Skew)) {
			return nil, untrusted("its thisUpdate %s is in the future", a.ThisUpdate.Format(time.RFC3339))
		}
		if !a.NextUpdate.IsZero() && a.NextUpdate.Before(o.Now.Add(-o.Skew)) {
			return nil, untrusted("it expired at %s", a.NextUpdate.Format(time.RFC3339))
		}
		v.Answers = append(v.Answers, a)
	}
	if len(v.Answers) == 0 {
		return nil, untrusted("it says nothing of certificates of %s", o.CA.Subject)
	}
	return v, nil
}

func untrusted(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUntrusted}, args...)...)
}

// signer finds whose signature the response carries, and checks their right.
func (b *basicResponse) signer(o VerifyOptions) (*x509.Certificate, error) {
	reason := errors.New("no certificate in it has the key that signed")
	for _, c := range append([]*x509.Certificate{o.CA}, b.certs...) {
		algorithm, err := signing.ForKey(c.PublicKey)
		if err != nil || !bytes.Equal(algorithm.ID, b.algorithm) {
			continue
		}
		if c.CheckSignature(algorithm.X509, b.tbs, b.signature) != nil {
			continue
		}
		if reason = authorised(c, o.CA); reason != nil {
			continue
		}
		if o.Now.Before(c.NotBefore.Add(-o.Skew)) || o.Now.After(c.NotAfter.Add(o.Skew)) {
			reason = fmt.Errorf("the certificate that signed it is valid from %s to %s only", c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339))
			continue
		}
		return c, nil
	}
	return nil, untrusted("%w", reason)
}
