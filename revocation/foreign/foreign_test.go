package foreign_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/foreign"
	"github.com/certctl/certctl/revocation/revocationtest"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// bench is a CA with its CRL in a file, and a clock.
type bench struct {
	t     testing.TB
	ca    *revocationtest.CA
	file  string
	clock atomic.Int64
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, ca: revocationtest.NewCA(t, "p256", "Foreign CA", start), file: filepath.Join(t.TempDir(), "crl")}
	b.clock.Store(start.Unix())
	return b
}

func (b *bench) now() time.Time          { return time.Unix(b.clock.Load(), 0).UTC() }
func (b *bench) advance(d time.Duration) { b.clock.Add(int64(d / time.Second)) }

func (b *bench) options() foreign.Options {
	return foreign.Options{CA: b.ca.Cert, CRL: b.file, Now: b.now, Complete: true}
}

// sign makes a CRL of the bench's CA, or another.
func (b *bench) sign(ca *revocationtest.CA, number int64, extensions []pkix.Extension, entries ...x509.RevocationListEntry) []byte {
	b.t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(number), ThisUpdate: b.now().Add(-time.Minute), NextUpdate: b.now().Add(24 * time.Hour), RevokedCertificateEntries: entries, ExtraExtensions: extensions,
	}, ca.Cert, ca.Key)
	if err != nil {
		b.t.Fatal(err)
	}
	return der
}

func (b *bench) entry(n int64, reason int) x509.RevocationListEntry {
	return x509.RevocationListEntry{SerialNumber: big.NewInt(n), RevocationTime: b.now().Add(-time.Hour), ReasonCode: reason}
}

// put writes a file, dated later than every file before it.
func (b *bench) put(file string, text []byte) {
	b.t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		b.t.Fatal(err)
	}
	at := start.Add(time.Duration(puts.Add(1)) * time.Second)
	if err := os.Chtimes(file, at, at); err != nil {
		b.t.Fatal(err)
	}
}

var puts atomic.Int64

func (b *bench) open(o foreign.Options) *foreign.Source {
	b.t.Helper()
	s, err := foreign.Open(b.t.Context(), o)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bench) state(s *foreign.Source, n int64) string {
	b.t.Helper()
	st, err := s.Status(b.t.Context(), revocation.KeyID(b.ca.Cert), big.NewInt(n))
	if err != nil {
		return err.Error()
	}
	if st.State == revocation.Revoked {
		return st.Reason.String()
	}
	return st.State.String()
}

func (b *bench) expect(s *foreign.Source, want map[int64]string) {
	b.t.Helper()
	for n, w := range want {
		if got := b.state(s, n); got != w {
			b.t.Errorf("serial %d is %s, want %s", n, got, w)
		}
	}
}

func TestWhatIsNotOnTheCRL(t *testing.T) {
	b := newBench(t)
	b.put(b.file, b.sign(b.ca, 1, nil, b.entry(5, 1), b.entry(6, 6)))
	index := filepath.Join(t.TempDir(), "index.txt")
	b.put(index, []byte("V\t270101000000Z\t\t07\tunknown\t/CN=a\nR\t270101000000Z\t260101000000Z,superseded\t08\tunknown\t/CN=b\nE\t200101000000Z\t\t09\tunknown\t/CN=c\n"))
	serials := filepath.Join(t.TempDir(), "serials")
	b.put(serials, []byte("# issued\n07\n0x0a\n"))
	for name, c := range map[string]struct {
		change func(*foreign.Options)
		want   map[int64]string
	}{
		"nothing is said": {func(o *foreign.Options) { o.Complete = false }, map[int64]string{5: "keyCompromise", 6: "certificateHold", 7: "unknown"}},
		"complete":        {func(*foreign.Options) {}, map[int64]string{5: "keyCompromise", 7: "good", 999: "good"}},
		"index of OpenSSL": {func(o *foreign.Options) { o.Complete, o.Index = false, index },
			map[int64]string{5: "keyCompromise", 7: "good", 8: "superseded", 9: "good", 10: "unknown"}},
		"list of serials": {func(o *foreign.Options) { o.Complete, o.Index = false, serials }, map[int64]string{5: "keyCompromise", 7: "good", 8: "unknown", 10: "good"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := b.options()
			c.change(&o)
			b.expect(b.open(o), c.want)
		})
	}
	s := b.open(b.options())
	if _, err := s.Status(t.Context(), "another", big.NewInt(5)); !errors.Is(err, revocation.ErrUnknownIssuer) {
		t.Error(err)
	}
	st, err := s.Status(t.Context(), revocation.KeyID(b.ca.Cert), big.NewInt(7))
	if err != nil || !st.Until.Equal(s.List().NextUpdate) {
		t.Errorf("%+v, %v", st, err)
	}
	b.advance(24 * time.Hour)
	if got := b.state(s, 7); got != foreign.ErrStale.Error() || s.Health().Fresh {
		t.Errorf("after nextUpdate: %s, %+v", got, s.Health())
	}
}

