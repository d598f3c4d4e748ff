package responder_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/responder"
)

const ocspRequest = "application/ocsp-request"

func TestOCSPByPostAndBothGets(t *testing.T) {
	s := newSite(t, "p256", "p256", responder.Limits{})
	for cert, want := range map[*x509.Certificate]revocation.State{s.good: revocation.Good, s.bad: revocation.Revoked, s.never: revocation.Unknown} {
		serial := cert.SerialNumber
		request := s.request(t, nil, serial)
		text := base64.StdEncoding.EncodeToString(request)
		for name, fetch := range map[string]func() (answered, []byte){
			"POST": func() (answered, []byte) {
				return exchange(t, "POST", s.ocspURL(), bytes.NewReader(request), "Content-Type", ocspRequest)
			},
			"POST, slash": func() (answered, []byte) {
				return exchange(t, "POST", s.ocspURL()+"/", bytes.NewReader(request), "Content-Type", ocspRequest+"; x=y")
			},
			"GET":      func() (answered, []byte) { return exchange(t, "GET", s.ocspURL()+"/"+url.PathEscape(text), nil) },
			"GET, raw": func() (answered, []byte) { return exchange(t, "GET", s.ocspURL()+"/"+text, nil) },
			"GET, //":  func() (answered, []byte) { return exchange(t, "GET", s.ocspURL()+"//"+text, nil) },
			"GET, hex": func() (answered, []byte) { return exchange(t, "GET", s.ocspURL()+"/"+serial.Text(16), nil) },
			"GET, HEX": func() (answered, []byte) {
				return exchange(t, "GET", s.ocspURL()+"/00"+strings.ToUpper(serial.Text(16)), nil)
			},
		} {
			response, body := fetch()
			if response.code != 200 || response.header.Get("Content-Type") != "application/ocsp-response" || response.length != int64(len(body)) {
				t.Errorf("%s, %v: %d %q", name, want, response.code, response.header)
				continue
			}
			status := s.state(t, body, serial)
			if status.State != want || want == revocation.Revoked && status.Reason != revocation.KeyCompromise {
				t.Errorf("%s: %+v, want %v", name, status, want)
			}
		}
	}
}

func TestARevocationIsSeenByTheNextRequest(t *testing.T) {
	s := newSite(t, "p256", "p256", responder.Limits{})
	serial := s.good.SerialNumber
	get := s.ocspURL() + "/" + serial.Text(16)
	if _, body := exchange(t, "GET", get, nil); s.state(t, body, serial).State != revocation.Good {
		t.Fatal("not good before")
	}
	if err := s.src.Revoke(s.ca.Cert, serial, revocation.Superseded, s.clock()); err != nil {
		t.Fatal(err)
	}
	if _, body := exchange(t, "GET", get, nil); s.state(t, body, serial).Reason != revocation.Superseded {
		t.Error("not revoked after")
	}
	_, body := exchange(t, "GET", s.url+responder.Prefix+"crl/iss-one", nil)
	list, err := x509.ParseRevocationList(body)
	if err != nil || list.CheckSignatureFrom(s.ca.Cert) != nil || len(list.RevokedCertificateEntries) != 2 {
		t.Errorf("CRL: %+v, %v", list, err)
	}
}

