package responder

import (
	"context"
	"errors"
	"log/slog"
	"math/big"
	"time"

	"github.com/certctl/certctl/revocation/ocsp"
)

// Prefix begins every path that is served.
const Prefix = "/.well-known/pki/"

// Options configure a Handler. The three functions find what is served under
// an issuer's name; revocation.ErrUnknownIssuer from them becomes 404, any
// other error 503, or tryLater for OCSP. One that is nil serves nothing, 404.
type Options struct {
	// OCSP returns who answers for an issuer. Several issuers may share one
	// Responder, which then answers requests about any of them. It is called for
	// each request, and returns what is at hand.
	OCSP func(ctx context.Context, issuer string) (*ocsp.Responder, error)
	// CRL returns the newest list of a scope. It is sent without a copy.
	CRL func(ctx context.Context, id CRLID) (*CRL, error)
	// CACert returns the DER of the CA certificate of an issuer. OCSP by
	// hexadecimal serial needs it too.
	CACert func(ctx context.Context, issuer string) ([]byte, error)

	Now    func() time.Time // required
	Logger *slog.Logger     // silent when nil
	Limits Limits
}

// CRLID names a list: all that an issuer revoked, or one shard (1, 2, …) of it;
// and of each the delta.
type CRLID struct {
	Issuer string
	Shard  int
	Delta  bool
}

// CRL is a list to serve, such as revocation/crl builds.
type CRL struct {
	DER                    []byte // written to clients as it is, without a copy
	Number                 *big.Int
	ThisUpdate, NextUpdate time.Time
}

// Limits bound what a request may cost.
type Limits struct {
	// Body is how long a client may take to send a request; 5 seconds when 0.
	Body time.Duration
	// Answer is how long CRL and CACert may take; 10 seconds when 0. OCSP answers
	// have the limit of their ocsp.Responder.
	Answer time.Duration
	// Path is the longest path that is read, in octets; 8192 when 0.
	Path int
	// MaxAge is the longest that HTTP caches are told to keep an answer; 1
	// minute when 0. They are never told to keep it past its nextUpdate.
	//
	// nextUpdate says how long an answer may be believed, which is hours; MaxAge
	// says how long a cache may hide a newer one, hence a revocation. It is short,
	// and not no-cache: a minute takes the load of a crowd off the responder, and
	// asking again costs a CRL's cache a 304 without a body.
	MaxAge time.Duration
	// RetryAfter is when clients are told to come back after a 503; 10 seconds
	// when 0.
	RetryAfter time.Duration
}

func (l Limits) withDefaults() Limits {
	if l.Body == 0 {
		l.Body = 5 * time.Second
	}
	if l.Answer == 0 {
		l.Answer = 10 * time.Second
	}
	if l.Path == 0 {
		l.Path = 8192
	}
	if l.MaxAge == 0 {
		l.MaxAge = time.Minute
	}
	if l.RetryAfter == 0 {
		l.RetryAfter = 10 * time.Second
	}
	return l
}

func (l Limits) check() error {
	if l.Body < 0 || l.Answer < 0 || l.Path < 0 || l.MaxAge < 0 || l.RetryAfter < 0 {
		return errors.New("responder: Options.Limits must not be negative")
	}
	return nil
}
