package responder_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/crl"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/responder"
	"github.com/certctl/certctl/revocation/revocationtest"
)

// site is a CA whose revocations are served over HTTP as "iss-one".
type site struct {
	ca               *revocationtest.CA
	src              revocationtest.Source
	good, bad, never *x509.Certificate // leaves; never was not recorded as issued
	url              string

	mu      sync.Mutex
	now     time.Time
	failure error // of everything that the handler asks for
	log     bytes.Buffer
}

// Write takes the handler's log.
func (s *site) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(line)
}

func (s *site) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *site) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *site) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
}

func newSite(t testing.TB, caKind, delegateKind string, limits responder.Limits) *site {
	t.Helper()
	now := time.Now()
	s := &site{ca: revocationtest.NewCA(t, caKind, "Served CA", now), now: now}
	s.good, s.bad = s.ca.Issue(t, new(big.Int).Lsh(big.NewInt(0x1234), 120), now), s.ca.Issue(t, big.NewInt(0xbad), now)
	s.never = s.ca.Issue(t, big.NewInt(0xdead), now)
	s.src.Issue(s.ca.Cert, s.good.NotAfter, s.good.SerialNumber, s.bad.SerialNumber)
	if err := s.src.Revoke(s.ca.Cert, s.bad.SerialNumber, revocation.KeyCompromise, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	issuer := revocationtest.Issuer(t, s.ca.Delegate(t, delegateKind, now.Add(-24*time.Hour), now.AddDate(0, 1, 0)))
	answers, err := ocsp.New(ocsp.Options{Source: &s.src, Issuers: ocsp.Fixed(issuer), Now: s.clock})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := responder.New(responder.Options{
		OCSP: func(_ context.Context, name string) (*ocsp.Responder, error) { return answers, s.known(name) },
		CRL: func(ctx context.Context, id responder.CRLID) (*responder.CRL, error) {
			if err := s.known(id.Issuer); err != nil {
				return nil, err
			}
			return s.current(ctx)
		},
		CACert: func(_ context.Context, name string) ([]byte, error) { return s.ca.Cert.Raw, s.known(name) },
		Now:    s.clock, Logger: slog.New(slog.NewTextHandler(s, nil)), Limits: limits,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *site) known(name string) error {
	if name != "iss-one" {
		return revocation.ErrUnknownIssuer
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

func (s *site) current(ctx context.Context) (*responder.CRL, error) {
	now := s.clock()
	number, err := crl.NextNumber(nil, now)
	if err != nil {
		return nil, err
	}
	list, err := crl.Build(ctx, &s.src, crl.Options{CA: s.ca.Cert, Signer: s.ca.Key, Number: number, ThisUpdate: now, NextUpdate: now.Add(24 * time.Hour)})
	if err != nil {
		return nil, err
	}
	return &responder.CRL{DER: list.DER, Number: list.Number.Int(), ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate}, nil
}

func (s *site) ocspURL() string { return s.url + responder.Prefix + "ocsp/iss-one" }

// answered is what came back of an exchange.
type answered struct {
	code   int
	header http.Header
	length int64 // as the header says
}

// exchange sends a request with headers given in pairs.
func exchange(t *testing.T, method, url string, body io.Reader, headers ...string) (answered, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{response.StatusCode, response.Header, response.ContentLength}, content
}

func (s *site) request(t *testing.T, nonce []byte, serials ...*big.Int) []byte {
	t.Helper()
	der, err := ocsp.NewRequest(s.ca.Cert, crypto.SHA1, nonce, serials...)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// state judges a response and returns what it says of a serial.
func (s *site) state(t *testing.T, der []byte, serial *big.Int) revocation.Status {
	t.Helper()
	v, err := ocsp.Verify(der, ocsp.VerifyOptions{CA: s.ca.Cert, Now: s.clock()})
	if err != nil {
		t.Fatal(err)
	}
	a, ok := v.Answer(serial)
	if !ok {
		t.Fatalf("no answer about %x", serial)
	}
	return a.Status
}
