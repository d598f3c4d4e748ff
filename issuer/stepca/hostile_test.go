package stepca_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/issuer/stepca"
	"github.com/certctl/certctl/revocation"
)

// fake is a CA that answers as it is told, by the path of the request.
type fake struct {
	*httptest.Server
	answer map[string]http.HandlerFunc
	asked  atomic.Int32
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{answer: map[string]http.HandlerFunc{}}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		if h := f.answer[r.URL.Path]; h != nil {
			h(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// open returns a connector for it, with a key of its own.
func (f *fake) open(t *testing.T, pairs ...any) *stepca.CA {
	t.Helper()
	c := realCA{dir: t.TempDir(), url: f.URL}
	c.write(t, "root.pem", string(chain.EncodePEM(f.Certificate())))
	c.write(t, "key.json", jwk(t, newKey(t)))
	return open(t, c.config(append([]any{"root_cert_path", c.in("root.pem"), "provisioner_key_path", c.in("key.json")}, pairs...)...))
}

func jwk(t testing.TB, key any) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: key, Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// says answers with a status and a body.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		w.Header().Set("Retry-After", "90")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func quoted(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// TestAnswers: every answer has the kind that says whether the CA acted.
func TestAnswers(t *testing.T) {
	f := newFake(t)
	ca := f.open(t)
	req := csr(t, issuer.Request{DNSNames: []string{"a.example.com"}})
	leaf := string(chain.EncodePEM(f.Certificate()))
	for name, v := range map[string]struct {
		status       int
		body         string
		issue, other error
	}{
		"nothing":           {200, "", issuer.ErrUnknown, issuer.ErrUnknown},
		"HTML":              {200, "<html>welcome</html>", issuer.ErrUnknown, issuer.ErrUnknown},
		"no certificate":    {201, `{"crt":""}`, issuer.ErrUnknown, issuer.ErrUnknown},
		"broken one":        {201, quoted(map[string]any{"crt": leaf[:len(leaf)/2]}), issuer.ErrUnknown, issuer.ErrUnknown},
		"another shape":     {201, `{"crt":{}}`, issuer.ErrUnknown, issuer.ErrUnknown},
		"accepted":          {202, `{}`, issuer.ErrUnknown, issuer.ErrUnknown},
		"redirect":          {307, "", issuer.ErrConfig, issuer.ErrConfig},
		"bad request":       {400, `{"message":"bad"}`, issuer.ErrRefused, issuer.ErrRefused},
		"unauthorized":      {401, `{"message":"no"}`, issuer.ErrConfig, issuer.ErrConfig},
		"forbidden":         {403, `{"message":"policy"}`, issuer.ErrRefused, issuer.ErrRefused},
		"not found":         {404, "", issuer.ErrConfig, issuer.ErrConfig},
		"slow down":         {429, "", issuer.ErrNotDone, issuer.ErrNotDone},
		"broken after all":  {500, `{"message":"storing"}`, issuer.ErrUnknown, issuer.ErrUnknown},
		"not configured":    {501, `{"message":"no persistence layer configured"}`, issuer.ErrConfig, issuer.ErrConfig},
		"proxy":             {502, "<html>", issuer.ErrUnknown, issuer.ErrUnknown},
		"away":              {503, "", issuer.ErrNotDone, issuer.ErrNotDone},
		"too long":          {200, strings.Repeat("x", issuer.MaxAnswer+1), issuer.ErrUnknown, issuer.ErrUnknown},
		"revoked elsewhere": {400, `{"message":"certificate with serial number '1' is already revoked"}`, issuer.ErrRefused, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f.answer["/1.0/sign"], f.answer["/1.0/revoke"] = says(v.status, v.body), says(v.status, v.body)
			_, err := ca.Issue(t.Context(), req)
			revokeErr := ca.Revoke(t.Context(), serial(1), revocation.Superseded, nil)
			if !errors.Is(err, v.issue) || !errors.Is(revokeErr, v.other) && (v.other != nil || revokeErr != nil) {
				t.Errorf("issue: %v\nrevoke: %v", err, revokeErr)
			}
			var e *issuer.Error
			if errors.As(err, &e) && (v.status == 429 || v.status == 503) && e.After != 90*time.Second {
				t.Errorf("after %s", e.After)
			}
		})
	}
}

// TestQuestions: what only asks is never of the kind that may have acted.
func TestQuestions(t *testing.T) {
	f := newFake(t)
	ca := f.open(t)
	for _, status := range []int{200, 302, 400, 401, 403, 404, 429, 500, 501, 502, 503} {
		for _, path := range []string{"health", "roots", "intermediates", "provisioners", "crl"} {
			f.answer["/1.0/"+path] = says(status, "<html>")
		}
		_, certsErr := ca.Certificates(t.Context())
		_, crlErr := ca.CRL(t.Context())
		for what, err := range map[string]error{"check": ca.Check(t.Context()), "certificates": certsErr, "CRL": crlErr} {
			if !errors.Is(err, issuer.ErrNotDone) && !errors.Is(err, issuer.ErrConfig) {
				t.Errorf("%s, %d: %v", what, status, err)
			}
		}
	}
}

// TestTokenStays: an answer that shows the token does not get it into an error,
// and a redirect does not take it to anybody else.
func TestTokenStays(t *testing.T) {
	f, thief := newFake(t), newFake(t)
	ca := f.open(t)
	req := csr(t, issuer.Request{DNSNames: []string{"a.example.com"}})
	both := func() {
		t.Helper()
		_, err := ca.Issue(t.Context(), req)
		for _, err := range []error{err, ca.Revoke(t.Context(), serial(1), revocation.Superseded, nil)} {
			if err == nil {
				t.Error("no error")
			}
			noSecret(t, err)
		}
	}
	for _, status := range []int{200, 400, 401, 403, 500} {
		echo := func(w http.ResponseWriter, r *http.Request) {
			var body struct{ OTT string }
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil || strings.Count(body.OTT, ".") != 2 {
				t.Errorf("no token: %v", err)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, quoted(map[string]string{"message": "refused " + body.OTT + " and " + strings.Split(body.OTT, ".")[1]}))
		}
		f.answer["/1.0/sign"], f.answer["/1.0/revoke"] = echo, echo
		both()
	}
	away := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, thief.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}
	f.answer["/1.0/sign"], f.answer["/1.0/revoke"] = away, away
	both()
	if thief.asked.Load() > 0 {
		t.Error("the redirect was followed")
	}
}

// TestCertificateIsNotLost: a certificate that exists is handed on, whatever
// else is in the answer, for the caller to judge and to record.
func TestCertificateIsNotLost(t *testing.T) {
	f := newFake(t)
	ca := f.open(t)
	root, rootKey := certificate(t, "root", nil, nil)
	leaf, _ := certificate(t, "leaf", root, rootKey)
	text, rootText := string(chain.EncodePEM(leaf)), string(chain.EncodePEM(root))
	for name, v := range map[string]struct {
		answer map[string]any
		chain  int
	}{
		"leaf alone":       {map[string]any{"crt": text}, 0},
		"chain alone":      {map[string]any{"certChain": []string{text, rootText}}, 0},
		"broken chain":     {map[string]any{"crt": text, "ca": "nonsense", "certChain": []string{text, "-----BEGIN", rootText}}, 0},
		"chain of another": {map[string]any{"crt": text, "certChain": []string{text, string(chain.EncodePEM(leaf2(t)))}}, 1},
	} {
		f.answer["/1.0/sign"] = says(201, quoted(v.answer))
		got, err := ca.Issue(t.Context(), csr(t, issuer.Request{DNSNames: []string{"a.example.com"}}))
		if err != nil || !got.Leaf.Equal(leaf) || len(got.Chain) != v.chain {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	// What it learned is what such a CA is known by.
	f.answer["/1.0/roots"] = says(201, quoted(map[string]any{"crts": []string{rootText}}))
	f.answer["/1.0/intermediates"] = says(501, `{"message":"not there"}`)
	certs, err := ca.Certificates(t.Context())
	if err != nil || len(certs) != 1 || !certs[0].Equal(root) {
		t.Errorf("%v, %v", certs, err)
	}
	if _, err := f.open(t).Certificates(t.Context()); !errors.Is(err, issuer.ErrNotDone) {
		t.Error(err)
	}
}

func leaf2(t *testing.T) *x509.Certificate {
	t.Helper()
	root, key := certificate(t, "another root", nil, nil)
	leaf, _ := certificate(t, "another", root, key)
	return leaf
}

// TestCancelled: a call that ends before it began did nothing; one that ends
// while the CA signs may have.
func TestCancelled(t *testing.T) {
	f := newFake(t)
	ca := f.open(t)
	req := csr(t, issuer.Request{DNSNames: []string{"a.example.com"}})
	ctx, cancel := context.WithCancel(t.Context())
	f.answer["/1.0/sign"] = func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server notices the end
		cancel()
		<-r.Context().Done()
	}
	if _, err := ca.Issue(ctx, req); !errors.Is(err, issuer.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := ca.Issue(ctx, req); !errors.Is(err, issuer.ErrNotDone) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := ca.Revoke(ctx, serial(1), revocation.Superseded, nil); !errors.Is(err, issuer.ErrNotDone) {
		t.Error(err)
	}
}

// TestPinning: a root of another fingerprint is not trusted, however it comes.
func TestPinning(t *testing.T) {
	f := newFake(t)
	wanted, _ := certificate(t, "wanted", nil, nil)
	ca := f.open(t, "root_cert_path", nil, "root_fingerprint", chain.Fingerprint(wanted))
	for name, body := range map[string]string{
		"the server's own": quoted(map[string]string{"ca": string(chain.EncodePEM(f.Certificate()))}),
		"own, then wanted": quoted(map[string]string{"ca": string(chain.EncodePEM(f.Certificate(), wanted))}),
		"the wanted one":   quoted(map[string]string{"ca": string(chain.EncodePEM(wanted))}), // with which the server has nothing to do
	} {
		f.answer["/1.0/root/"+chain.Fingerprint(wanted)] = says(200, body)
		f.answer["/1.0/health"] = says(200, `{"status":"ok"}`)
		if err := ca.Check(t.Context()); !errors.Is(err, issuer.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	right := f.open(t, "root_cert_path", nil, "root_fingerprint", chain.Fingerprint(f.Certificate()))
	f.answer["/1.0/root/"+chain.Fingerprint(f.Certificate())] = says(200, quoted(map[string]string{"ca": string(chain.EncodePEM(f.Certificate()))}))
	if err := right.Check(t.Context()); err == nil || strings.Contains(err.Error(), "root_fingerprint") { // the provisioner is what it lacks
		t.Error(err)
	}
}

// encrypt makes what step-ca keeps of a key.
func encrypt(t testing.TB, key crypto.Signer, password string, iterations int) string {
	t.Helper()
	e, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.PBES2_HS256_A128KW, Key: []byte(password), PBES2Count: iterations, PBES2Salt: []byte("salt of the test")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	box, err := e.Encrypt([]byte(jwk(t, key)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := box.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestNewKey: when the provisioner was given a new key, the CA does not accept
// the old one, and the new one is fetched and used at once.
func TestNewKey(t *testing.T) {
	f := newFake(t)
	ca := f.open(t, "provisioner_key_path", nil)
	key := newKey(t)
	keep := func() {
		public := json.RawMessage(jwk(t, key.Public()))
		f.answer["/1.0/provisioners"] = says(200, quoted(map[string]any{"provisioners": []any{map[string]any{"type": "JWK", "name": "admin", "key": public, "encryptedKey": encrypt(t, key, keyPassword, 1000)}}}))
	}
	f.answer["/1.0/revoke"] = func(w http.ResponseWriter, r *http.Request) {
		var body struct{ OTT string }
		_ = json.NewDecoder(r.Body).Decode(&body) // an empty token is refused below
		token, err := jose.ParseSignedCompact(body.OTT, []jose.SignatureAlgorithm{jose.ES256})
		if err == nil {
			_, err = token.Verify(key.Public())
		}
		if err != nil {
			w.WriteHeader(401)
			return
		}
		_, _ = io.WriteString(w, `{"status":"ok"}`)
	}
	keep()
	if err := ca.Revoke(t.Context(), serial(1), revocation.Superseded, nil); err != nil {
		t.Fatal(err)
	}
	key = newKey(t)
	keep()
	if err := ca.Revoke(t.Context(), serial(1), revocation.Superseded, nil); err != nil {
		t.Error(err)
	}
	kept := key
	key = newKey(t) // of which the list knows nothing yet
	before := f.asked.Load()
	if err := ca.Revoke(t.Context(), serial(1), revocation.Superseded, nil); !errors.Is(err, issuer.ErrConfig) || f.asked.Load()-before != 2 {
		t.Errorf("%v after %d requests", err, f.asked.Load()-before)
	}
	key = kept
	if err := ca.Revoke(t.Context(), serial(1), revocation.Superseded, nil); err != nil {
		t.Error(err)
	}
}

// TestHostileKeys: a key file or answer cannot make us compute for long, and
// what it holds is not shown.
func TestHostileKeys(t *testing.T) {
	f := newFake(t)
	dear := encrypt(t, newKey(t), keyPassword, 1_000_001)
	for name, text := range map[string]string{
		"too many iterations": dear, "negative": withHeader(t, dear, "p2c", -1), "no number": withHeader(t, dear, "p2c", "many"), "huge": withHeader(t, dear, "p2c", 1e300),
		"another algorithm": withHeader(t, dear, "alg", "dir"), "symmetric": `{"kty":"oct","k":"Y2FuYXJ5"}`, "cut off": `{"kty":"EC","crv":"P-256","d":"canary`, "not on the curve": `{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA","d":"canary"}`,
		"too long": strings.Repeat("canary ", 20000), "empty": "", "null": "null",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			root := filepath.Join(t.TempDir(), "root.pem")
			if err := os.WriteFile(root, chain.EncodePEM(f.Certificate()), 0o600); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			_, err := stepca.Kind().Open(t.Context(), json.RawMessage(quoted(map[string]any{"ca_url": f.URL, "root_cert_path": root, "provisioner_name": "admin", "provisioner_key_path": path, "provisioner_password": keyPassword})), environment(t))
			if !errors.Is(err, issuer.ErrConfig) || time.Since(begun) > time.Second {
				t.Errorf("%v after %s", err, time.Since(begun))
			}
			noSecret(t, err)
			f.answer["/1.0/provisioners"] = says(200, quoted(map[string]any{"provisioners": []any{map[string]any{"type": "JWK", "name": "admin", "encryptedKey": text}}}))
			err = f.open(t, "provisioner_key_path", nil).Revoke(t.Context(), serial(1), revocation.Superseded, nil)
			if !errors.Is(err, issuer.ErrConfig) {
				t.Error(err)
			}
			noSecret(t, err)
		})
	}
	open := filepath.Join(t.TempDir(), "open.json")
	if err := os.WriteFile(open, []byte(jwk(t, newKey(t))), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := stepca.Kind().Open(t.Context(), json.RawMessage(quoted(map[string]any{"ca_url": f.URL, "provisioner_name": "admin", "provisioner_key_path": open})), environment(t))
	if !errors.Is(err, issuer.ErrConfig) || !strings.Contains(err.Error(), "chmod 600") {
		t.Error(err)
	}
}

// TestValidate: all mistakes are told at once.
func TestValidate(t *testing.T) {
	for config, fields := range map[string][]string{
		`{}`: {"ca_url", "provisioner_name", "provisioner_password"},
		`{"ca_url":"http://ca","provisioner_name":"a","root_cert_path":"r","root_fingerprint":"12","validity_days":-1,"x5c_cert_path":"x"}`:     {"ca_url", "root_fingerprint", "provisioner_password", "x5c_cert_path", "validity_days"},
		`{"ca_url":"https://ca/path?q#f","provisioner_name":"a","provisioner_type":"X5C","provisioner_password":"p"}`:                           {"ca_url", "provisioner_key_path", "x5c_cert_path", "provisioner_password"},
		`{"ca_url":"https://ca","provisioner_name":"a","provisioner_type":"ACME","provisioner_password":"p"}`:                                   {"provisioner_type"},
		`{"ca_url":"https://ca:9000/","provisioner_name":"a","provisioner_password":"p","root_fingerprint":"` + strings.Repeat("Ab", 32) + `"}`: nil,
		`{"ca_url":"https://u:p@ca","provisioner_name":"a","provisioner_password":"p","validity_days":36501}`:                                   {"ca_url", "validity_days"},
	} {
		err := stepca.Kind().Check(json.RawMessage(config))
		var ce *connector.ConfigError
		if errors.As(err, &ce) != (fields != nil) {
			t.Errorf("%s: %v", config, err)
			continue
		}
		for _, field := range fields {
			if !strings.Contains(err.Error(), field) {
				t.Errorf("%s: nothing about %s in %v", config, field, err)
			}
		}
	}
	if _, err := stepca.Open(t.Context(), stepca.Config{}, connector.Env{}); err == nil {
		t.Error("opened without a client and a clock")
	}
}

// withHeader changes the header of a compact JWE.
func withHeader(t testing.TB, text, key string, value any) string {
	t.Helper()
	head, rest, _ := strings.Cut(text, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	m[key] = value
	return base64.RawURLEncoding.EncodeToString([]byte(quoted(m))) + "." + rest
}
