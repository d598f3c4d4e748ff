package ocsp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
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
	// CacheSize bounds, in octets, the memory in which signed answers are kept,
	// about 500 octets each; nothing is kept when 0. It needs a Source that is a revocation.Feed, and has an effect only while
	// Follow runs.
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
	r.feed, r.cache = feed, newCache(o.CacheSize)
	return r, nil
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
			now := r.o.Now()
			if b, ok := r.cache.get(nil, certID, now); ok {
				r.refreshInTime(ctx, certID, b, now)
				if response := r.fromKept(ctx, certID, nonce, b, now); response != nil {
					return response
				}
			}
		}
	}
	return r.respond(ctx, request)
}

// Facts are what an HTTP adapter needs to know of an answer.
type Facts struct {
	Status                 ResponseStatus
	Err                    error // as in Response
	Cacheable              bool
	ThisUpdate, NextUpdate time.Time // when Successful
	At                     time.Time // when it was answered
}

// Append is Respond for adapters: it appends the answer to b. An answer that is
// kept costs one look-up and one copy.
func (r *Responder) Append(ctx context.Context, b, request []byte) ([]byte, Facts) {
	if r.cache != nil {
		if certID, nonce, ok := quick(request); ok && nonce == nil {
			n := len(b)
			now := r.o.Now()
			b, ok = r.cache.get(b, certID, now)
			if ok && len(b) > n+keptFixed {
				r.refreshInTime(ctx, certID, b[n:], now)
				facts := Facts{Cacheable: true, ThisUpdate: getTime(b[n:]), NextUpdate: getTime(b[n+8:]), At: now}
				tail := binary.LittleEndian.Uint32(b[n+40:])
				head := copy(b[n:], b[n+keptFixed:])
				return append(b[:n+head], (*r.cache.tails.Load())[tail]...), facts
			}
			b = b[:n]
		}
	}
	response := r.Respond(ctx, request)
	return append(b, response.DER...), Facts{response.Status, response.Err, response.Cacheable, response.ThisUpdate, response.NextUpdate, r.o.Now()}
}

// fromKept answers with what is kept; nil when it cannot.
func (r *Responder) fromKept(ctx context.Context, certID, nonce, b []byte, now time.Time) *Response {
	in := cryptobyte.String(certID)
	id, err := readCertID(&in)
	if err != nil {
		return nil
	}
	k := readKept(b, id.SerialNumber())
	response := &Response{Answers: []Answer{k.answer}, ThisUpdate: k.answer.ThisUpdate, NextUpdate: k.answer.NextUpdate}
	if nonce == nil {
		if len(k.head) == 0 {
			return nil
		}
		response.DER = slices.Concat(k.head, (*r.cache.tails.Load())[k.tail])
		response.ProducedAt, response.Cacheable = response.ThisUpdate, true
		return response
	}
	ids := []CertID{id}
	signer, until, err := r.signer(ctx, now, ids)
	if err != nil || response.NextUpdate.After(until) {
		return nil
	}
	response.ProducedAt = now.UTC().Truncate(time.Second)
	return r.sign(signer, response, &Request{IDs: ids, Nonce: nonce})
}

// refreshInTime asks the source again, beside the answer under way, when half
// of the life of what is kept is over. When that fails, it is used to its end.
func (r *Responder) refreshInTime(ctx context.Context, certID, b []byte, now time.Time) {
	if now.UnixNano() < refreshAfter(b) {
		return
	}
	id := string(certID)
	if _, asked := r.cache.asking.LoadOrStore(id, struct{}{}); asked {
		return
	}
	go func() {
		defer r.cache.asking.Delete(id)
		r.respond(context.WithoutCancel(ctx), requestOf([]byte(id)))
	}()
}

// requestOf is a request about one CertID.
func requestOf(certID []byte) []byte {
	b := append([]byte(nil), certID...)
	for range 4 {
		b = der.Wrap(b, 0, der.Sequence)
	}
	return b
}

// respond answers without looking into the cache.
func (r *Responder) respond(ctx context.Context, request []byte) *Response {
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
	id := req.IDs[0].Raw
	v, _, _ := r.flight.Do(string(id), func() (any, error) {
		now := r.o.Now() // somebody may have been faster
		if b, ok := r.cache.get(nil, id, now); ok && now.UnixNano() < refreshAfter(b) {
			if response := r.fromKept(ctx, id, nil, b, now); response != nil {
				return response, nil
			}
		}
		return one(), nil
	})
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
		octets := response.DER
		if req.Nonce != nil {
			octets = nil
		}
		r.cache.keep(id.Raw, signer, at, response.Answers[0], octets)
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
		if until := answer.Status.Until.UTC().Truncate(time.Second); !answer.Status.Until.IsZero() && until.Before(response.NextUpdate) {
			response.NextUpdate = until
		}
		response.Answers[n] = answer
	}
	if !response.NextUpdate.After(response.ThisUpdate) {
		return Failure(TryLater, fmt.Errorf("ocsp: what is known of %s ends now", ca.ca.Subject))
	}
	for n := range response.Answers {
		response.Answers[n].NextUpdate = response.NextUpdate
	}
	return nil
}