func TestOCSPCaching(t *testing.T) {
	s := newSite(t, "p256", "p256", responder.Limits{MaxAge: 24 * time.Hour})
	serial := s.good.SerialNumber
	response, body := exchange(t, "GET", s.ocspURL()+"/"+serial.Text(16), nil)
	h := response.header
	parsed, err := ocsp.Verify(body, ocsp.VerifyOptions{CA: s.ca.Cert, Now: s.clock()})
	if err != nil {
		t.Fatal(err)
	}
	// nextUpdate is an hour after thisUpdate, which is now without its fraction.
	var age int
	if _, err := fmt.Sscanf(h.Get("Cache-Control"), "max-age=%d, public, no-transform, must-revalidate", &age); err != nil || age > 3600 || age < 3598 {
		t.Errorf("Cache-Control: %q", h.Get("Cache-Control"))
	}
	expires, err := http.ParseTime(h.Get("Expires"))
	if err != nil || expires.After(parsed.Answers[0].NextUpdate) || expires.Before(s.clock().Add(59*time.Minute)) {
		t.Errorf("Expires: %q, nextUpdate %v", h.Get("Expires"), parsed.Answers[0].NextUpdate)
	}
	if modified, err := http.ParseTime(h.Get("Last-Modified")); err != nil || !modified.Equal(parsed.Answers[0].ThisUpdate) {
		t.Errorf("Last-Modified: %q", h.Get("Last-Modified"))
	}
	if len(h.Get("ETag")) != 66 {
		t.Errorf("ETag: %q", h.Get("ETag"))
	}
	for name, request := range map[string][]byte{"nonce": s.request(t, []byte{1, 2, 3}, serial), "unknown": s.request(t, nil, s.never.SerialNumber), "malformed": []byte("MMMM")} {
		response, _ := exchange(t, "GET", s.ocspURL()+"/"+base64.StdEncoding.EncodeToString(request), nil)
		if h := response.header; h.Get("Cache-Control") != "no-store" || h.Get("ETag") != "" || h.Get("Expires") != "" {
			t.Errorf("%s: %v", name, h)
		}
	}
	// Unless told otherwise, no cache hides a revocation for more than a minute.
	for maxAge, want := range map[time.Duration]string{0: "max-age=60,", 10 * time.Second: "max-age=10,"} {
		s = newSite(t, "p256", "p256", responder.Limits{MaxAge: maxAge})
		response, _ = exchange(t, "GET", s.ocspURL()+"/"+s.good.SerialNumber.Text(16), nil)
		if got := response.header.Get("Cache-Control"); !strings.HasPrefix(got, want) {
			t.Errorf("with MaxAge %v: %q", maxAge, got)
		}
	}
}

func TestFilesAndTheirCaching(t *testing.T) {
	s := newSite(t, "p256", "p256", responder.Limits{})
	for path, kind := range map[string]string{
		"crl/iss-one": "application/pkix-crl", "crl/iss-one.crl": "application/pkix-crl",
		"ca/iss-one": "application/pkix-cert", "ca/iss-one.crt": "application/pkix-cert", "ca/iss%2Done": "application/pkix-cert",
	} {
		response, body := exchange(t, "GET", s.url+responder.Prefix+path, nil)
		h := response.header
		if response.code != 200 || h.Get("Content-Type") != kind || h.Get("X-Content-Type-Options") != "nosniff" || len(body) == 0 || response.length != int64(len(body)) {
			t.Errorf("%s: %d %v", path, response.code, h)
		}
		if !strings.HasPrefix(h.Get("Cache-Control"), "max-age=60, public") || h.Get("Expires") == "" {
			t.Errorf("%s: %v", path, h)
		}
		head, none := exchange(t, "HEAD", s.url+responder.Prefix+path, nil)
		if head.code != 200 || len(none) != 0 || head.length != int64(len(body)) || head.header.Get("ETag") != h.Get("ETag") {
			t.Errorf("%s: HEAD %d %v", path, head.code, head.header)
		}
		if again, none := exchange(t, "GET", s.url+responder.Prefix+path, nil, "If-None-Match", h.Get("ETag")); again.code != 304 || len(none) != 0 {
			t.Errorf("%s: If-None-Match gives %d", path, again.code)
		}
		if again, _ := exchange(t, "GET", s.url+responder.Prefix+path, nil, "If-None-Match", `"other"`); again.code != 200 {
			t.Errorf("%s: If-None-Match of another gives %d", path, again.code)
		}
	}
	response, _ := exchange(t, "GET", s.url+responder.Prefix+"crl/iss-one", nil)
	modified := response.header.Get("Last-Modified")
	if again, _ := exchange(t, "GET", s.url+responder.Prefix+"crl/iss-one", nil, "If-Modified-Since", modified); again.code != 304 {
		t.Errorf("If-Modified-Since gives %d", again.code)
	}
	tag := response.header.Get("ETag")
	s.advance(time.Minute) // the next CRL
	if again, _ := exchange(t, "GET", s.url+responder.Prefix+"crl/iss-one", nil, "If-None-Match", tag); again.code != 200 || again.header.Get("ETag") == tag {
		t.Errorf("a new CRL gives %d, ETag %s", again.code, again.header.Get("ETag"))
	}
}

