package cli

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
)

// Bounds of what is fetched, and how far clocks may differ.
const (
	maxCA   = 64 << 10
	maxOCSP = 64 << 10
	maxCRL  = 64 << 20
	skew    = time.Minute
)

// relyingParty asks for the status of certificates as a TLS client would: over
// plain HTTP, believing nothing but signatures.
type relyingParty struct {
	pki    string // base URL of the PKI listener
	issuer string
	ca     *x509.Certificate
	http   *http.Client
	now    func() time.Time
}

// opinion is what one source says of a serial.
type opinion struct {
	Source       string    `json:"source"`
	State        string    `json:"state"` // good, revoked, unknown; untrusted
	Reason       string    `json:"reason,omitempty"`
	Since        time.Time `json:"since,omitzero"`
	InvalidSince time.Time `json:"invalid_since,omitzero"`
	ThisUpdate   time.Time `json:"this_update,omitzero"`
	NextUpdate   time.Time `json:"next_update,omitzero"`
	Signer       string    `json:"signer,omitempty"`
	Problem      string    `json:"problem,omitempty"`
}

const untrustedState = "untrusted"

func (o opinion) trusted() bool { return o.State != untrustedState }

func (p *relyingParty) url(kind string) string {
	return p.pki + "/.well-known/pki/" + kind + "/" + url.PathEscape(p.issuer)
}

// fetch reads an answer of at most limit octets.
func (p *relyingParty) fetch(ctx context.Context, method, target, kind string, body []byte, limit int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	res, err := p.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", target, err)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers %s", target, res.Status)
	case int64(len(answer)) > limit:
		return nil, fmt.Errorf("the answer of %s is larger than %d octets", target, limit)
	}
	return answer, nil
}

// fetchCA gets the CA's certificate, DER or PEM.
func (p *relyingParty) fetchCA(ctx context.Context) error {
	text, err := p.fetch(ctx, http.MethodGet, p.url("ca"), "", nil, maxCA)
	if err != nil {
		return err
	}
	p.ca, err = parseCA(text)
	return err
}

func parseCA(text []byte) (*x509.Certificate, error) {
	if block, _ := pem.Decode(text); block != nil {
		text = block.Bytes
	}
	ca, err := x509.ParseCertificate(text)
	if err != nil {
		return nil, fmt.Errorf("the CA certificate cannot be read: %w", err)
	}
	return ca, nil
}

// askOCSP asks with a nonce and judges the answer.
func (p *relyingParty) askOCSP(ctx context.Context, serial *big.Int) opinion {
	out := opinion{Source: "OCSP", State: untrustedState}
	var nonce [32]byte
	rand.Read(nonce[:])
	// SHA-1 names the issuer, as RFC 5019 has it: every responder knows it.
	request, err := ocsp.NewRequest(p.ca, crypto.SHA1, nonce[:], serial)
	if err != nil {
		return out.failed(err)
	}
	answer, err := p.fetch(ctx, http.MethodPost, p.url("ocsp"), "application/ocsp-request", request, maxOCSP)
	if err != nil {
		return out.failed(err)
	}
	v, err := ocsp.Verify(answer, ocsp.VerifyOptions{CA: p.ca, Now: p.now(), Nonce: nonce[:], Skew: skew})
	if err != nil {
		return out.failed(err)
	}
	a, ok := v.Answer(serial)
	if !ok {
		return out.failed(errors.New("the answer is about another certificate"))
	}
	out.State, out.ThisUpdate, out.NextUpdate, out.Signer = a.Status.State.String(), a.ThisUpdate, a.NextUpdate, v.Signer.Subject.String()
	if a.Status.State == revocation.Revoked {
		out.Reason, out.Since = a.Status.Reason.String(), a.Status.At
	}
	return out
}

func (o opinion) failed(err error) opinion {
	o.Problem = err.Error()
	return o
}

// askCRL reads the CA's full list, and judges it before it looks for the
// serial.
func (p *relyingParty) askCRL(ctx context.Context, serial *big.Int) opinion {
	out := opinion{Source: "CRL", State: untrustedState}
	der, err := p.fetch(ctx, http.MethodGet, p.url("crl"), "", nil, maxCRL)
	if err != nil {
		return out.failed(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return out.failed(fmt.Errorf("the CRL cannot be read: %w", err))
	}
	out.ThisUpdate, out.NextUpdate = list.ThisUpdate, list.NextUpdate
	if err := p.judgeCRL(list); err != nil {
		return out.failed(err)
	}
	out.State, out.Signer = revocation.Good.String(), p.ca.Subject.String()
	for i := range list.RevokedCertificateEntries {
		if e := &list.RevokedCertificateEntries[i]; e.SerialNumber.Cmp(serial) == 0 {
			out.State, out.Reason, out.Since = revocation.Revoked.String(), revocation.Reason(e.ReasonCode).String(), e.RevocationTime
			out.InvalidSince = invalidityDate(e)
		}
	}
	return out
}

var oidInvalidityDate = asn1.ObjectIdentifier{2, 5, 29, 24}

func invalidityDate(e *x509.RevocationListEntry) (t time.Time) {
	for _, x := range e.Extensions {
		if x.Id.Equal(oidInvalidityDate) {
			if rest, err := asn1.UnmarshalWithParams(x.Value, &t, "generalized"); err != nil || len(rest) > 0 {
				return time.Time{}
			}
		}
	}
	return t
}

// judgeCRL refuses a list that another key signed, that is old, or that is not
// about all certificates of the CA.
func (p *relyingParty) judgeCRL(list *x509.RevocationList) error {
	now := p.now()
	if err := list.CheckSignatureFrom(p.ca); err != nil {
		return fmt.Errorf("the CRL is not signed by the CA: %w", err)
	}
	if !bytes.Equal(list.RawIssuer, p.ca.RawSubject) {
		return fmt.Errorf("the CRL is of %s", list.Issuer)
	}
	if list.ThisUpdate.After(now.Add(skew)) {
		return errors.New("the CRL is of the future")
	}
	if list.NextUpdate.IsZero() || now.After(list.NextUpdate.Add(skew)) {
		return fmt.Errorf("the CRL ended at %s", list.NextUpdate.UTC().Format(time.RFC3339))
	}
	for _, x := range list.Extensions {
		if x.Critical {
			return fmt.Errorf("the CRL has the critical extension %s: it is not about all certificates of the CA", x.Id)
		}
	}
	return nil
}
