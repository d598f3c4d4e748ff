package issuer_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/egress"
	"github.com/certctl/certctl/issuer"
)

// TestDo: each status and failure has the kind that says whether the CA acted.
func TestDo(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			_, _ = w.Write([]byte("fine"))
		case "/busy":
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(429)
			_, _ = w.Write([]byte("slow\x00 down"))
		case "/later":
			w.Header().Set("Retry-After", now.Add(time.Hour).Format(http.TimeFormat))
			w.WriteHeader(503)
		case "/no":
			w.WriteHeader(400)
		case "/who":
			w.WriteHeader(403)
		case "/broken":
			w.WriteHeader(502)
		case "/huge":
			_, _ = w.Write([]byte(strings.Repeat("x", issuer.MaxAnswer+1)))
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("short"))
		}
	}))
	defer srv.Close()
	for path, want := range map[string]struct {
		kind  error
		after time.Duration
		says  string
	}{
		"/ok":     {},
		"/busy":   {issuer.ErrNotDone, 2 * time.Minute, "429: slow  down"},
		"/later":  {issuer.ErrNotDone, time.Hour, "503: Service Unavailable"},
		"/no":     {issuer.ErrRefused, 0, "400: Bad Request"},
		"/who":    {issuer.ErrConfig, 0, "403: Forbidden"},
		"/broken": {issuer.ErrUnknown, 0, "502: Bad Gateway"},
		"/huge":   {issuer.ErrUnknown, 0, "longer than"},
		"/cut":    {issuer.ErrUnknown, 0, "unexpected EOF"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+path+"?token=hidden", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		a, err := issuer.Do(srv.Client(), req, func(a *issuer.Answer) string { return string(a.Body) }, now)
		var e *issuer.Error
		if want.kind == nil {
			if err != nil || string(a.Body) != "fine" {
				t.Errorf("%s: %+v, %v", path, a, err)
			}
			continue
		}
		if !errors.As(err, &e) || !errors.Is(err, want.kind) || e.After != want.after || !strings.Contains(err.Error(), want.says) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v, want %v after %v, %q", path, err, want.kind, want.after, want.says)
		}
	}
}

// TestDoUnanswered: who cannot be reached did nothing, whoever hangs up may have
// acted, and a certificate that is not trusted is a matter of configuration.
func TestDoUnanswered(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := "http://" + ln.Addr().String() + "/?token=hidden"
	_ = ln.Close()
	hangup := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer hangup.Close()
	foreign := httptest.NewTLSServer(http.NotFoundHandler())
	defer foreign.Close()
	for url, kind := range map[string]error{free: issuer.ErrNotDone, hangup.URL + "/?token=hidden": issuer.ErrUnknown, foreign.URL: issuer.ErrConfig} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := issuer.Do(&http.Client{Transport: &http.Transport{}}, req, nil, time.Now()); !errors.Is(err, kind) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v, want %v", url, err, kind)
		}
	}
}

// TestDoBlocked: an address that the outbound guard refuses is a matter of
// configuration, too.
func TestDoBlocked(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:1/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.Do(egress.Client(egress.Options{}), req, nil, time.Now()); !errors.Is(err, issuer.ErrConfig) || !errors.Is(err, egress.ErrBlocked) {
		t.Errorf("%v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "-5": 0, "soon": 0, "99999999999999999999": 0, "30": 30 * time.Second, "2000000000": 7 * 24 * time.Hour,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2025 03:05:05 GMT": 0,
	} {
		if got := issuer.RetryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

type odd struct{ http.RoundTripper }

func TestWithTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	own, err := issuer.WithTLS(&http.Client{Transport: &http.Transport{}}, srv.Client().Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	res, err := own.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _ = res.Body.Close(); res.StatusCode != 404 {
		t.Errorf("status %d", res.StatusCode)
	}
	if _, err := issuer.WithTLS(&http.Client{Transport: odd{}}, &tls.Config{}); err == nil {
		t.Error("a transport without TLS settings")
	}
	if _, err := issuer.WithTLS(nil, &tls.Config{}); err == nil {
		t.Error("no client")
	}
}
