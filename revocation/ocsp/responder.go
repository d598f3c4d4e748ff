package ocsp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/sync/singleflight"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/internal/der"
)

// Options configure a Responder.
type Options struct {
	Source revocation.Source // required
	// Issuers returns the CAs that are answered for. It is called at most once a
	// second; while it fails, what it returned last is used. While a delegate is
	// rotated, both the old and the new one may be there: of those that are
	// valid the one that began last signs. Required; Fixed makes one.
	Issuers func(context.Context) ([]*Issuer, error)
	Now     func() time.Time // required
	// Validity is how long an answer holds: from its thisUpdate to its
	// nextUpdate, cut to the end of the certificate that signs it. 1 hour when
	// 0; at least 1 second.
	Validity time.Duration
	// Timeout bounds how long the source, Issuers and the signer may take for
	// one answer; 10 seconds when 0.
	Timeout time.Duration
	// Archive says that the source knows every certificate that the CA ever
	// issued, expired ones too. Answers about those carry the archive cutoff of
	// RFC 6960 section 4.4.4 then: the beginning of the CA's validity.
	Archive bool
	// CacheSize bounds, in octets, the memory in which signed answers are kept;
	// nothing is kept when 0. It needs a Source that is a revocation.Feed, and
	// has an effect only while Follow runs.
	CacheSize int64
	// Changed, if set, tells that the feed may have something to say; Follow
	// asks it every Poll besides (250 ms when 0).
	Changed <-chan struct{}
	Poll    time.Duration
}

// Responder answers OCSP requests. It may be used concurrently.
type Responder struct {
	o      Options
	feed   revocation.Feed // nil without a cache
	cache  *cache
	flight singleflight.Group

	issuers   atomic.Pointer[issuerList]
	issuersMu sync.Mutex
	health    health
}

// New makes a Responder. It fails when a required option is missing, when
// Validity is below a second, and when CacheSize is set for a Source that is no
// revocation.Feed.
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
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Poll <= 0 {
		o.Poll = 250 * time.Millisecond
	}
	r := &Responder{o: o}
	if o.CacheSize <= 0 {
		return r, nil
	}
	feed, ok := o.Source.(revocation.Feed)
	if !ok {
		return nil, errors.New("ocsp: Options.CacheSize needs a Source that is a revocation.Feed: nobody would tell of revocations")
	}
	var err error
	r.feed = feed
	r.cache, err = newCache(o.CacheSize)
	return r, err
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
//
// With a cache, an answer that holds is sent again without asking anybody. What
// the source said then is signed anew for a request with a nonce.
func (r *Responder) Respond(ctx context.Context, request []byte) *Response {
	if r.cache != nil {
		if certID, nonce, ok := quick(request); ok {
			if response := r.kept(ctx, certID, nonce); response != nil {
				return response
			}
		}
	}
	req, err := ParseRequest(request)
	if err != nil {
		return Failure(MalformedRequest, err)
	}
	if r.cache != nil && len(req.IDs) == 1 {
		return r.once(ctx, req)
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	return r.answer(ctx, req)
}

// kept answers from the cache, if it can.
func (r *Responder) kept(ctx context.Context, certID, nonce []byte) *Response {
	now := r.o.Now()
	k := r.cache.get(certID, now)
	if k == nil {
		return nil
	}
	if now.After(k.refresh) && k.asking.CompareAndSwap(false, true) {
		go r.refresh(context.WithoutCancel(ctx), k)
	}
	if nonce == nil {
		return k.response // nil when only nonces came so far
	}
	in := cryptobyte.String(certID)
	id, err := readCertID(&in)
	if err != nil {
		return nil
	}
	ids := []CertID{id}
	signer, _, err := r.signer(ctx, now, ids)
	if err != nil {
		return nil
	}
	response := &Response{ProducedAt: now.UTC().Truncate(time.Second), ThisUpdate: k.answer.ThisUpdate, NextUpdate: k.answer.NextUpdate, Answers: []Answer{k.answer}}
	return r.sign(signer, response, &Request{IDs: ids, Nonce: nonce})
}

// refresh asks the source again before what is kept ends. When that fails, it
// is used until it does.
func (r *Responder) refresh(ctx context.Context, k *kept) {
	defer k.asking.Store(false)
	req, err := ParseRequest(requestOf(k.certID))
	if err == nil {
		r.once(ctx, req)
	}
}

// requestOf is a request about one CertID.
func requestOf(certID []byte) []byte {
	b := append([]byte(nil), certID...)
	for range 4 {
		b = der.Wrap(b, 0, der.Sequence)
	}
	return b
}

// once answers a request about one certificate, and keeps what it learns. Who
// asks about the same certificate meanwhile gets the same answer.
func (r *Responder) once(ctx context.Context, req *Request) *Response {
	one := func() *Response {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.o.Timeout)
		defer cancel()
		return r.learn(ctx, req)
	}
	if req.Nonce != nil {
		return one()
	}
	v, _, _ := r.flight.Do(string(req.IDs[0].Raw), func() (any, error) { return one(), nil })
	return v.(*Response)
}

// learn is answer for one certificate: it keeps what may be kept.
func (r *Responder) learn(ctx context.Context, req *Request) *Response {
	id := &req.IDs[0]
	signer, _, err := r.signer(ctx, r.o.Now(), req.IDs)
	if err != nil || !r.cache.following.Load() {
		return r.answer(ctx, req)
	}
	at, err := r.cache.position(ctx, r.feed, signer)
	if err != nil {
		return r.failed(Failure(TryLater, fmt.Errorf("ocsp: the changes of %s cannot be followed now: %w", signer.ca.Subject, err)))
	}
	response := r.answer(ctx, req)
	if response.Status == Successful && response.Answers[0].Status.State != revocation.Unknown {
		k := &kept{certID: append([]byte(nil), id.Raw...), answer: response.Answers[0]}
		life := k.answer.NextUpdate.Sub(k.answer.ThisUpdate)
		k.refresh = k.answer.ThisUpdate.Add(life / 2)
		if req.Nonce == nil {
			k.response = response
		}
		r.cache.keep(signer.keyID, at, k)
	}
	return response
}

// answer asks the source and signs.
func (r *Responder) answer(ctx context.Context, req *Request) *Response {
	// Taken before the source is read: what it then says holds at this time.
	now := r.o.Now().UTC().Truncate(time.Second)
	signer, until, err := r.signer(ctx, now, req.IDs)
	if err != nil {
		return r.failed(Failure(statusOf(err), err))
	}
	response := &Response{ProducedAt: now, ThisUpdate: now, NextUpdate: now.Add(r.o.Validity).Truncate(time.Second)}
	if response.NextUpdate.After(until) {
		response.NextUpdate = until.UTC()
	}
	if failed := r.ask(ctx, req, signer, response); failed != nil {
		return r.failed(failed)
	}
	return r.sign(signer, response, req)
}

// sign completes a response.
func (r *Responder) sign(signer *Issuer, response *Response, req *Request) *Response {
	if err := signer.encode(response, req, r.o.Archive); err != nil {
		return r.failed(Failure(InternalError, fmt.Errorf("ocsp: signing for %s: %w", signer.ca.Subject, err)))
	}
	if response.Cacheable {
		response.setValidators()
	}
	return response
}

// failed remembers for Health what is the operator's to mend.
func (r *Responder) failed(response *Response) *Response {
	if response.Status == TryLater || response.Status == InternalError {
		r.health.note(r.o.Now(), response.Err)
	}
	return response
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