// TestKeptOut: what must not be taken is told, and what was here before is used
// on.
func TestKeptOut(t *testing.T) {
	b := newBench(t)
	other := revocationtest.NewCA(t, "p256", "Other CA", start)
	double := revocationtest.NewCA(t, "p256", "Foreign CA", start)
	idp := func(critical bool, value ...byte) []pkix.Extension {
		return []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: critical, Value: value}}
	}
	broken := func(change func([]byte)) func() []byte {
		return func() []byte {
			der := b.sign(b.ca, 9, nil, b.entry(5, 1))
			change(der)
			return der
		}
	}
	at := func(d time.Duration) func() []byte {
		return func() []byte {
			b.advance(d)
			defer b.advance(-d)
			return b.sign(b.ca, 9, nil)
		}
	}
	for name, c := range map[string]struct {
		text func() []byte
		code string
	}{
		"HTML":            {func() []byte { return []byte("<html>404</html>") }, "unreadable"},
		"empty":           {func() []byte { return nil }, "unreadable"},
		"certificate":     {func() []byte { return b.ca.Cert.Raw }, "unreadable"},
		"cut":             {func() []byte { return b.sign(b.ca, 9, nil)[:100] }, "unreadable"},
		"tail":            {func() []byte { return append(b.sign(b.ca, 9, nil), 0) }, "unreadable"},
		"another CA":      {func() []byte { return b.sign(other, 9, nil) }, "issuer"},
		"the CA's double": {func() []byte { return b.sign(double, 9, nil) }, "signature"},
		"bit flipped":     {broken(func(der []byte) { der[len(der)-10] ^= 1 }), "signature"},
		"lower number":    {func() []byte { return b.sign(b.ca, 4, nil) }, "older"},
		"same number":     {func() []byte { return b.sign(b.ca, 5, nil, b.entry(77, 1)) }, "older"},
		"older":           {at(-time.Hour), "older"},
		"expired":         {at(-48 * time.Hour), "expired"},
		"to come":         {at(time.Hour), "future"},
		"delta": {func() []byte {
			return b.sign(b.ca, 9, []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}})
		}, "delta"},
		"attributes": {func() []byte { return b.sign(b.ca, 9, idp(true, 0x30, 3, 0x85, 1, 0xff)) }, "partition"},
		"CAs only":   {func() []byte { return b.sign(b.ca, 9, idp(true, 0x30, 3, 0x82, 1, 0xff)) }, "partition"},
		"critical": {func() []byte {
			return b.sign(b.ca, 9, []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}})
		}, "critical"},
	} {
		t.Run(name, func(t *testing.T) {
			b.put(b.file, b.sign(b.ca, 5, nil, b.entry(5, 1)))
			s := b.open(b.options())
			b.put(b.file, c.text())
			err := s.Check(t.Context())
			var r *foreign.Rejected
			if !errors.As(err, &r) || r.Code != c.code {
				t.Errorf("%v, want %s", err, c.code)
			}
			h := s.Health()
			if h.Last == nil || h.Rejected[c.code] != 1 || !h.Fresh || h.List.Number.Int64() != 5 {
				t.Errorf("%+v", h)
			}
			b.expect(s, map[int64]string{5: "keyCompromise", 6: "good"})
			b.put(b.file, b.sign(b.ca, 10, idp(true, 0x30, 3, 0x81, 1, 0xff), b.entry(6, 4)))
			if err := s.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.expect(s, map[int64]string{5: "good", 6: "superseded"})
			if h := s.Health(); h.Last != nil {
				t.Errorf("all is well, and %v is told", h.Last)
			}
		})
	}
}

func TestADistributionPointNeedsAWord(t *testing.T) {
	b := newBench(t)
	point := []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: append([]byte{0x30, 16, 0xa0, 14, 0xa0, 12, 0x86, 10}, "http://x/c"...)}}
	b.put(b.file, b.sign(b.ca, 1, point))
	o := b.options()
	o.Complete = false
	if _, err := foreign.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "the only one") {
		t.Error(err)
	}
	o.Only = true
	b.open(o)
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	b := newBench(t)
	b.put(b.file, b.sign(b.ca, 1, nil))
	for name, c := range map[string]struct {
		change func(*foreign.Options)
		want   string
	}{
		"no file":       {func(o *foreign.Options) { o.CRL = "/nowhere/crl" }, "/nowhere/crl"},
		"folder":        {func(o *foreign.Options) { o.CRL = filepath.Dir(b.file) }, "is no file"},
		"no index":      {func(o *foreign.Options) { o.Index = "/nowhere/index" }, "/nowhere/index"},
		"broken index":  {func(o *foreign.Options) { o.Index = b.ca2(t) }, "line 2 of the index"},
		"too large":     {func(o *foreign.Options) { o.MaxCRL = 10 }, "more than 10 octets"},
		"no HTTP":       {func(o *foreign.Options) { o.CRL = "http://127.0.0.1:1/" }, "Options.HTTP"},
		"another's CRL": {func(o *foreign.Options) { o.CA = revocationtest.NewCA(t, "p256", "Other CA", start).Cert }, "of another CA"},
	} {
		o := b.options()
		c.change(&o)
		if _, err := foreign.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// ca2 is an index with a broken second line.
func (b *bench) ca2(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "index")
	b.put(file, []byte("07\nxyz\n"))
	return file
}

