package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/revocation"
)

// CA is an open ACME issuer. Safe for concurrent use.
type CA struct {
	config  Config
	now     func() time.Time
	vault   connector.Vault
	manners *manners
	http    *http.Client // through manners
	client  *acme.Client
	solver  solver

	dirMu     sync.Mutex // one at a time asks for the directory
	directory *directory
	accountMu sync.Mutex // and one registers
	account   *acme.Account
}

var (
	_ issuer.Issuer         = (*CA)(nil)
	_ issuer.Orderer        = (*CA)(nil)
	_ issuer.Revoker        = (*CA)(nil)
	_ issuer.RenewalAdvisor = (*CA)(nil)
	_ issuer.Checker        = (*CA)(nil)
)

// Open makes an issuer without asking the CA anything. It needs env.HTTP, env.Now
// and env.Vault.
func Open(_ context.Context, c Config, env connector.Env) (issuer.Issuer, error) {
	if env.HTTP == nil || env.Now == nil || env.Vault == nil {
		return nil, errors.New("acme: Env.HTTP, Env.Now and Env.Vault are required")
	}
	client := *env.HTTP
	if c.CACertPath != "" {
		roots, err := rootsOf(c.CACertPath)
		if err != nil {
			return nil, err
		}
		own, err := issuer.WithTLS(&client, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
		if err != nil {
			return nil, err
		}
		client = *own
	}
	ca := &CA{config: c, now: env.Now, vault: env.Vault}
	under := client.Transport
	if under == nil {
		under = http.DefaultTransport
	}
	ca.manners = &manners{under: under, now: env.Now}
	client.Transport = ca.manners
	ca.http = &client
	inner := client
	inner.Transport = &known{ca: ca, under: ca.manners}
	// One look at an order a call: the engine decides when to look again.
	ca.client = &acme.Client{Directory: c.DirectoryURL, HTTPClient: &inner, UserAgent: "certctl", PollTimeout: time.Nanosecond}
	ca.solver = c.solver(env)
	return ca, nil
}

func rootsOf(path string) (*x509.CertPool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf("ca_cert_path: %w", err)}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, chain.MaxBytes))
	if err != nil {
		return nil, &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf("ca_cert_path: %w", err)}
	}
	certs, err := chain.Certificates(text)
	if err != nil {
		return nil, &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf("ca_cert_path: %s: %w", path, err)}
	}
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool, nil
}

// state is what an order is resumed from.
type state struct {
	Order string `json:"order"` // its URL
}

// Begin places an order, and asks for nothing else.
func (ca *CA) Begin(ctx context.Context, req *issuer.Request) (*issuer.Order, error) {
	if err := fits(req); err != nil {
		return nil, err
	}
	d, err := ca.dir(ctx)
	if err != nil {
		return nil, err
	}
	account, err := ca.registered(ctx)
	if err != nil {
		return nil, err
	}
	want := acme.Order{Identifiers: identifiers(req), Profile: ca.profile(req)}
	if err := d.offers(want.Profile); err != nil {
		return nil, err
	}
	if req.Replaces != nil && d.RenewalInfo != "" && len(req.Replaces.AuthorityKeyId) > 0 {
		if id, err := acme.ARIUniqueIdentifier(req.Replaces); err == nil {
			want.Replaces = id
		}
	}
	order, err := ca.client.NewOrder(ctx, *account, want)
	if want.Replaces != "" && notItsReplacement(err) { // it is another CA's, or replaced already
		want.Replaces = ""
		order, err = ca.client.NewOrder(ctx, *account, want)
	}
	if err != nil {
		return nil, ca.explain("the order was not placed", err, true)
	}
	if order.Location == "" {
		return nil, &issuer.Error{Kind: issuer.ErrUnknown, Err: errors.New("the CA took the order and did not say where it is (no Location header, RFC 8555 section 7.4)")}
	}
	text, err := json.Marshal(state{order.Location})
	return &issuer.Order{Request: req, State: text}, err
}

// profile of the request, or the configured one.
func (ca *CA) profile(req *issuer.Request) string {
	if req.Profile != "" {
		return req.Profile
	}
	return ca.config.Profile
}

// fits refuses what no ACME server issues: it takes the names from the CSR, which
// therefore must be those of the request (RFC 8555 section 7.4).
func fits(req *issuer.Request) error {
	if len(req.Emails) > 0 || len(req.URIs) > 0 {
		return issuer.Refusedf("ACME issues for DNS names and IP addresses, not for e-mail addresses and URIs")
	}
	var have, want []string
	for _, n := range req.CSR.DNSNames {
		have = append(have, fold(n))
	}
	for _, ip := range req.CSR.IPAddresses {
		have = append(have, ip.String())
	}
	for _, id := range identifiers(req) {
		want = append(want, id.Value)
	}
	if len(want) == 0 {
		return issuer.Refusedf("the request names nothing")
	}
	slices.Sort(have)
	slices.Sort(want)
	if have, want := slices.Compact(have), slices.Compact(want); !slices.Equal(have, want) {
		return issuer.Refusedf("the CSR names %v and the request %v; an ACME CA takes the names from the CSR, so they must be the same", have, want)
	}
	if cn := req.CSR.Subject.CommonName; cn != "" && !slices.Contains(want, fold(cn)) {
		return issuer.Refusedf("the common name %q of the CSR must be one of its alternative names, or empty", cn)
	}
	return nil
}

