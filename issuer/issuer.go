// Package issuer is the seam to certificate authorities. A kind of CA is a
// child package (issuer/local, …) that implements [Issuer] and, where the CA
// can do more, the optional interfaces here, which are found by [As] alone.
package issuer

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/certctl/certctl/revocation"
)

// Request asks for one certificate.
type Request struct {
	// CSR proves possession of the key; its public key is the only thing that
	// an issuer takes from it. Names come from the fields below.
	CSR *x509.CertificateRequest
	// CommonName goes into the subject; may be empty (then the subject is
	// empty and the SAN extension critical, RFC 5280 section 4.1.2.6).
	CommonName string
	DNSNames   []string
	IPs        []string
	Emails     []string
	URIs       []string
	// EKUs by name: serverAuth, clientAuth, codeSigning, emailProtection,
	// timeStamping. Empty: serverAuth.
	EKUs []string
	// Profile is the CA's own profile, where it has some.
	Profile string
	// NotBefore and NotAfter bound the validity; a CA may shorten it, and one
	// that decides alone ignores them.
	NotBefore, NotAfter time.Time
	// Replaces is the certificate that this one will replace (RFC 9773
	// section 5); nil for the first.
	Replaces *x509.Certificate
	// Key makes the request idempotent: the same Key never yields two
	// certificates where the CA can help it.
	Key string
	// Serial was reserved by the caller, for a CA that lets us choose
	// (SerialChooser); nil otherwise.
	Serial *big.Int
	// NoRevocation asks for id-ce-noRevAvail (RFC 9608) in place of CRL and
	// OCSP pointers.
	NoRevocation bool
	// Endpoints are the relying parties' URLs to put into the certificate, for
	// a CA that leaves it to us; plain http.
	Endpoints Endpoints
}

// Endpoints are where relying parties find revocation data and the issuer.
type Endpoints struct {
	CRL           []string // RFC 5280 section 4.2.1.13
	Freshest      []string // the delta of it (RFC 5280 section 4.2.1.15)
	OCSP          []string // RFC 5280 section 4.2.2.1, id-ad-ocsp
	IssuerCertURL []string // RFC 5280 section 4.2.2.1, id-ad-caIssuers
}

// Issued is a certificate that a CA returned.
type Issued struct {
	Leaf  *x509.Certificate
	Chain []*x509.Certificate // leaf's issuer first; the root may be left out
	State json.RawMessage     // handed back at revocation
}

// Issuer issues certificates. Safe for concurrent use.
//
// Errors of calls that change something at the CA: *Error tells whether the
// request was refused for good, did not happen, or may have happened; any
// other error means that it may have happened.
type Issuer interface {
	Issue(ctx context.Context, req *Request) (*Issued, error)
}

// Order is a certificate in the making.
type Order struct {
	Request *Request
	State   json.RawMessage // the connector's, stored between polls
	Issued  *Issued         // set at the end
	After   time.Duration   // when to poll again
}

// Optional capabilities, each found with As.
type (
	// Orderer is a CA that takes its time. Begin returns before the CA has
	// decided; Poll is repeated until Issued is set. Both may run again after
	// a crash with the last stored State.
	Orderer interface {
		Begin(ctx context.Context, req *Request) (*Order, error)
		Poll(ctx context.Context, o *Order) (*Order, error)
	}
	// Finder looks for the certificate of a request whose outcome is unknown;
	// nil without an error when there is none.
	Finder interface {
		Find(ctx context.Context, req *Request) (*Issued, error)
	}
	// Revoker revokes at the CA. Revoking what is revoked already succeeds.
	Revoker interface {
		Revoke(ctx context.Context, cert *x509.Certificate, reason revocation.Reason, state json.RawMessage) error
	}
	// RenewalAdvisor knows when the CA wants a certificate to be renewed
	// (RFC 9773).
	RenewalAdvisor interface {
		RenewalInfo(ctx context.Context, cert *x509.Certificate) (*RenewalInfo, error)
	}
	// Authority knows the CA's certificates: the issuing one first, then those
	// above it, the root last if it is known.
	Authority interface {
		Certificates(ctx context.Context) ([]*x509.Certificate, error)
	}
	// SigningAuthority holds the CA key itself, so that CRLs and delegated
	// OCSP responder certificates can be signed here.
	SigningAuthority interface {
		Authority
		Signer(ctx context.Context) (*x509.Certificate, crypto.Signer, error)
	}
	// Publisher is a SigningAuthority that says how its revocation data are
	// published.
	Publisher interface {
		Publication() Publication
	}
	// SerialChooser is a CA that signs with the Serial and validity of the
	// request: signing one request twice yields one certificate.
	SerialChooser interface {
		ChoosesSerial() bool
	}
	// Checker tells whether the CA can be used now, without issuing.
	Checker interface {
		Check(ctx context.Context) error
	}
)

