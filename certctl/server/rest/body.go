package rest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/certctl/certctl/certctl/api"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// body reads a request's body once, bounded, and refuses what is not exactly
// one JSON text of the plain kind. It also refuses parameters that come twice.
func (s *service) body(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	if f := checkQuery(r.URL.RawQuery); f != nil {
		write(w, r, f)
		return
	}
	if ctx.Operation().RequestBody == nil {
		next(ctx)
		return
	}
	content, f := s.readBody(w, r)
	if f != nil {
		write(w, r, f)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(content))
	next(ctx)
}

func (s *service) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *failure) {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.maxBody))
	if err != nil {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			// A client that does not listen while it sends gets to hear the reason;
			// the server's own time limit for a request holds here, too.
			_, _ = io.CopyN(io.Discard, r.Body, dropped)
			return nil, problem(http.StatusRequestEntityTooLarge, api.CodeTooLarge,
				"the body is larger than "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes")
		}
		if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() {
			return nil, problem(http.StatusRequestTimeout, api.CodeTimeout, "the body came too slowly")
		}
		return nil, problem(http.StatusBadRequest, api.CodeMalformed, "the body cannot be read to its end")
	}
	if len(content) == 0 {
		return nil, nil
	}
	if kind := r.Header.Get("Content-Type"); kind != "" {
		if media, _, err := mime.ParseMediaType(kind); err != nil || media != "application/json" {
			return nil, problem(http.StatusUnsupportedMediaType, api.CodeMediaType, "send the body as application/json")
		}
	}
	return content, checkJSON(content)
}

// dropped is how much of a body that is too large is still read.
const dropped = 8 << 20

// checkQuery refuses a parameter that is there twice, of which one would be
// dropped silently, and text that no database stores.
func checkQuery(raw string) *failure {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return problem(http.StatusBadRequest, api.CodeMalformed, "the query cannot be read; escape its values")
	}
	for name, values := range query {
		if len(values) > 1 {
			return invalid(clip(name, 64), "is there more than once; separate several values by commas")
		}
		if strings.ContainsRune(name+values[0], 0) || !utf8.ValidString(name+values[0]) {
			return invalid("query", "contains a NUL character, or is not UTF-8")
		}
	}
	return nil
}
