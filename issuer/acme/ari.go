package acme

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/certctl/certctl/issuer"
)

// RenewalInfo asks the CA when it wants a certificate to be renewed (RFC 9773
// section 4). It makes one request, and repeats none. issuer.ErrRefused when the
// CA has no word on it, or a window that makes no sense; then the renewal policy
// decides.
func (ca *CA) RenewalInfo(ctx context.Context, cert *x509.Certificate) (*issuer.RenewalInfo, error) {
	if !ca.config.ARIEnabled {
		return nil, issuer.Refusedf("ari_enabled is false")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(ca.config.ARITimeout)*time.Second)
	defer cancel()
	d, err := ca.dir(ctx)
	if err != nil {
		return nil, err
	}
	if d.RenewalInfo == "" {
		return nil, issuer.Refusedf("the CA gives no renewal information (RFC 9773)")
	}
	if len(cert.AuthorityKeyId) == 0 {
		return nil, issuer.Refusedf("the certificate has no authority key identifier, which renewal information is asked by")
	}
	id, err := acme.ARIUniqueIdentifier(cert)
	if err != nil {
		return nil, issuer.Refusedf("the certificate cannot be asked for: %v", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(d.RenewalInfo, "/")+"/"+id, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "certctl")
	answer, err := issuer.Do(ca.http, req, nil, ca.now())
	if err != nil {
		var e *issuer.Error
		if answer != nil && answer.Status == http.StatusNotFound && errors.As(err, &e) {
			return nil, &issuer.Error{Kind: issuer.ErrRefused, After: e.After, Err: e.Err}
		}
		return nil, harmless(err)
	}
	var got struct {
		Window struct {
			Start time.Time `json:"start"`
			End   time.Time `json:"end"`
		} `json:"suggestedWindow"`
		Explanation string `json:"explanationURL"`
	}
	after := issuer.RetryAfter(answer.Header, ca.now())
	if err := json.Unmarshal(answer.Body, &got); err != nil || got.Window.Start.IsZero() || !got.Window.Start.Before(got.Window.End) {
		return nil, &issuer.Error{Kind: issuer.ErrRefused, After: after, Err: fmt.Errorf("the CA's renewal information has no window: %s", issuer.Clip(string(answer.Body)))}
	}
	return &issuer.RenewalInfo{Start: got.Window.Start.UTC(), End: got.Window.End.UTC(), Explanation: got.Explanation, RetryAfter: after}, nil
}

// Check reads the directory, sees to the account and looks at the profile and the
// challenge; it places no order.
func (ca *CA) Check(ctx context.Context) error {
	d, err := ca.dir(ctx)
	if err != nil {
		return err
	}
	if err := d.offers(ca.config.Profile); err != nil {
		return err
	}
	account, err := ca.registered(ctx)
	if err != nil {
		return err
	}
	found, err := ca.client.GetAccount(ctx, *account)
	if err != nil {
		return ca.explain("the account cannot be used", err, false)
	}
	if found.Status != "" && found.Status != acme.StatusValid {
		return &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf("the CA says that the account is %s; make another issuer, which registers a new one", found.Status)}
	}
	if c, ok := ca.solver.(interface{ check(context.Context) error }); ok {
		return c.check(ctx)
	}
	return nil
}