// Poll takes an order as far as it goes now.
func (ca *CA) Poll(ctx context.Context, o *issuer.Order) (*issuer.Order, error) {
	var at state
	if err := json.Unmarshal(o.State, &at); err != nil || at.Order == "" {
		return nil, issuer.Refusedf("the stored order has no URL; start another")
	}
	account, err := ca.registered(ctx)
	if err != nil {
		return nil, err
	}
	ctx, heard := listen(ctx)
	order, err := ca.client.GetOrder(ctx, *account, acme.Order{Location: at.Order})
	if err != nil {
		return nil, ca.explain("the order cannot be looked at", err, false)
	}
	order.Location = at.Order
	if order.Status == acme.StatusPending {
		again, err := ca.authorize(ctx, account, order.Authorizations)
		if err != nil {
			return nil, err
		}
		if again > 0 {
			return later(o, again), nil
		}
		if order, err = ca.client.GetOrder(ctx, *account, acme.Order{Location: at.Order}); err != nil {
			return nil, ca.explain("the order cannot be looked at", err, false)
		}
		order.Location = at.Order
	}
	if order.Status == acme.StatusReady {
		next, err := ca.client.FinalizeOrder(ctx, *account, order, o.Request.CSR.Raw)
		if err != nil && next.Status != acme.StatusProcessing && next.Status != acme.StatusValid {
			return nil, ca.explain("the order was not finalized", err, true)
		}
		order = next
		order.Location = at.Order
	}
	// Most CAs sign within a second: worth a few looks, unless they name a time.
	for n := 1; n <= 3 && order.Status == acme.StatusProcessing && heard.pause(0) == 0; n++ {
		if wait(ctx, time.Duration(n)*200*time.Millisecond) != nil {
			break // it is looked at again
		}
		if order, err = ca.client.GetOrder(ctx, *account, acme.Order{Location: at.Order}); err != nil {
			return nil, ca.explain("the order cannot be looked at", err, true)
		}
		order.Location = at.Order
	}
	switch order.Status {
	case acme.StatusValid:
		return ca.collect(ctx, account, o, order)
	case acme.StatusInvalid:
		return nil, ca.failed(ctx, account, order)
	case acme.StatusPending, acme.StatusReady, acme.StatusProcessing:
		return later(o, heard.pause(pollInterval)), nil
	}
	return nil, &issuer.Error{Kind: issuer.ErrUnknown, Err: fmt.Errorf("the CA says the order is %.40q", order.Status)}
}

// pollInterval is when an order in the making is looked at again, where the CA
// names no time.
const pollInterval = 2 * time.Second

func later(o *issuer.Order, d time.Duration) *issuer.Order {
	return &issuer.Order{Request: o.Request, State: o.State, After: d}
}

// Issue is Begin and Poll to the end, for callers without a store.
func (ca *CA) Issue(ctx context.Context, req *issuer.Request) (*issuer.Issued, error) {
	o, err := ca.Begin(ctx, req)
	for err == nil && o.Issued == nil {
		if err := wait(ctx, o.After); err != nil {
			return nil, &issuer.Error{Kind: issuer.ErrUnknown, Err: fmt.Errorf("the order was not followed to its end: %w", err)}
		}
		o, err = ca.Poll(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	return o.Issued, nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// collect downloads the chain that is preferred.
func (ca *CA) collect(ctx context.Context, account *acme.Account, o *issuer.Order, order acme.Order) (*issuer.Order, error) {
	found, err := ca.client.GetCertificateChain(ctx, *account, order.Certificate)
	if err != nil {
		e := ca.explain("the certificate is issued, and could not be downloaded", err, true)
		var as *issuer.Error
		if errors.As(e, &as) && errors.Is(as.Kind, issuer.ErrRefused) {
			as.Kind = issuer.ErrUnknown
		}
		return nil, e
	}
	var chosen *chain.Bundle
	var offered []string
	for _, c := range found {
		b, err := chain.Parse(c.ChainPEM)
		if err != nil {
			if len(found) == 1 {
				return nil, &issuer.Error{Kind: issuer.ErrUnknown, Err: fmt.Errorf("the certificate that the CA returned cannot be read: %w", err)}
			}
			continue
		}
		top := b.Certificates[len(b.Certificates)-1]
		offered = append(offered, top.Issuer.CommonName)
		if chosen == nil || ca.prefers(top) && !ca.prefers(chosen.Certificates[len(chosen.Certificates)-1]) {
			chosen = b
		}
	}
	if chosen == nil {
		return nil, &issuer.Error{Kind: issuer.ErrUnknown, Err: fmt.Errorf("none of the %d chains that the CA offers can be read", len(found))}
	}
	issued := &issuer.Issued{Leaf: chosen.Leaf(), Chain: chosen.Issuers()}
	if issued.State, err = json.Marshal(map[string]any{"order": order.Location, "chains": offered}); err != nil {
		return nil, err
	}
	return &issuer.Order{Request: o.Request, State: o.State, Issued: issued}, nil
}

func (ca *CA) prefers(top *x509.Certificate) bool {
	want := ca.config.PreferredChain
	return want != "" && (top.Issuer.CommonName == want || top.Subject.CommonName == want)
}

// Revoke revokes with the account that ordered (RFC 8555 section 7.6).
func (ca *CA) Revoke(ctx context.Context, cert *x509.Certificate, reason revocation.Reason, _ json.RawMessage) error {
	account, err := ca.registered(ctx)
	if err != nil {
		return err
	}
	err = ca.client.RevokeCertificate(ctx, *account, cert, nil, int(reason))
	var p acme.Problem
	if errors.As(err, &p) && p.Type == acme.ProblemTypeAlreadyRevoked {
		return nil
	}
	if err != nil {
		return ca.explain("the certificate was not revoked", err, true)
	}
	return nil
}
