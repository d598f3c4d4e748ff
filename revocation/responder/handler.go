package responder

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certctl/certctl/revocation/ocsp"
)

// Handler answers requests for CRLs, OCSP and CA certificates. It is an
// http.Handler; adapters to other HTTP libraries call Do. It may be used
// concurrently.
type Handler struct {
	o          Options
	log        *slog.Logger
	maxAge     []string // Cache-Control of what may be kept for Limits.MaxAge
	retryAfter []string
	second     atomic.Pointer[second]
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
	return &Handler{
		o: o, log: log, maxAge: cacheControl(o.Limits.MaxAge),
		retryAfter: []string{strconv.FormatInt(max(1, int64(o.Limits.RetryAfter/time.Second)), 10)},
	}, nil
}

// buffers hold a request and its answer.
type buffers struct {
	in  [4096]byte
	out []byte
}

var pool = sync.Pool{New: func() any { return &buffers{out: make([]byte, 0, 2048)} }}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := Request{Method: r.Method, Path: pathOf(r), ContentType: first(r.Header["Content-Type"])}
	b := pool.Get().(*buffers)
	defer pool.Put(b)
	q.Buffer = b.out
	if r.Method != http.MethodPost {
		q.IfNoneMatch, q.IfModifiedSince = first(r.Header["If-None-Match"]), first(r.Header["If-Modified-Since"])
	} else if isOCSPRequest(q.ContentType) { // others are refused without looking at the body
		var refusal Reply
		var ok bool
		if q.Body, refusal, ok = h.readBody(w, r, b.in[:]); !ok {
			send(w, r, refusal)
			return
		}
	}
	reply := h.Do(r.Context(), &q)
	if reply.Buffered && cap(reply.Body) <= 64<<10 {
		b.out = reply.Body
	}
	send(w, r, reply)
}

// pathOf is the path as it was sent.
func pathOf(r *http.Request) string {
	if uri := r.RequestURI; uri != "" && uri[0] == '/' && strings.IndexByte(uri, '?') < 0 {
		return uri
	}
	return r.URL.EscapedPath()
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// send writes a reply.
func send(w http.ResponseWriter, r *http.Request, reply Reply) {
	header := w.Header()
	set := func(name string, value []string) {
		if value != nil {
			header[name] = value
		}
	}
	set("Content-Type", reply.ContentType)
	set("Cache-Control", reply.CacheControl)
	set("Expires", reply.Expires)
	set("Etag", reply.ETag)
	set("Last-Modified", reply.LastModified)
	set("Content-Length", reply.Length)
	set("Allow", reply.Allow)
	set("Retry-After", reply.RetryAt)
	if r.Method != http.MethodPost || reply.Status != http.StatusOK {
		header["X-Content-Type-Options"] = noSniff
	}
	if reply.Close() {
		header["Connection"] = []string{"close"} // rather than reading the rest
	}
	if reply.Status != http.StatusOK {
		w.WriteHeader(reply.Status)
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(reply.Body) // a client that left needs no answer
	}
}

// bodyTimer ends the read of a body that does not come. A deadline in the past
// does that; the recorders of tests have none.
type bodyTimer struct {
	timer *time.Timer
	w     http.ResponseWriter
}

var bodyTimers = sync.Pool{New: func() any {
	b := &bodyTimer{}
	b.timer = time.AfterFunc(time.Hour, func() {
		_ = http.NewResponseController(b.w).SetReadDeadline(time.Unix(1, 0))
	})
	b.timer.Stop()
	return b
}}

// readBody reads the request of a POST into buffer, or a larger one.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request, buffer []byte) ([]byte, Reply, bool) {
	if r.ContentLength > ocsp.MaxRequest {
		return nil, Refusal(http.StatusRequestEntityTooLarge), false
	}
	b := bodyTimers.Get().(*bodyTimer)
	b.w = w
	b.timer.Reset(h.o.Limits.Body)
	var body []byte
	var err error
	if n := r.ContentLength; n >= 0 && n <= int64(len(buffer)) {
		body = buffer[:n]
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, ocsp.MaxRequest))
	}
	inTime := b.timer.Stop()
	if inTime { // else its function may still look at it
		b.w = nil
		bodyTimers.Put(b)
	}
	switch {
	case err == nil:
		return body, Reply{}, true
	case errors.As(err, new(*http.MaxBytesError)):
		return nil, Refusal(http.StatusRequestEntityTooLarge), false
	case !inTime, errors.Is(err, os.ErrDeadlineExceeded):
		return nil, Refusal(http.StatusRequestTimeout), false
	default:
		return nil, Refusal(http.StatusBadRequest), false
	}
}