// TestChanges: a newer CRL tells which statuses changed.
func TestChanges(t *testing.T) {
	b := newBench(t)
	b.put(b.file, b.sign(b.ca, 1, nil, b.entry(5, 1), b.entry(6, 6), b.entry(7, 1)))
	s := b.open(b.options())
	id := revocation.KeyID(b.ca.Cert)
	changes := func(since int64) (serials []string, now int64, err error) {
		now, err = s.Changes(t.Context(), id, since, func(n *big.Int) error {
			serials = append(serials, n.String())
			return nil
		})
		return serials, now, err
	}
	_, first, err := changes(1 << 60)
	if !errors.Is(err, revocation.ErrAllChanged) {
		t.Fatal(err)
	}
	if got, now, err := changes(first); err != nil || now != first || got != nil {
		t.Errorf("%v, %d, %v", got, now, err)
	}
	b.put(b.file, b.sign(b.ca, 2, nil, b.entry(4, 1), b.entry(6, 1), b.entry(7, 1)))
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, now, err := changes(first); err != nil || now <= first || !slices.Equal(got, []string{"4", "5", "6"}) {
		t.Errorf("%v, %d, %v", got, now, err)
	}
	if _, _, err := changes(first - 1); !errors.Is(err, revocation.ErrAllChanged) {
		t.Error(err)
	}
}

// TestURL: fetched in time, asked with validators, and given up on never.
func TestURL(t *testing.T) {
	b := newBench(t)
	var body atomic.Pointer[[]byte]
	set := func(text []byte) { body.Store(&text) }
	set(b.sign(b.ca, 1, nil, b.entry(5, 1)))
	var asked, unchanged atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		text := *body.Load()
		tag := fmt.Sprintf(`"%x"`, len(text))
		if r.Header.Get("If-None-Match") == tag {
			unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", tag)
		_, _ = w.Write(text)
	}))
	t.Cleanup(server.Close)
	o := b.options()
	o.CRL, o.HTTP = server.URL, server.Client()
	s := b.open(o)
	b.expect(s, map[int64]string{5: "keyCompromise"})
	if err := s.Check(t.Context()); err != nil || asked.Load() != 1 {
		t.Errorf("asked %d times, %v", asked.Load(), err)
	}
	b.advance(time.Hour)
	if err := s.Check(t.Context()); err != nil || asked.Load() != 2 || unchanged.Load() != 1 {
		t.Errorf("asked %d times, %d unchanged, %v", asked.Load(), unchanged.Load(), err)
	}
	set([]byte("<html>we are moving</html>"))
	b.advance(time.Hour)
	if err := s.Check(t.Context()); err == nil || s.Health().Rejected["unreadable"] != 1 {
		t.Errorf("%v, %+v", err, s.Health())
	}
	b.expect(s, map[int64]string{5: "keyCompromise"})
	set(b.sign(b.ca, 2, nil, b.entry(6, 1), b.entry(7, 1)))
	b.advance(5 * time.Second)
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.expect(s, map[int64]string{5: "good", 6: "keyCompromise"})
	server.Close()
	b.advance(time.Hour)
	if err := s.Check(t.Context()); err == nil {
		t.Error("a server that is gone is not told")
	}
	b.expect(s, map[int64]string{6: "keyCompromise"})
}

// TestURLIsAwayAtFirst: nothing is said before there is a CRL.
func TestURLIsAwayAtFirst(t *testing.T) {
	b := newBench(t)
	up := atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !up.Load() {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: b.sign(b.ca, 1, nil)}))
	}))
	t.Cleanup(server.Close)
	o := b.options()
	o.CRL, o.HTTP = server.URL, server.Client()
	s := b.open(o)
	if got := b.state(s, 5); got != foreign.ErrStale.Error() || s.Health().Fresh || s.List() != nil {
		t.Errorf("%s, %+v", got, s.Health())
	}
	up.Store(true)
	b.advance(5 * time.Second)
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.expect(s, map[int64]string{5: "good"})
}

func TestRunLooksAgain(t *testing.T) {
	b := newBench(t)
	b.put(b.file, b.sign(b.ca, 1, nil))
	o := b.options()
	o.Poll = time.Millisecond
	s := b.open(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	b.put(b.file, b.sign(b.ca, 2, nil, b.entry(5, 1)))
	deadline := time.After(10 * time.Second)
	for b.state(s, 5) != "keyCompromise" {
		select {
		case <-deadline:
			t.Fatal("the newer CRL was not seen")
		default:
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
