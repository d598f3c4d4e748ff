package responder

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"mime"
	"net/http"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
)

func isOCSPRequest(contentType string) bool {
	if contentType == ocsp.RequestType {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == ocsp.RequestType
}

// ocsp answers a request in the body, or in the rest of the path.
func (h *Handler) ocsp(ctx context.Context, r *Request, issuer, path string) Reply {
	if h.o.OCSP == nil {
		return nothing()
	}
	method := http.MethodPost
	if path != "" {
		method = http.MethodGet
	}
	if reply, ok := allows(r, method); !ok {
		return reply
	}
	request := r.Body
	if path == "" {
		switch {
		case !isOCSPRequest(r.ContentType):
			return refuse(http.StatusUnsupportedMediaType, "send an OCSP request as "+ocsp.RequestType)
		case len(request) > ocsp.MaxRequest:
			return Refusal(http.StatusRequestEntityTooLarge)
		}
	}
	responder, err := h.o.OCSP(ctx, issuer)
	if err == nil && path != "" {
		request, err = h.fromPath(ctx, issuer, path)
	}
	switch {
	case errors.Is(err, revocation.ErrUnknownIssuer):
		return refuse(http.StatusNotFound, "no issuer of this name is served here")
	case errors.Is(err, ocsp.ErrMalformed):
		return h.failure(ctx, r, issuer, ocsp.MalformedRequest, err)
	case err != nil:
		return h.failure(ctx, r, issuer, ocsp.TryLater, err)
	}
	answer, facts := responder.Append(ctx, r.Buffer[:0], request)
	return h.reply(ctx, r, issuer, answer, facts)
}

func (h *Handler) failure(ctx context.Context, r *Request, issuer string, status ocsp.ResponseStatus, err error) Reply {
	return h.reply(ctx, r, issuer, append(r.Buffer[:0], ocsp.Failure(status, err).DER...), ocsp.Facts{Status: status, Err: err})
}

// fromPath makes a request of what follows the issuer in a path: the form of
// RFC 6960 appendix A.1, else a serial number of 1 to 40 hexadecimal digits.
func (h *Handler) fromPath(ctx context.Context, issuer, path string) ([]byte, error) {
	request, malformed := ocsp.DecodeGET(path)
	if malformed == nil && request[0] == 0x30 {
		return request, nil
	}
	serial, ok := hexSerial(path)
	if !ok {
		return nil, errors.Join(ocsp.ErrMalformed, malformed)
	}
	if h.o.CACert == nil {
		return nil, revocation.ErrUnknownIssuer
	}
	ctx, cancel := context.WithTimeout(ctx, h.o.Limits.Answer)
	defer cancel()
	raw, err := h.o.CACert(ctx, issuer)
	if err != nil {
		return nil, err
	}
	ca, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, err
	}
	return ocsp.NewRequest(ca, crypto.SHA1, nil, serial)
}

func hexSerial(s string) (*big.Int, bool) {
	if len(s) == 0 || len(s) > 40 {
		return nil, false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return nil, false
		}
	}
	return new(big.Int).SetString(s, 16)
}

// reply gives an answer the headers of RFC 5019 section 6.2.
func (h *Handler) reply(ctx context.Context, r *Request, issuer string, answer []byte, facts ocsp.Facts) Reply {
	reply := Reply{Status: http.StatusOK, ContentType: typeOCSP, CacheControl: noStore, Body: answer, Buffered: true}
	switch {
	case facts.Cacheable && r.Method == http.MethodPost:
		// HTTP keeps no answers to a POST (RFC 9110 section 9.3.3), so that
		// validators would be octets for nobody.
		reply.CacheControl = h.fresh(facts.At, facts.NextUpdate)
	case facts.Cacheable:
		tag := sha256.Sum256(answer)
		reply.ETag = []string{`"` + hex.EncodeToString(tag[:]) + `"`}
		reply.LastModified = []string{facts.ThisUpdate.UTC().Format(http.TimeFormat)}
		h.cacheUntil(&reply, facts.NextUpdate)
		return unchanged(r, reply)
	case facts.Status == ocsp.TryLater || facts.Status == ocsp.InternalError:
		reply.RetryAt = h.retryAfter
		h.log.WarnContext(ctx, "cannot answer an OCSP request", "issuer", issuer, "status", facts.Status.String(), "error", facts.Err)
	}
	return reply
}