// Publication says where and how revocation data are published. Empty lists
// stand for this server's own URLs.
type Publication struct {
	// CRL, OCSP and IssuerCert are URLs that certificates carry, plain http. A
	// partition's list is below each of CRL, at "/1", "/2", …, the delta of each
	// at "/delta".
	CRL, OCSP, IssuerCert []string
	// Shards is over how many CRLs new certificates are spread; 0 for none.
	Shards int
	Delta  bool // delta CRLs are made, and named in certificates
	// ResponderKey is the algorithm of the key that signs OCSP answers, as
	// certctl/keys names it; ECDSA-P256 when empty.
	ResponderKey string
}

// RenewalInfo is a CA's advice (RFC 9773 section 4.2).
type RenewalInfo struct {
	Start, End  time.Time
	Explanation string
	RetryAfter  time.Duration
}

// As finds an optional capability of an issuer, looking through wrappers that
// have an Unwrap() Issuer.
func As[T any](i Issuer) (T, bool) {
	for i != nil {
		if t, ok := i.(T); ok {
			return t, true
		}
		u, ok := i.(interface{ Unwrap() Issuer })
		if !ok {
			break
		}
		i = u.Unwrap()
	}
	var zero T
	return zero, false
}

// Ordering returns the issuer's own Orderer, or makes a plain issuer one: its
// Begin contacts nobody and its Poll calls Issue, so that an order can be
// stored before any CA acts.
func Ordering(i Issuer) Orderer {
	if o, ok := As[Orderer](i); ok {
		return o
	}
	return oneStep{i}
}

type oneStep struct{ issuer Issuer }

func (s oneStep) Begin(_ context.Context, req *Request) (*Order, error) {
	return &Order{Request: req}, nil
}

func (s oneStep) Poll(ctx context.Context, o *Order) (*Order, error) {
	issued, err := s.issuer.Issue(ctx, o.Request)
	if err != nil {
		return nil, err
	}
	return &Order{Request: o.Request, State: o.State, Issued: issued}, nil
}

// Outcomes of a failed call, for Error.Kind.
var (
	ErrRefused = errors.New("the CA refused")           // final
	ErrNotDone = errors.New("the CA did nothing")       // may be repeated
	ErrUnknown = errors.New("the CA may have acted")    // look before repeating
	ErrConfig  = errors.New("the configuration is bad") // final until somebody edits it
)

// Error is a failed call to a CA, in words for people.
type Error struct {
	Kind  error         // one of the outcomes above
	After time.Duration // earliest retry that the CA allows, 0 when it did not say
	Err   error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap lets errors.Is find the kind and the cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// Refusedf makes an *Error of kind ErrRefused.
func Refusedf(format string, a ...any) error {
	return &Error{Kind: ErrRefused, Err: fmt.Errorf(format, a...)}
}

// NotDonef makes an *Error of kind ErrNotDone.
func NotDonef(format string, a ...any) error {
	return &Error{Kind: ErrNotDone, Err: fmt.Errorf(format, a...)}
}
