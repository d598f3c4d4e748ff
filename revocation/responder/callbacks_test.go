package responder_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/responder"
)

// TestOnlyNamesReachTheCallbacks: what looks like a path, or like nothing that
// anybody names an issuer, is refused before any function of Options sees it.
func TestOnlyNamesReachTheCallbacks(t *testing.T) {
	var seen []string
	handler, err := responder.New(responder.Options{
		OCSP: func(_ context.Context, name string) (*ocsp.Responder, error) {
			seen = append(seen, name)
			return nil, context.Canceled
		},
		CRL: func(_ context.Context, id responder.CRLID) (*responder.CRL, error) {
			seen = append(seen, id.Issuer)
			return nil, nil // none was made yet
		},
		CACert: func(_ context.Context, name string) ([]byte, error) {
			seen = append(seen, name)
			return nil, nil
		},
		Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", responder.Prefix+path, nil))
		return w.Code
	}
	for _, name := range []string{"%2e%2e%2fetc", "a%2fb", "a%5cb", "a%00", "a%0ab", "-a", ".a", "%20a", "a%20", "%c3%a4", strings.Repeat("a", 129)} {
		for _, path := range []string{"crl/" + name, "crl/" + name + ".crl", "ca/" + name, "ocsp/" + name + "/1f"} {
			if code := get(path); code != 404 || len(seen) != 0 {
				t.Errorf("%s: %d, and %q were asked for", path, code, seen)
				seen = nil
			}
		}
	}
	// A list or certificate that is not there yet is not an empty file.
	for _, path := range []string{"crl/iss-one", "ca/" + strings.Repeat("a", 128)} {
		if code := get(path); code != 503 || len(seen) != 1 {
			t.Errorf("%s: %d, %q", path, code, seen)
		}
		seen = nil
	}
}
