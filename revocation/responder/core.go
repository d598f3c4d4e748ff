package responder

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/certctl/certctl/revocation"
)

// Request is an HTTP request, as an adapter to an HTTP library hands it over.
// Nothing of it is kept after Do.
type Request struct {
	Method                       string
	Path                         string // escaped, as it was sent
	ContentType                  string
	IfNoneMatch, IfModifiedSince string
	Body                         []byte // of a POST, at most ocsp.MaxRequest octets
	// Buffer is where Do may write the answer, from the beginning.
	Buffer []byte
}

// Reply is what an adapter sends. Header values are shared slices, as
// http.Header has them; those that are nil are not sent.
type Reply struct {
	Status                                     int
	ContentType, CacheControl, Expires         []string
	ETag, LastModified, Length, Allow, RetryAt []string
	Body                                       []byte
	// Buffered says that Body is in Request.Buffer, or replaces it: it belongs to
	// the adapter. Otherwise it is shared, and stays as it is.
	Buffered bool
}

// Close says that the connection is not to be used again: the rest of a request
// that was too large, or too slow, would come over it.
func (r *Reply) Close() bool {
	return r.Status == http.StatusRequestTimeout || r.Status == http.StatusRequestEntityTooLarge
}

var (
	typeOCSP = []string{"application/ocsp-response"}
	typeCRL  = []string{"application/pkix-crl"}
	typeCA   = []string{"application/pkix-cert"}
	typeText = []string{"text/plain; charset=utf-8"}
	noStore  = []string{"no-store"}
	noSniff  = []string{"nosniff"}
)

// Do answers a request.
func (h *Handler) Do(ctx context.Context, r *Request) Reply {
	if len(r.Path) > h.o.Limits.Path {
		return refuse(http.StatusRequestURITooLong, "the path is too long; send the OCSP request by POST")
	}
	rest, ok := strings.CutPrefix(r.Path, Prefix)
	if !ok {
		return nothing()
	}
	kind, rest, _ := strings.Cut(rest, "/")
	switch kind {
	case "ocsp":
		issuer, request, _ := strings.Cut(rest, "/")
		if issuer = named(issuer); issuer != "" {
			return h.ocsp(ctx, r, issuer, request)
		}
	case "crl":
		return h.crl(ctx, r, rest)
	case "ca":
		if issuer := named(strings.TrimSuffix(rest, ".crt")); issuer != "" {
			return h.ca(ctx, r, issuer)
		}
	}
	return nothing()
}

// named reads an issuer's name from a path segment: letters, digits, '.', '_' and
// '-', of which the last three do not begin it; empty when it cannot be one.
func named(segment string) string {
	if strings.IndexByte(segment, '%') >= 0 {
		name, err := url.PathUnescape(segment)
		if err != nil {
			return ""
		}
		segment = name
	}
	if segment == "" || len(segment) > 128 || strings.IndexByte("._-", segment[0]) >= 0 {
		return ""
	}
	for i := range len(segment) {
		c := segment[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && c != '.' && c != '_' && c != '-' {
			return ""
		}
	}
	return segment
}

// refuse is an HTTP error with a sentence.
func refuse(status int, sentence string) Reply {
	return Reply{Status: status, ContentType: typeText, CacheControl: noStore, Body: []byte(sentence + "\n")}
}

// Refusal is the reply of an adapter that could not read a request: 400, 408,
// 413 or 431.
func Refusal(status int) Reply {
	switch status {
	case http.StatusRequestTimeout:
		return refuse(status, "the request did not arrive in time")
	case http.StatusRequestEntityTooLarge:
		return refuse(status, "the request is too large")
	default:
		return refuse(status, "the request could not be read: "+strings.ToLower(http.StatusText(status)))
	}
}

func nothing() Reply { return refuse(http.StatusNotFound, "nothing is served here") }

// allows is 405 unless the method is one of those given.
func allows(r *Request, methods ...string) (Reply, bool) {
	for _, m := range methods {
		if r.Method == m {
			return Reply{}, true
		}
	}
	reply := refuse(http.StatusMethodNotAllowed, "use "+strings.Join(methods, " or "))
	reply.Allow = []string{strings.Join(methods, ", ")}
	return reply, false
}

// unavailable answers for an error of one of the functions of Options.
func (h *Handler) unavailable(ctx context.Context, what, issuer string, err error) Reply {
	if errors.Is(err, revocation.ErrUnknownIssuer) {
		return refuse(http.StatusNotFound, "no issuer of this name is served here")
	}
	h.log.WarnContext(ctx, "cannot serve now", "what", what, "issuer", issuer, "error", err)
	reply := refuse(http.StatusServiceUnavailable, "the "+what+" cannot be served now; try again later")
	reply.RetryAt = h.retryAfter
	return reply
}

// second is the Expires header of answers that caches may keep for MaxAge, in
// one second.
type second struct {
	at      int64
	expires []string
}

// cacheUntil sets Cache-Control and Expires to end at nextUpdate, or after
// MaxAge if that is earlier.
func (h *Handler) cacheUntil(reply *Reply, nextUpdate time.Time) {
	now := h.o.Now()
	age := nextUpdate.Sub(now).Truncate(time.Second)
	if age >= h.o.Limits.MaxAge {
		age = h.o.Limits.MaxAge
		s := h.second.Load()
		if at := now.Unix(); s == nil || s.at != at {
			s = &second{at, []string{now.UTC().Add(age).Format(http.TimeFormat)}}
			h.second.Store(s)
		}
		reply.CacheControl, reply.Expires = h.maxAge, s.expires
		return
	}
	age = max(age, 0)
	reply.CacheControl = cacheControl(age)
	reply.Expires = []string{now.UTC().Add(age).Format(http.TimeFormat)}
}

// fresh is the Cache-Control of cacheUntil.
func (h *Handler) fresh(now, nextUpdate time.Time) []string {
	age := nextUpdate.Sub(now)
	if age >= h.o.Limits.MaxAge {
		return h.maxAge
	}
	return cacheControl(max(age, 0))
}

func cacheControl(age time.Duration) []string {
	return []string{"max-age=" + strconv.FormatInt(int64(age/time.Second), 10) + ", public, no-transform, must-revalidate"}
}

// unchanged makes a reply a 304 when the client has it already (RFC 9110
// section 13.2.2).
func unchanged(r *Request, reply Reply) Reply {
	switch {
	case r.IfNoneMatch != "":
		if len(reply.ETag) == 0 || !matches(r.IfNoneMatch, reply.ETag[0]) {
			return reply
		}
	case r.IfModifiedSince != "" && len(reply.LastModified) > 0:
		since, err := http.ParseTime(r.IfModifiedSince)
		modified, bad := http.ParseTime(reply.LastModified[0])
		if err != nil || bad != nil || modified.After(since) {
			return reply
		}
	default:
		return reply
	}
	reply.Status, reply.Body, reply.ContentType, reply.Length = http.StatusNotModified, nil, nil, nil
	return reply
}

// matches reports whether an If-None-Match lists a tag, by weak comparison.
func matches(list, tag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == tag || one == "*" {
			return true
		}
	}
	return false
}
