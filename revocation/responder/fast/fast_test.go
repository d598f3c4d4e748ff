package fast_test

import (
	"bufio"
	"context"
	"crypto"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/responder"
	"github.com/certctl/certctl/revocation/responder/fast"
	"github.com/certctl/certctl/revocation/revocationtest"
)

// both serves one handler over both libraries, and gives their addresses.
func both(t *testing.T, h *responder.Handler, read time.Duration) map[string]string {
	t.Helper()
	out := map[string]string{}
	listen := func(name string) net.Listener {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		out[name] = l.Addr().String()
		return l
	}
	standard := &http.Server{Handler: h, ReadHeaderTimeout: read, ReadTimeout: read}
	s, err := fast.New(fast.Options{Handler: h, Read: read, Else: http.NotFoundHandler()})
	if err != nil {
		t.Fatal(err)
	}
	a, b := listen("net/http"), listen("fasthttp")
	done := make(chan struct{}, 2)
	go func() { _ = standard.Serve(a); done <- struct{}{} }()
	go func() { _ = s.Serve(b); done <- struct{}{} }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		standard.Close()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		<-done
		<-done
	})
	return out
}

func handler(t *testing.T) (*responder.Handler, []byte) {
	t.Helper()
	at := time.Now()
	ca := revocationtest.NewCA(t, "ed25519", "Served CA", at) // signs equal answers alike
	source := &revocationtest.Source{}
	source.Issue(ca.Cert, at.AddDate(0, 1, 0), big.NewInt(0x1234))
	answers, err := ocsp.New(ocsp.Options{Source: source, Issuers: ocsp.Fixed(revocationtest.Issuer(t, ocsp.Credentials{CA: ca.Cert, Signer: ca.Key})), Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	h, err := responder.New(responder.Options{
		OCSP:   func(context.Context, string) (*ocsp.Responder, error) { return answers, nil },
		CACert: func(context.Context, string) ([]byte, error) { return ca.Cert.Raw, nil },
		Now:    func() time.Time { return at }, Limits: responder.Limits{Body: time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	request, err := ocsp.NewRequest(ca.Cert, crypto.SHA1, nil, big.NewInt(0x1234))
	if err != nil {
		t.Fatal(err)
	}
	return h, request
}

// send writes what a client sends, and reads what comes back.
func send(t *testing.T, address, text string) (answered, []byte) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(conn, text) }() // a server that refuses need not read on
	method, _, _ := strings.Cut(text, " ")
	r, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.60q: %v", text, err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{r.StatusCode, r.Close, r.Header, r.ContentLength}, body
}

// answered is what is looked at of an answer, besides its body.
type answered struct {
	StatusCode    int
	Close         bool
	Header        http.Header
	ContentLength int64
}

// TestBothAnswerAlike: status, body and every header but Date.
func TestBothAnswerAlike(t *testing.T) {
	h, request := handler(t)
	at := both(t, h, time.Second)
	post := func(kind, body string) string {
		return fmt.Sprintf("POST /.well-known/pki/ocsp/x HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body)
	}
	get := func(path, more string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + more + "\r\n" }
	const kind = "application/ocsp-request"
	encoded := base64.StdEncoding.EncodeToString(request)
	_, first := send(t, at["net/http"], post(kind, string(request)))
	if len(first) < 100 {
		t.Fatalf("%x", first)
	}
	for name, c := range map[string]struct {
		text   string
		status int
	}{
		"POST":               {post(kind, string(request)), 200},
		"parameters":         {post(kind+"; q=1", string(request)), 200},
		"GET":                {get("/.well-known/pki/ocsp/x/"+encoded, ""), 200},
		"absolute":           {get("http://x/.well-known/pki/ocsp/x/"+encoded, ""), 200},
		"query":              {get("/.well-known/pki/ocsp/x/1234?a=b", ""), 200},
		"serial":             {get("/.well-known/pki/ocsp/x/1234", ""), 200},
		"malformed":          {post(kind, "MMMM"), 200},
		"trailing":           {post(kind, string(request)+"x"), 200},
		"empty":              {post(kind, ""), 200},
		"wrong type":         {post("text/plain", string(request)), 415},
		"too large":          {post(kind, strings.Repeat("x", ocsp.MaxRequest+1)), 413},
		"1 MB":               {post(kind, strings.Repeat("x", 1<<20)), 413},
		"chunked":            {"POST /.well-known/pki/ocsp/x HTTP/1.1\r\nHost: x\r\nContent-Type: " + kind + "\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(request), request), 200},
		"chunked, too large": {"POST /.well-known/pki/ocsp/x HTTP/1.1\r\nHost: x\r\nContent-Type: " + kind + "\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", 100_000, strings.Repeat("x", 100_000)), 413},
		"slow":               {strings.TrimSuffix(post(kind, string(request)), string(request)), 408},
		"PUT":                {"PUT /.well-known/pki/ocsp/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405},
		"GET of nothing":     {get("/.well-known/pki/ocsp/x", ""), 405},
		"broken base64":      {get("/.well-known/pki/ocsp/x/MEMw*", ""), 200},
		"long path":          {get("/.well-known/pki/ocsp/x/"+strings.Repeat("M", 9000), ""), 414},
		"CA":                 {get("/.well-known/pki/ca/x", ""), 200},
		"HEAD of CA":         {strings.Replace(get("/.well-known/pki/ca/x", ""), "GET", "HEAD", 1), 200},
		"304":                {get("/.well-known/pki/ca/x", "If-None-Match: *\r\n"), 304},
		"no CRL":             {get("/.well-known/pki/crl/x", ""), 404},
		"elsewhere":          {get("/.well-known/pki/other/x", ""), 404},
	} {
		t.Run(name, func(t *testing.T) {
			a, bodyA := send(t, at["net/http"], c.text)
			b, bodyB := send(t, at["fasthttp"], c.text)
			if a.StatusCode != c.status || b.StatusCode != c.status {
				t.Errorf("net/http says %d, fasthttp %d, want %d", a.StatusCode, b.StatusCode, c.status)
			}
			if string(bodyA) != string(bodyB) {
				t.Errorf("net/http sends %.300q, fasthttp %.300q", bodyA, bodyB)
			}
			if c.status == 408 || c.status == 413 {
				if !a.Close || !b.Close {
					t.Errorf("the connection is kept: %v, %v", !a.Close, !b.Close)
				}
			}
			for _, h := range []http.Header{a.Header, b.Header} {
				h.Del("Date")
				h.Del("Connection")
			}
			if fmt.Sprint(a.Header) != fmt.Sprint(b.Header) || a.ContentLength != b.ContentLength {
				t.Errorf("net/http sends %v, fasthttp %v", a.Header, b.Header)
			}
		})
	}
}

func TestElse(t *testing.T) {
	h, _ := handler(t)
	at := both(t, h, time.Second)
	r, body := send(t, at["fasthttp"], "GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
	if r.StatusCode != 404 || !strings.Contains(string(body), "404 page not found") {
		t.Errorf("%d %q", r.StatusCode, body)
	}
	if _, err := fast.New(fast.Options{}); err == nil {
		t.Error("a server without a handler")
	}
}
