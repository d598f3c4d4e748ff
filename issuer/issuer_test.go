package issuer_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"testing"

	"github.com/certctl/certctl/issuer"
)

// plain issues one certificate and counts how often it was asked.
type plain struct {
	asked int
	err   error
}

func (p *plain) Issue(context.Context, *issuer.Request) (*issuer.Issued, error) {
	p.asked++
	return &issuer.Issued{Leaf: &x509.Certificate{SerialNumber: big.NewInt(int64(p.asked))}}, p.err
}

// checked can do one thing more.
type checked struct{ plain }

func (*checked) Check(context.Context) error { return errors.New("checked") }

// wrapper hides what it wraps, but for Unwrap.
type wrapper struct{ inner issuer.Issuer }

func (w wrapper) Issue(ctx context.Context, r *issuer.Request) (*issuer.Issued, error) {
	return w.inner.Issue(ctx, r)
}
func (w wrapper) Unwrap() issuer.Issuer { return w.inner }

// wall has no Unwrap.
type wall struct{ issuer.Issuer }

// slow takes two polls.
type slow struct{ plain }

func (s *slow) Begin(_ context.Context, r *issuer.Request) (*issuer.Order, error) {
	return &issuer.Order{Request: r, State: json.RawMessage(`1`)}, nil
}

func (s *slow) Poll(_ context.Context, o *issuer.Order) (*issuer.Order, error) {
	if string(o.State) == "1" {
		return &issuer.Order{Request: o.Request, State: json.RawMessage(`2`)}, nil
	}
	return &issuer.Order{Request: o.Request, Issued: &issuer.Issued{}}, nil
}

func TestAs(t *testing.T) {
	for name, c := range map[string]struct {
		issuer issuer.Issuer
		want   bool
	}{
		"itself":              {&checked{}, true},
		"below two wrappers":  {wrapper{wrapper{&checked{}}}, true},
		"it cannot":           {&plain{}, false},
		"none that could":     {wrapper{&plain{}}, false},
		"behind a wall":       {wall{&checked{}}, false},
		"wrapper around none": {wrapper{nil}, false},
		"none":                {nil, false},
	} {
		got, ok := issuer.As[issuer.Checker](c.issuer)
		if ok != c.want || (got != nil) != c.want {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
		if ok && got.Check(t.Context()).Error() != "checked" {
			t.Errorf("%s: another one was found", name)
		}
	}
}

func TestOrderingOfPlainIssuer(t *testing.T) {
	p := &plain{}
	req := &issuer.Request{Key: "ord-1"}
	o, err := issuer.Ordering(wrapper{p}).Begin(t.Context(), req)
	if err != nil || o.Issued != nil || o.Request != req || p.asked != 0 {
		t.Fatalf("Begin contacts the CA: %+v, %v, asked %d times", o, err, p.asked)
	}
	o.State = json.RawMessage(`"kept"`)
	// The order was stored, and another process goes on with it.
	done, err := issuer.Ordering(wrapper{p}).Poll(t.Context(), o)
	if err != nil || done.Issued == nil || done.Request != req || string(done.State) != `"kept"` || p.asked != 1 {
		t.Errorf("Poll: %+v, %v, asked %d times", done, err, p.asked)
	}
	p.err = issuer.Refusedf("no: %w", io.EOF)
	if out, err := issuer.Ordering(p).Poll(t.Context(), o); out != nil || !errors.Is(err, issuer.ErrRefused) {
		t.Errorf("a refusal: %v, %v", out, err)
	}
}

func TestOrderingOfOrderer(t *testing.T) {
	s := &slow{}
	orders := issuer.Ordering(wrapper{s})
	o, err := orders.Begin(t.Context(), &issuer.Request{})
	polls := 0
	for err == nil && o.Issued == nil {
		if polls++; polls > 2 {
			t.Fatal("it never ends")
		}
		o, err = orders.Poll(t.Context(), o)
	}
	if err != nil || polls != 2 || s.asked != 0 {
		t.Errorf("%d polls, Issue asked %d times, %v", polls, s.asked, err)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ err, is, not error }{
		{issuer.Refusedf("bad name: %w", io.EOF), issuer.ErrRefused, issuer.ErrNotDone},
		{issuer.NotDonef("busy: %w", io.EOF), issuer.ErrNotDone, issuer.ErrRefused},
	} {
		if !errors.Is(c.err, c.is) || errors.Is(c.err, c.not) || !errors.Is(c.err, io.EOF) {
			t.Errorf("%v is told from others wrongly", c.err)
		}
		if e, ok := errors.AsType[*issuer.Error](c.err); !ok || e.After != 0 {
			t.Errorf("%v is no *Error", c.err)
		}
	}
	if got := issuer.Refusedf("bad name").Error(); got != "bad name" {
		t.Errorf("%q", got)
	}
}

// TestNewSerial: positive, at most 16 octets, never short, never twice, and no
// bit but the top one is fixed (63-bit serials of one wrong setting cost CAs
// millions of certificates in 2019).
func TestNewSerial(t *testing.T) {
	const n = 4000
	seen := map[string]bool{}
	var ones [128]int
	for range n {
		s := issuer.NewSerial()
		if s.Sign() <= 0 || s.BitLen() > 127 || s.BitLen() <= 64 {
			t.Fatalf("serial %x", s)
		}
		if seen[s.String()] {
			t.Fatalf("serial %x came twice", s)
		}
		seen[s.String()] = true
		for i := range ones {
			ones[i] += int(s.Bit(i))
		}
	}
	for i, k := range ones[:127] {
		if k < n*2/5 || k > n*3/5 { // twelve standard deviations
			t.Errorf("bit %d is set in %d of %d", i, k, n)
		}
	}
	if ones[127] != 0 {
		t.Error("the sign bit is set")
	}
}
