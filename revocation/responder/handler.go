package responder

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/certctl/certctl/revocation"
)

// Handler is the http.Handler that New makes. It may be used concurrently.
type Handler struct {
	o   Options
	log *slog.Logger
}

var _ http.Handler = (*Handler)(nil)

// New makes a Handler. It fails when Options.Now is missing or a limit is
// negative.
func New(o Options) (*Handler, error) {
	if o.Now == nil {
		return nil, errors.New("responder: Options.Now is required")
	}
	if err := o.Limits.check(); err != nil {
		return nil, err
	}
	o.Limits = o.Limits.withDefaults()
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Handler{o: o, log: log}, nil
}

// issuerName is what may name an issuer in a path.
var issuerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	path := r.URL.EscapedPath()
	if len(path) > h.o.Limits.Path {
		refuse(w, http.StatusRequestURITooLong, "the path is too long; send the OCSP request by POST")
		return
	}
	rest, ok := strings.CutPrefix(path, Prefix)
	if !ok {
		refuse(w, http.StatusNotFound, "nothing is served here")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.o.Limits.Body+h.o.Limits.Answer)
	defer cancel()
	r = r.WithContext(ctx)

	kind, rest, _ := strings.Cut(rest, "/")
	switch kind {
	case "ocsp":
		issuer, request, inPath := strings.Cut(rest, "/")
		if issuer = named(issuer, ""); issuer != "" {
			h.serveOCSP(w, r, issuer, request, inPath && request != "")
			return
		}
	case "crl":
		if issuer := named(rest, ".crl"); issuer != "" {
			h.serveCRL(w, r, issuer)
			return
		}
	case "ca":
		if issuer := named(rest, ".crt"); issuer != "" {
			h.serveCA(w, r, issuer)
			return
		}
	}
	refuse(w, http.StatusNotFound, "nothing is served here")
}

// named reads an issuer's name from a path segment, without a suffix; empty
// when it cannot be one.
func named(segment, suffix string) string {
	name, err := url.PathUnescape(strings.TrimSuffix(segment, suffix))
	if err != nil || !issuerName.MatchString(name) {
		return ""
	}
	return name
}

// refuse answers with an HTTP error and a sentence.
func refuse(w http.ResponseWriter, status int, sentence string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, sentence, status)
}

// allow answers 405 unless the method is one of those given.
func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	refuse(w, http.StatusMethodNotAllowed, "use "+strings.Join(methods, " or "))
	return false
}

// unavailable answers for an error of one of the functions of Options.
func (h *Handler) unavailable(w http.ResponseWriter, r *http.Request, what, issuer string, err error) {
	if errors.Is(err, revocation.ErrUnknownIssuer) {
		refuse(w, http.StatusNotFound, "no issuer of this name is served here")
		return
	}
	h.log.WarnContext(r.Context(), "cannot serve now", "what", what, "issuer", issuer, "error", err)
	w.Header().Set("Retry-After", h.retryAfter())
	refuse(w, http.StatusServiceUnavailable, "the "+what+" cannot be served now; try again later")
}

func (h *Handler) retryAfter() string {
	return strconv.FormatInt(max(1, int64(h.o.Limits.RetryAfter/time.Second)), 10)
}
