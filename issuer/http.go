package issuer

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl/egress"
)

// MaxAnswer bounds what is read of a CA's answer, in octets.
const MaxAnswer = 4 << 20

// Answer is what a CA said to an HTTP request, whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request and reads its answer, at most MaxAnswer octets. An answer
// whose status is not below 400 is an *Error as well, with words of explain
// (which may be nil, and may return "" when the body says nothing); so the
// answer is there whenever the CA gave one. Kinds of the error:
//
//   - ErrNotDone: no connection; 408, 425, 429 and 503, whose Retry-After is kept
//     in After;
//   - ErrConfig: 401, 403, 404, 405, a certificate that is not trusted, or an
//     address that the guard of package egress blocks;
//   - ErrRefused: every other 4xx;
//   - ErrUnknown: everything else, as the CA may have acted.
//
// now tells the time of a Retry-After that is a date (RFC 9110 section 10.2.3).
func Do(client *http.Client, req *http.Request, explain func(*Answer) string, now time.Time) (*Answer, error) {
	target := req.Method + " " + req.URL.Scheme + "://" + req.URL.Host + req.URL.Path
	res, err := client.Do(req)
	if err != nil {
		var why interface{ Unwrap() error }
		if errors.As(err, &why) { // a *url.Error, which may show a query
			err = why.Unwrap()
		}
		return nil, &Error{Kind: unanswered(err), Err: fmt.Errorf("%s: %w", target, err)}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, MaxAnswer+1))
	if err == nil && len(body) > MaxAnswer {
		err = fmt.Errorf("the answer is longer than %d octets", MaxAnswer)
	}
	a := &Answer{Status: res.StatusCode, Header: res.Header, Body: body}
	if res.StatusCode >= 400 {
		text := ""
		if explain != nil {
			text = explain(a)
		}
		if text == "" {
			text = http.StatusText(res.StatusCode)
		}
		return a, &Error{
			Kind: KindOfStatus(res.StatusCode), After: RetryAfter(res.Header, now),
			Err: fmt.Errorf("%s: the CA answered %d: %s", target, res.StatusCode, Clip(text)),
		}
	}
	if err != nil {
		return nil, &Error{Kind: ErrUnknown, Err: fmt.Errorf("%s: %w", target, err)}
	}
	return a, nil
}

// KindOfStatus is what an HTTP status of 400 or more says of the outcome.
func KindOfStatus(status int) error {
	switch {
	case status == 408 || status == 425 || status == 429 || status == 503:
		return ErrNotDone
	case status == 401 || status == 403 || status == 404 || status == 405:
		return ErrConfig
	case status >= 400 && status < 500:
		return ErrRefused
	}
	return ErrUnknown
}

// unanswered is the kind of a request that got no answer.
func unanswered(err error) error {
	var untrusted *tls.CertificateVerificationError
	var op *net.OpError
	switch {
	case errors.As(err, &untrusted), errors.Is(err, egress.ErrBlocked):
		return ErrConfig
	case errors.As(err, &op) && op.Op == "dial":
		return ErrNotDone
	}
	return ErrUnknown
}

// maxRetryAfter bounds a CA's wish, so that a slip of its does not stop an
// issuer for years.
const maxRetryAfter = 7 * 24 * time.Hour

// RetryAfter reads the header of that name, a number of seconds or a date; 0
// when there is none, or one that is past or unreadable.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	d := time.Duration(0)
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// Clip shortens what somebody else wrote to what a message can carry, and
// leaves out what is not text.
func Clip(text string) string {
	const most = 500
	var b strings.Builder
	for _, r := range strings.TrimSpace(text) {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			r = ' '
		}
		if b.Len()+len(string(r)) > most {
			return b.String() + " …"
		}
		b.WriteRune(r)
	}
	return b.String()
}

// TLSConfigurer is a transport that can be given TLS settings of one issuer.
type TLSConfigurer interface {
	// WithTLS returns a copy that uses the settings, and all else as it was.
	WithTLS(*tls.Config) (http.RoundTripper, error)
}

// WithTLS returns a copy of a client that uses TLS settings of its own: a root
// that only this CA has, a client certificate. The client's transport is an
// *http.Transport (or none, which is the default one), or has the method of
// TLSConfigurer.
func WithTLS(client *http.Client, config *tls.Config) (*http.Client, error) {
	if client == nil {
		return nil, errors.New("issuer: the program offers no HTTP client")
	}
	out := *client
	under := client.Transport
	if under == nil {
		under = http.DefaultTransport
	}
	switch t := under.(type) {
	case *http.Transport:
		own := t.Clone()
		own.TLSClientConfig = config
		out.Transport = own
	case TLSConfigurer:
		own, err := t.WithTLS(config)
		if err != nil {
			return nil, err
		}
		out.Transport = own
	default:
		return nil, fmt.Errorf("issuer: a transport of type %T takes no TLS settings", t)
	}
	return &out, nil
}
