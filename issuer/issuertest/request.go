package issuertest

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/issuer"
)

// asked is a request in the making.
type asked struct {
	issuer.Request
	algorithm keys.Algorithm
	csr       *x509.CertificateRequest
}

// request asks for a new name with a new key.
func (s *suite) request(t testing.TB, changes ...func(*asked)) *issuer.Request {
	t.Helper()
	name := s.name()
	a := &asked{Request: issuer.Request{CommonName: name, DNSNames: []string{name}, Key: "order-" + rand.Text()}, algorithm: keys.ECDSAP256}
	for _, change := range changes {
		change(a)
	}
	if s.lacks(CommonNames) {
		a.CommonName = ""
	}
	if c, ok := issuer.As[issuer.SerialChooser](s.open(t)); ok && c.ChoosesSerial() {
		a.Serial = issuer.NewSerial()
	}
	if a.CSR = a.csr; a.CSR == nil {
		a.CSR = csr(t, a)
	}
	return &a.Request
}

func csr(t testing.TB, a *asked) *x509.CertificateRequest {
	t.Helper()
	key, err := keys.Generate(a.algorithm)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.CertificateRequest{Subject: pkix.Name{CommonName: a.CommonName}, DNSNames: a.DNSNames}
	for _, ip := range a.IPs {
		tmpl.IPAddresses = append(tmpl.IPAddresses, net.ParseIP(ip))
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, tmpl, key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *suite) open(t testing.TB) issuer.Issuer {
	t.Helper()
	i, err := s.Kind.Open(t.Context(), s.Config, s.Env)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// drive issues, or fails the test.
func (s *suite) drive(t testing.TB, i issuer.Issuer, req *issuer.Request) *issuer.Issued {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), s.Within)
	defer cancel()
	got, err := s.issueWith(ctx, i, req, nil)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// issueWith follows an order to its end, as the engine does: its state goes
// through a store between two steps, and with reopen each step is taken by
// another process.
func (s *suite) issueWith(ctx context.Context, i issuer.Issuer, req *issuer.Request, reopen func() issuer.Issuer) (*issuer.Issued, error) {
	o, err := issuer.Ordering(i).Begin(ctx, req)
	for err == nil && o.Issued == nil {
		if err := pause(ctx, o.After); err != nil {
			return nil, err
		}
		if reopen != nil {
			i = reopen()
		}
		var state json.RawMessage
		if o.State != nil {
			if !json.Valid(o.State) {
				return nil, errors.New("the state of the order is not JSON")
			}
			state = append(state, o.State...)
		}
		o, err = issuer.Ordering(i).Poll(ctx, &issuer.Order{Request: req, State: state})
	}
	if err != nil {
		return nil, err
	}
	return o.Issued, nil
}

// pause waits as long as the CA asks, a second at most: the suite looks at what
// happens, not at patience.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(min(d, time.Second))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
