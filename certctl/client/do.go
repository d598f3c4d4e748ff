package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/certctl/certctl/certctl/api"
)

// maxResponse is the largest answer that is read.
const maxResponse = 16 << 20

// maxPause is the longest pause before a repetition. A server that asks for
// more gets its problem handed to the caller.
const maxPause = 30 * time.Second

// call is one request to be made.
type call struct {
	method, path string // path below the base, with escaped parts
	query        url.Values
	body         any
	keyed        bool   // takes an Idempotency-Key, one of the client's making when empty
	once         bool   // never repeated
	key          string // Idempotency-Key
	ifMatch      string
	bearer       string        // instead of the client's own key
	timeout      time.Duration // when the context has no deadline; defaultTimeout when 0
}

// CallOption changes one call.
type CallOption func(*call)

// IfMatch makes a change only if the revision is still the given one;
// otherwise the call fails with ErrPrecondition.
func IfMatch(revision int64) CallOption {
	return func(c *call) { c.ifMatch = strconv.Quote(strconv.FormatInt(revision, 10)) }
}

// IdempotencyKey names a request, so that it takes effect once, however often
// and by however many processes it is sent: up to 255 visible ASCII characters.
// Calls without one get one of the client's making.
func IdempotencyKey(key string) CallOption {
	return func(c *call) { c.key = key }
}

// path joins fixed parts and IDs; IDs are escaped.
func path(format string, ids ...string) (string, error) {
	escaped := make([]any, len(ids))
	for i, id := range ids {
		if id == "" || id == "." || id == ".." {
			return "", fmt.Errorf("client: %q is no ID: %w", id, ErrInvalid)
		}
		escaped[i] = url.PathEscape(id)
	}
	return "/api/v1" + fmt.Sprintf(format, escaped...), nil
}

// invoke makes a call to a path with IDs and reads its answer.
func invoke[T any](ctx context.Context, c *Client, r call, opts []CallOption, ids ...string) (*T, error) {
	var err error
	if r.path, err = path(r.path, ids...); err != nil {
		return nil, err
	}
	out := new(T)
	if err := c.do(ctx, r, opts, out); err != nil {
		return nil, err
	}
	return out, nil
}

// exec makes a call whose answer says nothing more.
func (c *Client) exec(ctx context.Context, r call, opts []CallOption, ids ...string) error {
	var err error
	if r.path, err = path(r.path, ids...); err != nil {
		return err
	}
	return c.do(ctx, r, opts, nil)
}

// do makes a call, repeats it where that is safe, and decodes the answer.
func (c *Client) do(ctx context.Context, r call, opts []CallOption, out any) error {
	for _, o := range opts {
		o(&r)
	}
	if r.keyed && r.key == "" {
		r.key = rand.Text()
	}
	if _, ok := ctx.Deadline(); !ok {
		if r.timeout == 0 {
			r.timeout = defaultTimeout
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.timeout)
		defer cancel()
	}
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("client: request cannot be written as JSON: %w", err)
		}
	}
	for attempt := 0; ; attempt++ {
		answer, err := c.send(ctx, &r, body)
		if err == nil {
			return decode(answer, out)
		}
		if attempt >= c.retries || !repeatable(&r, err) || !pause(ctx, attempt, err) {
			return err
		}
	}
}

// send makes one attempt. Every error but a problem is an *unreachable or the
// context's.
func (c *Client) send(ctx context.Context, r *call, body []byte) ([]byte, error) {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, reader)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	if r.ifMatch != "" {
		req.Header.Set("If-Match", r.ifMatch)
	}
	if r.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+r.bearer)
	} else {
		c.authorise(req)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxResponse+1))
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	if len(answer) > maxResponse {
		return nil, fmt.Errorf("client: the answer to %s %s is larger than %d MiB", r.method, r.path, maxResponse>>20)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, readProblem(res, answer)
	}
	return answer, nil
}

// failed tells the caller's own end of waiting from a server that is away.
func (c *Client) failed(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the URL, which the caller knows
	}
	if ctx.Err() != nil {
		return fmt.Errorf("no answer from %s: %w", c.base, context.Cause(ctx))
	}
	return &unreachable{c.base, err}
}

func decode(answer []byte, out any) error {
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("client: the answer is not what this version of the client expects: %w", err)
	}
	return nil
}

// repeatable tells whether a failed call may be made again: the server said
// that it did nothing, or doing it twice is the same as once.
func repeatable(r *call, err error) bool {
	if r.once {
		return false
	}
	safe := r.key != "" || (r.ifMatch == "" && (r.method == http.MethodGet || r.method == http.MethodPut || r.method == http.MethodDelete))
	if p, ok := errors.AsType[*Problem](err); ok {
		switch p.Status {
		case http.StatusTooManyRequests:
			return true
		case http.StatusServiceUnavailable:
			return safe || p.Code == api.CodeUnavailable
		case http.StatusBadGateway, http.StatusGatewayTimeout:
			return safe
		case http.StatusConflict:
			return p.Code == api.CodeInFlight
		}
		return false
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	_, ok := errors.AsType[*unreachable](err)
	return ok && safe
}

// pause waits before the next attempt: as long as the server asked, or 0.1 to
// 0.2 s, doubled each time. It is false when the context would not outlive it.
func pause(ctx context.Context, attempt int, err error) bool {
	d := min(200*time.Millisecond<<min(attempt, 10), maxPause/2)
	d -= mrand.N(d/2 + 1)
	if p, ok := errors.AsType[*Problem](err); ok && p.RetryAfter > 0 {
		d = p.RetryAfter + mrand.N(d)
	}
	if d > maxPause {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
