package ocsp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/internal/der"
)

// Options configure a Responder.
type Options struct {
	Source revocation.Source // required
	// Issuers returns the CAs that are answered for. It is called for each
	// request, so it returns what is at hand. While a delegate is rotated, both
	// the old and the new one may be there: of those that are valid the one
	// that began last signs. Required; Fixed makes one.
	Issuers func(context.Context) ([]*Issuer, error)
	Now     func() time.Time // required
	// Validity is how long an answer holds: from its thisUpdate to its
	// nextUpdate, cut to the end of the certificate that signs it. 1 hour when
	// 0; at least 1 second.
	Validity time.Duration
}

// Responder answers OCSP requests. It keeps nothing between them and may be
// used concurrently.
type Responder struct{ o Options }

// New makes a Responder. It fails when a required option is missing or
// Validity is below a second.
func New(o Options) (*Responder, error) {
	if o.Source == nil || o.Issuers == nil || o.Now == nil {
		return nil, errors.New("ocsp: Options.Source, Options.Issuers and Options.Now are required")
	}
	if o.Validity == 0 {
		o.Validity = time.Hour
	}
	if o.Validity < time.Second {
		return nil, fmt.Errorf("ocsp: Options.Validity is %v; OCSP has no fractions of a second", o.Validity)
	}
	return &Responder{o}, nil
}

// Respond answers the DER of a request. It never fails: what cannot be
// answered is answered with an OCSP error, and Response.Err says why.
//
//   - malformedRequest: ParseRequest refuses it.
//   - unauthorized: no CertID names a CA that is answered for.
//   - tryLater: the source or Issuers fails, or no certificate that may sign
//     for the CA is valid now. Nothing is signed then.
//   - internalError: the source returns nonsense, or the signer fails.
//
// One response is signed for one CA: the first that a CertID names. In a
// request about several certificates, those of every other CA are "unknown",
// which RFC 6960 section 2.2 has for issuers that are not served: only a
// responder that their own CA authorised may say more.
func (r *Responder) Respond(ctx context.Context, request []byte) *Response {
	req, err := ParseRequest(request)
	if err != nil {
		return Failure(MalformedRequest, err)
	}
	issuers, err := r.o.Issuers(ctx)
	if err != nil {
		return Failure(TryLater, fmt.Errorf("ocsp: the issuers cannot be told now: %w", err))
	}
	ca := find(issuers, req)
	if ca == nil {
		return Failure(Unauthorized, errors.New("ocsp: the request names a CA that is not served here"))
	}
	// Taken before the source is read: what it then says holds at this time.
	now := r.o.Now().UTC().Truncate(time.Second)
	signer, until := choose(issuers, ca, now)
	if signer == nil {
		return Failure(TryLater, fmt.Errorf("ocsp: no certificate that may sign for %s is valid at %s", ca.ca.Subject, now.Format(time.RFC3339)))
	}
	response := &Response{ProducedAt: now, ThisUpdate: now, NextUpdate: now.Add(r.o.Validity).Truncate(time.Second)}
	if response.NextUpdate.After(until) {
		response.NextUpdate = until.UTC()
	}
	if failed := r.ask(ctx, req, signer, response); failed != nil {
		return failed
	}
	if err := signer.encode(response, req); err != nil {
		return Failure(InternalError, fmt.Errorf("ocsp: signing for %s: %w", signer.ca.Subject, err))
	}
	return response
}

// find returns an Issuer of the first CA that a request names.
func find(issuers []*Issuer, req *Request) *Issuer {
	for n := range req.IDs {
		for _, i := range issuers {
			if i.matches(&req.IDs[n]) {
				return i
			}
		}
	}
	return nil
}

// choose returns who signs for a CA at now, and until when they may.
func choose(issuers []*Issuer, ca *Issuer, now time.Time) (*Issuer, time.Time) {
	var best *Issuer
	var until time.Time
	for _, i := range issuers {
		end := i.until(now)
		if end.IsZero() || !i.sameCA(ca) {
			continue
		}
		if best == nil || i.cert.NotBefore.After(best.cert.NotBefore) {
			best, until = i, end
		}
	}
	return best, until
}

// ask fills the answers of a response; it returns the failure to send instead,
// if any.
func (r *Responder) ask(ctx context.Context, req *Request, ca *Issuer, response *Response) *Response {
	response.Cacheable = req.Nonce == nil
	response.Answers = make([]Answer, len(req.IDs))
	for n := range req.IDs {
		answer := Answer{Serial: req.IDs[n].SerialNumber(), ThisUpdate: response.ThisUpdate, NextUpdate: response.NextUpdate}
		if ca.matches(&req.IDs[n]) {
			var err error
			answer.Status, err = r.o.Source.Status(ctx, ca.keyID, answer.Serial)
			if errors.Is(err, revocation.ErrUnknownIssuer) {
				return Failure(Unauthorized, fmt.Errorf("ocsp: the source does not know %s: %w", ca.ca.Subject, err))
			}
			if err != nil {
				return Failure(TryLater, fmt.Errorf("ocsp: the status of serial %x of %s cannot be known now: %w", answer.Serial, ca.ca.Subject, err))
			}
			if err := errors.Join(answer.Status.Check(), der.CheckTime(answer.Status.At)); err != nil {
				return Failure(InternalError, fmt.Errorf("ocsp: serial %x of %s: %w", answer.Serial, ca.ca.Subject, err))
			}
		}
		if answer.Status.State == revocation.Unknown {
			response.Cacheable = false
		}
		response.Answers[n] = answer
	}
	return nil
}
