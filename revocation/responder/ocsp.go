package responder

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
)

// serveOCSP answers a request in the body, or in the rest of the path.
func (h *Handler) serveOCSP(w http.ResponseWriter, r *http.Request, issuer, path string, inPath bool) {
	method := http.MethodPost
	if inPath {
		method = http.MethodGet
	}
	if h.o.OCSP == nil {
		refuse(w, http.StatusNotFound, "nothing is served here")
		return
	}
	if !allow(w, r, method) {
		return
	}
	var request []byte
	if !inPath {
		var ok bool
		if request, ok = h.readBody(w, r); !ok {
			return
		}
	}
	responder, err := h.o.OCSP(r.Context(), issuer)
	if err == nil && inPath {
		request, err = h.fromPath(r.Context(), issuer, path)
	}
	var response *ocsp.Response
	switch {
	case errors.Is(err, revocation.ErrUnknownIssuer):
		refuse(w, http.StatusNotFound, "no issuer of this name is served here")
		return
	case errors.Is(err, ocsp.ErrMalformed):
		response = ocsp.Failure(ocsp.MalformedRequest, err)
	case err != nil:
		response = ocsp.Failure(ocsp.TryLater, err)
	default:
		response = responder.Respond(r.Context(), request)
	}
	h.write(w, r, issuer, response)
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

// readBody reads the request of a POST. It answers itself when it cannot.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/ocsp-request" {
		refuse(w, http.StatusUnsupportedMediaType, "send an OCSP request as application/ocsp-request")
		return nil, false
	}
	if r.ContentLength > ocsp.MaxRequest {
		w.Header().Set("Connection", "close") // rather than reading the rest
		refuse(w, http.StatusRequestEntityTooLarge, "the request is too large")
		return nil, false
	}
	// A deadline in the past, once the timer fires, ends the read; the
	// recorders of tests have none.
	control := http.NewResponseController(w)
	timer := time.AfterFunc(h.o.Limits.Body, func() { _ = control.SetReadDeadline(time.Unix(1, 0)) })
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, ocsp.MaxRequest))
	inTime := timer.Stop()
	switch {
	case err == nil:
		return body, true
	case errors.As(err, new(*http.MaxBytesError)):
		refuse(w, http.StatusRequestEntityTooLarge, "the request is too large")
	case !inTime:
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusRequestTimeout, "the request did not arrive in time")
	default:
		refuse(w, http.StatusBadRequest, "the request could not be read")
	}
	return nil, false
}

// write sends a response with the headers of RFC 5019 section 6.2.
func (h *Handler) write(w http.ResponseWriter, r *http.Request, issuer string, response *ocsp.Response) {
	header := w.Header()
	header.Set("Content-Type", "application/ocsp-response")
	if response.Cacheable {
		tag := sha256.Sum256(response.DER)
		header.Set("ETag", `"`+hex.EncodeToString(tag[:])+`"`)
		header.Set("Last-Modified", response.ThisUpdate.Format(http.TimeFormat))
		h.cacheUntil(header, response.NextUpdate, ", public, no-transform, must-revalidate")
	} else {
		header.Set("Cache-Control", "no-store")
	}
	switch response.Status {
	case ocsp.TryLater, ocsp.InternalError:
		header.Set("Retry-After", h.retryAfter())
		h.log.WarnContext(r.Context(), "cannot answer an OCSP request", "issuer", issuer, "status", response.Status.String(), "error", response.Err)
	default:
		h.log.DebugContext(r.Context(), "answered an OCSP request", "issuer", issuer, "status", response.Status.String(), "error", response.Err)
	}
	header.Set("Content-Length", strconv.Itoa(len(response.DER)))
	_, _ = w.Write(response.DER) // a client that left needs no answer
}

// cacheUntil sets Cache-Control and Expires to end at nextUpdate, or after
// MaxAge if that is earlier.
func (h *Handler) cacheUntil(header http.Header, nextUpdate time.Time, more string) {
	now := h.o.Now().UTC()
	age := min(nextUpdate.Sub(now), h.o.Limits.MaxAge).Truncate(time.Second)
	if age < 0 {
		age = 0
	}
	header.Set("Cache-Control", "max-age="+strconv.FormatInt(int64(age/time.Second), 10)+more)
	header.Set("Expires", now.Add(age).Format(http.TimeFormat))
}
