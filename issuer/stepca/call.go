package stepca

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/certctl/certctl/issuer"
)

// Deadlines of one exchange. step-ca signs at once, unless a webhook or a CA
// behind it is slow.
const (
	askTimeout  = 30 * time.Second
	sendTimeout = 2 * time.Minute
)

// ask GETs what changes nothing at the CA, so that no failure of it is of the
// kind issuer.ErrUnknown.
func (ca *CA) ask(ctx context.Context, client *http.Client, path string, into any) error {
	body, err := ca.get(ctx, client, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return issuer.NotDonef("step-ca: the answer to GET %s is not what a step-ca says; is ca_url right?", path)
	}
	return nil
}

func (ca *CA) get(ctx context.Context, client *http.Client, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, ca.base+path, http.NoBody)
	if err != nil {
		return nil, issuer.NotDonef("step-ca: %w", err)
	}
	a, err := ca.exchange(client, req, "")
	if err != nil {
		if e := (*issuer.Error)(nil); errors.As(err, &e) && !errors.Is(err, issuer.ErrConfig) {
			e.Kind = issuer.ErrNotDone
		}
		return nil, err
	}
	return a.Body, nil
}

// send POSTs a request that carries a token. The answer is there whenever the
// CA gave one.
func (ca *CA) send(ctx context.Context, client *http.Client, path string, body any, token string) (*issuer.Answer, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, issuer.Refusedf("step-ca: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, issuer.NotDonef("step-ca: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, ca.base+path, bytes.NewReader(text))
	if err != nil {
		return nil, issuer.NotDonef("step-ca: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	return ca.exchange(client, req, token)
}

// exchange is issuer.Do with what step-ca's statuses mean: 401 says that the
// token was not accepted, 403 that this request was not, 501 that the CA is not
// configured for it.
func (ca *CA) exchange(client *http.Client, req *http.Request, token string) (*issuer.Answer, error) {
	a, err := issuer.Do(client, req, func(a *issuer.Answer) string { return explain(a, token) }, ca.now())
	if err == nil && a.Status >= 300 {
		err = &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf("%s %s: the answer is a redirect (%d), which is not followed; set ca_url to where the CA itself is", req.Method, req.URL, a.Status)}
	}
	var e *issuer.Error
	if !errors.As(err, &e) {
		return a, err
	}
	hint, host := "", x509.HostnameError{}
	switch {
	case a == nil && errors.As(err, &host):
		hint = "; set ca_url to a host that is among the CA's dnsNames"
	case a == nil && errors.Is(err, issuer.ErrConfig):
		hint = "; set root_cert_path or root_fingerprint to the CA's root"
	case a == nil:
	case a.Status == http.StatusUnauthorized:
		hint = "; the CA did not accept the token, and its log says why: the provisioner or its key is another, the host of ca_url is not among its dnsNames, or the clocks differ by more than a minute"
	case a.Status == http.StatusForbidden && req.Method == http.MethodPost:
		e.Kind = issuer.ErrRefused
		if strings.Contains(e.Error(), "maximum certificate duration") {
			hint = "; set validity_days, or the time to live that is asked for, to at most that"
		}
	case a.Status == http.StatusNotImplemented:
		e.Kind = issuer.ErrConfig
	}
	e.Err = fmt.Errorf("step-ca: %w%s", e.Err, hint)
	return a, e
}

// explain takes the message out of an error answer, and the token should it be
// in there: whoever reads the message must not get it.
func explain(a *issuer.Answer, token string) string {
	var said struct{ Message string }
	if json.Unmarshal(a.Body, &said) != nil {
		return ""
	}
	for _, part := range append([]string{token}, strings.Split(token, ".")...) {
		if part != "" {
			said.Message = strings.ReplaceAll(said.Message, part, "…")
		}
	}
	return said.Message
}
