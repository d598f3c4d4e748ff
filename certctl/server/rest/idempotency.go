package rest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// keptHeaders are replayed with an answer.
var keptHeaders = []string{"Content-Type", "ETag", "Location"}

// idempotent makes a request with an Idempotency-Key take effect once
// (draft-ietf-httpapi-idempotency-key-header-07). Successes are kept and
// replayed. Failures are not: they changed nothing, and may be repeated once
// their cause is gone. An answer that carries a new secret is never kept; its
// repetition gets 409.
func (s *service) idempotent(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	o := entry(ctx.Operation())
	keys := r.Header.Values("Idempotency-Key")
	if !o.keyed || len(keys) == 0 {
		next(ctx)
		return
	}
	if len(keys) > 1 || !validKey(keys[0]) {
		write(w, r, invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters, once"))
		return
	}
	content, err := io.ReadAll(r.Body) // in memory already
	if err != nil {
		write(w, r, translate(err))
		return
	}
	id := exchangeOf(r.Context()).actor.ID + "/" + o.id + "/" + keys[0]
	replay, err := s.engine.BeginIdempotent(r.Context(), id, requestHash(r, content))
	if err != nil {
		write(w, r, keyProblem(err))
		return
	}
	if replay != nil {
		s.replay(w, r, replay)
		return
	}
	kept := &keeping{ResponseWriter: w}
	again := r.WithContext(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(content))
	finished := false
	defer func() {
		if !finished { // a panic
			s.settle(r, o, id, &keeping{status: http.StatusInternalServerError})
		}
	}()
	next(humago.NewContext(ctx.Operation(), again, kept))
	finished = true
	s.settle(r, o, id, kept)
}

func validKey(k string) bool {
	if len(k) == 0 || len(k) > 255 {
		return false
	}
	for _, c := range []byte(k) {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}

func requestHash(r *http.Request, body []byte) string {
	h := sha256.New()
	for _, part := range []string{r.Method, r.URL.Path, r.URL.RawQuery} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

func keyProblem(err error) *failure {
	switch {
	case errors.Is(err, certctl.ErrInvalid):
		return problem(http.StatusUnprocessableEntity, api.CodeKeyReused,
			"this Idempotency-Key was used for another request; use a new one")
	case errors.Is(err, certctl.ErrConflict), errors.Is(err, certctl.ErrStale):
		return problem(http.StatusConflict, api.CodeInFlight,
			"the same request is being worked on; ask again in a moment").with("Retry-After", "1")
	}
	return translate(err)
}

// settle keeps or forgets the answer to a keyed request, even when the caller
// has gone away meanwhile.
func (s *service) settle(r *http.Request, o operation, id string, k *keeping) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 10*time.Second)
	defer cancel()
	var err error
	if k.status < 200 || k.status > 299 {
		err = s.engine.DropIdempotent(ctx, id)
	} else {
		err = s.keep(ctx, o, id, k)
	}
	if err != nil {
		s.log.ErrorContext(ctx, "the answer to a keyed request was not kept", "request_id", exchangeOf(ctx).id, "operation", o.id, "error", err)
	}
}

func (s *service) keep(ctx context.Context, o operation, id string, k *keeping) error {
	status, body, header := k.status, k.body.Bytes(), map[string]string{}
	for _, name := range keptHeaders {
		if v := k.Header().Get(name); v != "" {
			header[name] = v
		}
	}
	if o.secret {
		f := problem(http.StatusConflict, api.CodeConflict,
			"this request was carried out already, and its secret is not kept; revoke "+header["Location"]+" and make another")
		text, err := json.Marshal(f.problem)
		if err != nil {
			return err
		}
		status, body = http.StatusConflict, text
		header = map[string]string{"Content-Type": "application/problem+json"}
	}
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	return s.engine.FinishIdempotent(ctx, id, status, string(text), body)
}

func (s *service) replay(w http.ResponseWriter, r *http.Request, kept *certctl.IdempotencyRecord) {
	var header map[string]string
	if err := json.Unmarshal([]byte(kept.Header), &header); err != nil {
		exchangeOf(r.Context()).cause = err
		write(w, r, translate(err))
		return
	}
	for name, value := range header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Idempotency-Replayed", "true")
	w.WriteHeader(kept.Status)
	_, _ = w.Write(kept.Body) // a reader that is gone
}

// keeping writes an answer and keeps it.
type keeping struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (k *keeping) WriteHeader(status int) {
	if k.status == 0 {
		k.status = status
	}
	k.ResponseWriter.WriteHeader(status)
}

func (k *keeping) Write(b []byte) (int, error) {
	if k.status == 0 {
		k.status = http.StatusOK
	}
	k.body.Write(b)
	return k.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (k *keeping) Unwrap() http.ResponseWriter { return k.ResponseWriter }