func TestAnExpiredCRLIsServedButNotCached(t *testing.T) {
	s := newSite(t, "p256", "p256", responder.Limits{})
	fresh, err := s.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	frozen := *fresh
	handler, err := responder.New(responder.Options{
		CRL: func(context.Context, responder.CRLID) (*responder.CRL, error) { return &frozen, nil },
		Now: func() time.Time { return s.clock().Add(48 * time.Hour) }, Logger: slog.New(slog.NewTextHandler(s, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", responder.Prefix+"crl/any", nil))
	if w.Code != 200 || !bytes.Equal(w.Body.Bytes(), frozen.DER) || !strings.HasPrefix(w.Header().Get("Cache-Control"), "max-age=0,") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if !strings.Contains(s.logged(), "expired CRL") {
		t.Errorf("the operator is told nothing: %q", s.logged())
	}
}

func TestWhatIsNoRequestIsAnHTTPError(t *testing.T) {
	s := newSite(t, "p256", "p256", responder.Limits{})
	request := s.request(t, nil, s.good.SerialNumber)
	long := strings.Repeat("M", 9000)
	for _, c := range []struct {
		method, path, kind string
		body               []byte
		want               int
	}{
		{"GET", "/", "", nil, 404},
		{"GET", "/.well-known/pki", "", nil, 404},
		{"GET", responder.Prefix, "", nil, 404},
		{"GET", responder.Prefix + "crl/", "", nil, 404},
		{"GET", responder.Prefix + "crl/iss-two", "", nil, 404},
		{"GET", responder.Prefix + "crl/iss-one/more", "", nil, 404},
		{"GET", responder.Prefix + "crl/..%2f..%2fetc", "", nil, 404},
		{"GET", responder.Prefix + "ca/iss-two", "", nil, 404},
		{"GET", responder.Prefix + "ca/%00", "", nil, 404},
		{"GET", responder.Prefix + "keys/iss-one", "", nil, 404},
		{"GET", responder.Prefix + "ocsp/iss-two/1f", "", nil, 404},
		{"POST", responder.Prefix + "ocsp/iss-two", ocspRequest, request, 404},
		{"POST", responder.Prefix + "ocsp/", ocspRequest, request, 404},
		{"GET", responder.Prefix + "ocsp/iss-one", "", nil, 405},
		{"GET", responder.Prefix + "ocsp/iss-one/", "", nil, 405},
		{"PUT", responder.Prefix + "ocsp/iss-one", ocspRequest, request, 405},
		{"POST", responder.Prefix + "ocsp/iss-one/1f", ocspRequest, request, 405},
		{"HEAD", responder.Prefix + "ocsp/iss-one/1f", "", nil, 405},
		{"POST", responder.Prefix + "crl/iss-one", "", nil, 405},
		{"DELETE", responder.Prefix + "ca/iss-one", "", nil, 405},
		{"POST", responder.Prefix + "ocsp/iss-one", "", request, 415},
		{"POST", responder.Prefix + "ocsp/iss-one", "application/json", request, 415},
		{"POST", responder.Prefix + "ocsp/iss-one", ";;;", request, 415},
		{"POST", responder.Prefix + "ocsp/iss-one", ocspRequest, make([]byte, 1<<20), 413},
		{"POST", responder.Prefix + "ocsp/iss-one", ocspRequest, make([]byte, ocsp.MaxRequest+1), 413},
		{"GET", responder.Prefix + "ocsp/iss-one/" + long, "", nil, 414},
		{"GET", "/" + long, "", nil, 414},
	} {
		response, body := exchange(t, c.method, s.url+c.path, bytes.NewReader(c.body), "Content-Type", c.kind)
		if response.code != c.want {
			t.Errorf("%s %.60s: %d, want %d (%s)", c.method, c.path, response.code, c.want, body)
		}
		if c.want == 405 && response.header.Get("Allow") == "" {
			t.Errorf("%s %.60s: no Allow", c.method, c.path)
		}
		if response.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %.60s: Cache-Control %q", c.method, c.path, response.header.Get("Cache-Control"))
		}
	}
	// A body that does not tell its size beforehand.
	response, _ := exchange(t, "POST", s.ocspURL(), io.MultiReader(bytes.NewReader(make([]byte, 1<<20))), "Content-Type", ocspRequest)
	if response.code != 413 {
		t.Errorf("a chunked megabyte: %d", response.code)
	}
}

func TestWhatCannotBeReadIsMalformed(t *testing.T) {
	s := newSite(t, "p256", "p256", responder.Limits{})
	sound := s.request(t, nil, s.good.SerialNumber)
	malformed := []byte{0x30, 3, 10, 1, 1}
	for name, body := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "trailing": append(bytes.Clone(sound), 0), "truncated": sound[:len(sound)-3], "the most that is read": make([]byte, ocsp.MaxRequest),
	} {
		if response, got := exchange(t, "POST", s.ocspURL(), bytes.NewReader(body), "Content-Type", ocspRequest); response.code != 200 || !bytes.Equal(got, malformed) {
			t.Errorf("POST %s: %d %x", name, response.code, got)
		}
	}
	for _, path := range []string{"hello", "MEM*", "%4D%45%4D", "0x1f", "1g", strings.Repeat("a", 41), "MEMwQTA", "..", "%25%32"} {
		if response, got := exchange(t, "GET", s.ocspURL()+"/"+path, nil); response.code != 200 || !bytes.Equal(got, malformed) {
			t.Errorf("GET %s: %d %x", path, response.code, got)
		}
	}
}

func TestSourceAway(t *testing.T) {
	s := newSite(t, "p256", "p256", responder.Limits{RetryAfter: 30 * time.Second})
	check := func(what string) {
		t.Helper()
		for _, path := range []string{"/" + s.good.SerialNumber.Text(16), "/" + base64.StdEncoding.EncodeToString(s.request(t, nil, s.good.SerialNumber))} {
			response, body := exchange(t, "GET", s.ocspURL()+path, nil)
			if response.code != 200 || !bytes.Equal(body, []byte{0x30, 3, 10, 1, 3}) || response.header.Get("Retry-After") != "30" || response.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s, OCSP: %d %x %v", what, response.code, body, response.header)
			}
		}
		response, body := exchange(t, "GET", s.url+responder.Prefix+"crl/iss-one", nil)
		if response.code != 503 || response.header.Get("Retry-After") != "30" || strings.Contains(string(body), "secret-host") {
			t.Errorf("%s, CRL: %d %s", what, response.code, body)
		}
	}
	s.src.Fail(errors.New("database at secret-host is away"))
	check("source away")
	if !strings.Contains(s.logged(), "secret-host") || !strings.Contains(s.logged(), "iss-one") {
		t.Errorf("the operator is told nothing: %s", s.logged())
	}
	s.src.Fail(nil)
	s.fail(errors.New("directory at secret-host is away"))
	check("directory away")
	if response, _ := exchange(t, "GET", s.url+responder.Prefix+"ca/iss-one", nil); response.code != 503 {
		t.Errorf("CA certificate: %d", response.code)
	}
	s.fail(nil)
	if _, body := exchange(t, "GET", s.ocspURL()+"/"+s.good.SerialNumber.Text(16), nil); s.state(t, body, s.good.SerialNumber).State != revocation.Good {
		t.Error("not good afterwards")
	}
}

// unread fails the test when it is read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("a body that is too large, as it says itself, was read")
	return 0, io.EOF
}

