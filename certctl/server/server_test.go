package server_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/certctl/server"
	"github.com/certctl/certctl/issuer/local"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/store/storetest"
	"github.com/certctl/certctl/target"
	"github.com/certctl/certctl/target/files"
)

const adminKey = "cck_this-is-the-canary-of-the-admin-key"

// running is a server on free ports.
type running struct {
	*server.Server
	o     server.Options
	log   *bytes.Buffer
	roots []*x509.Certificate
}

// lockedWriter lets the server log while the test reads.
type lockedWriter struct {
	mu sync.Mutex
	b  *bytes.Buffer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func options(t *testing.T) server.Options {
	t.Helper()
	st := storetest.Open(t)
	issuers, err := connector.NewRegistry(local.Kind())
	if err != nil {
		t.Fatal(err)
	}
	targets, err := connector.NewRegistry[target.Target](files.Kind())
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := secret.NewSealer(secret.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	return server.Options{
		Store: st, Revocations: st, Issuers: issuers, Targets: targets, Sealer: sealer, Now: time.Now, Listen: "127.0.0.1:0", PKIListen: "127.0.0.1:0",
		APIKeys: []server.APIKey{{Name: "admin", Role: certctl.RoleAdmin, Token: secret.New(adminKey)}},
	}
}

func start(t *testing.T, o server.Options) *running {
	t.Helper()
	r := &running{o: o, log: &bytes.Buffer{}}
	o.Logger = slog.New(slog.NewJSONHandler(&lockedWriter{b: r.log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if r.Server, err = server.New(o); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	pem, err := r.Engine().IssuerCertificates(t.Context(), server.LocalIssuerID)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(pem))
	r.roots = parse(t, pem)
	return r
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func (r *running) client(t *testing.T, key string) *client.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(r.roots[len(r.roots)-1])
	c, err := client.New(r.URL(), client.WithRootCAs(pool), client.WithAPIKey(key))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOwnCertificateAndRestart(t *testing.T) {
	o := options(t)
	first := start(t, o)
	own, err := first.client(t, adminKey).GetCertificate(t.Context(), server.OwnCertificateID)
	if err != nil {
		t.Fatal(err)
	}
	first.stop(t)
	second := start(t, o)
	defer second.stop(t)
	again, err := second.client(t, adminKey).GetCertificate(t.Context(), server.OwnCertificateID)
	if err != nil {
		t.Fatal(err)
	}
	if own.SerialNumber == "" || own.SerialNumber != again.SerialNumber || first.roots[0].SerialNumber.Cmp(second.roots[0].SerialNumber) != 0 {
		t.Errorf("%s, then %s", own.SerialNumber, again.SerialNumber)
	}
}

// TestRevocationIsSeen asks as a relying party would, over plain HTTP.
func TestRevocationIsSeen(t *testing.T) {
	r := start(t, options(t))
	defer r.stop(t)
	c := r.client(t, adminKey)
	own, err := c.GetCertificate(t.Context(), server.OwnCertificateID)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := new(big.Int).SetString(own.SerialNumber, 16)
	if st := r.ask(t, serial); st.State != revocation.Good {
		t.Fatalf("%+v", st)
	}
	if st := r.ask(t, big.NewInt(4711)); st.State != revocation.Unknown {
		t.Errorf("a serial that was never issued is %+v", st)
	}
	if _, err := c.RevokeCertificate(t.Context(), own.ID, api.RevokeRequest{Reason: "keyCompromise"}); err != nil {
		t.Fatal(err)
	}
	if st := r.ask(t, serial); st.State != revocation.Revoked || st.Reason != revocation.KeyCompromise {
		t.Errorf("%+v", st)
	}
	list, err := x509.ParseRevocationList(get(t, r.PKIURL()+"/.well-known/pki/crl/"+server.LocalIssuerID))
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(r.roots[0]); err != nil || len(list.RevokedCertificateEntries) != 1 || list.RevokedCertificateEntries[0].SerialNumber.Cmp(serial) != 0 {
		t.Errorf("%v, %+v", err, list.RevokedCertificateEntries)
	}
	if ca := get(t, r.PKIURL()+"/.well-known/pki/ca/"+server.LocalIssuerID); !bytes.Equal(ca, r.roots[0].Raw) {
		t.Error("caIssuers serves something else than the CA")
	}
	for _, path := range []string{"/.well-known/pki/crl/iss-none", "/api/v1/certificates", "/"} {
		if code, _ := fetch(t, http.MethodGet, r.PKIURL()+path, nil); code != http.StatusNotFound {
			t.Errorf("%s: status %d", path, code)
		}
	}
}

func (r *running) ask(t *testing.T, serial *big.Int) revocation.Status {
	t.Helper()
	q, err := ocsp.NewRequest(r.roots[0], crypto.SHA256, nil, serial)
	if err != nil {
		t.Fatal(err)
	}
	code, der := fetch(t, http.MethodPost, r.PKIURL()+"/.well-known/pki/ocsp/"+server.LocalIssuerID, q)
	if code != http.StatusOK {
		t.Fatalf("OCSP: status %d", code)
	}
	v, err := ocsp.Verify(der, ocsp.VerifyOptions{CA: r.roots[0], Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	a, ok := v.Answer(serial)
	if !ok {
		t.Fatal("no answer for the serial")
	}
	return a.Status
}

// TestNoSecretIsTold greps the log and every answer for what must not be there.
func TestNoSecretIsTold(t *testing.T) {
	r := start(t, options(t))
	c := r.client(t, adminKey)
	token, err := c.CreateJoinToken(t.Context(), api.JoinTokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	joined, err := r.client(t, "").Join(t.Context(), token.Token, api.JoinRequest{Hostname: "h"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := c.CreateAPIKey(t.Context(), api.APIKeyCreate{Name: "reader", Role: "viewer"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.client(t, "cck_wrong-key-canary").CheckAuth(t.Context()); !errors.Is(err, client.ErrUnauthenticated) {
		t.Errorf("%v", err)
	}
	secrets := []string{adminKey, token.Token, joined.Credential, key.Key, "wrong-key-canary", "PRIVATE KEY"}
	var told strings.Builder
	for e, err := range c.AuditEntries(t.Context(), api.AuditQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range e.Details {
			told.WriteString(k + " " + strings.TrimSpace(stringOf(v)) + "\n")
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(r.roots[len(r.roots)-1])
	h := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	for _, path := range []string{"api-keys", "agents", "agents/join-tokens", "issuers", "targets", "certificates", "jobs", "certificates/" + server.OwnCertificateID + "/versions"} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/api/v1/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+adminKey)
		res, err := h.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, res.Status)
		}
		told.Write(body(t, res))
	}
	r.stop(t)
	told.Write(r.log.Bytes())
	for _, s := range secrets {
		if strings.Contains(told.String(), s) {
			t.Errorf("%q was told", s)
		}
	}
}

func TestRefusedOptions(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*server.Options)
		want   string
	}{
		"http to the world":    {func(o *server.Options) { o.Listen, o.Insecure = "0.0.0.0:0", true }, "loopback only"},
		"no authentication":    {func(o *server.Options) { o.Listen, o.AuthType = "0.0.0.0:0", "none" }, "loopback only"},
		"unknown type":         {func(o *server.Options) { o.AuthType = "magic" }, "unknown authentication type"},
		"half a certificate":   {func(o *server.Options) { o.TLSCertFile = "x" }, "go together"},
		"https for CRLs":       {func(o *server.Options) { o.PKIURL = "https://pki.example.com" }, "plain http"},
		"an address elsewhere": {func(o *server.Options) { o.Listen = "192.0.2.1:1" }, "cannot listen"},
	} {
		o := options(t)
		c.change(&o)
		s, err := server.New(o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = s.Stop(t.Context()) // it should not be there
		}
	}
}

func stringOf(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return ""
}

func fetch(t *testing.T, method, url string, payload []byte) (int, []byte) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	if payload != nil {
		q.Header.Set("Content-Type", "application/ocsp-request")
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body(t, res)
}

func body(t *testing.T, res *http.Response) []byte {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	code, b := fetch(t, http.MethodGet, url, nil)
	if code != http.StatusOK {
		t.Fatalf("%s: status %d", url, code)
	}
	return b
}