func TestABodyThatSaysItIsTooLargeIsNotRead(t *testing.T) {
	handler, err := responder.New(responder.Options{
		OCSP: func(context.Context, string) (*ocsp.Responder, error) { return nil, errors.New("not asked for") }, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", responder.Prefix+"ocsp/iss-one", unread{t})
	r.Header.Set("Content-Type", "application/ocsp-request")
	r.ContentLength = ocsp.MaxRequest + 1
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code != 413 || w.Header().Get("Connection") != "close" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestASlowBodyIsCutOff(t *testing.T) {
	s := newSite(t, "p256", "p256", responder.Limits{Body: 50 * time.Millisecond})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %socsp/iss-one HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 100\r\n\r\n0", responder.Prefix, ocspRequest)
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || !strings.Contains(string(answer), "Connection: close") {
		t.Errorf("%v\n%s", err, answer)
	}
	// The deadline does not linger on connections that are used again.
	for range 3 {
		if response, _ := exchange(t, "POST", s.ocspURL(), bytes.NewReader(s.request(t, nil, s.good.SerialNumber)), "Content-Type", ocspRequest); response.code != 200 {
			t.Errorf("afterwards: %d", response.code)
		}
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	if h, err := responder.New(responder.Options{}); err == nil {
		t.Errorf("no clock: %v", h)
	}
	if h, err := responder.New(responder.Options{Now: time.Now, Limits: responder.Limits{Body: -1}}); err == nil {
		t.Errorf("a negative limit: %v", h)
	}
	h, err := responder.New(responder.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"crl/a", "ca/a", "ocsp/a/1f"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", responder.Prefix+path, nil))
		if w.Code != 404 {
			t.Errorf("%s, of which nothing is served: %d", path, w.Code)
		}
	}
}

func FuzzPath(f *testing.F) {
	s := newSite(f, "p256", "p256", responder.Limits{})
	handler, err := responder.New(responder.Options{
		OCSP:   func(context.Context, string) (*ocsp.Responder, error) { return nil, errors.New("away") },
		CACert: func(context.Context, string) ([]byte, error) { return s.ca.Cert.Raw, nil },
		Now:    time.Now,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("ocsp/iss-one/1f")
	f.Add("ocsp//..//%2f")
	f.Add("ca/x.crt")
	f.Fuzz(func(t *testing.T, rest string) {
		path, err := url.PathUnescape(rest)
		if err != nil {
			path = rest
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, &http.Request{Method: "GET", URL: &url.URL{Path: responder.Prefix + path, RawPath: responder.Prefix + rest}, Header: http.Header{}, Body: http.NoBody})
		switch w.Code {
		case 200, 404, 405, 414:
		default:
			t.Errorf("%q: %d", rest, w.Code)
		}
	})
}

// A serial in hexadecimal is never the base64 of a request, nor the other way
// round: that begins with "M".
func TestTheTwoGetFormsAreApart(t *testing.T) {
	s := newSite(t, "p256", "p256", responder.Limits{})
	for n := range int64(300) {
		serial := new(big.Int).Add(new(big.Int).Exp(big.NewInt(3), big.NewInt(n%100), nil), big.NewInt(n))
		if text := base64.StdEncoding.EncodeToString(s.request(t, nil, serial)); text[0] != 'M' {
			t.Fatalf("the request about %x is %s", serial, text)
		}
		if der, err := ocsp.DecodeGET(serial.Text(16)); err == nil && der[0] == 0x30 {
			t.Fatalf("%x could be a request", serial)
		}
	}
}
