package stepca

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/issuer"
)

// CA is an open step-ca. Safe for concurrent use.
type CA struct {
	config Config
	base   string // the URL without a slash at its end
	now    func() time.Time
	http   *http.Client // the program's, with this CA's roots if they are known yet
	sha    string       // fingerprint of the root, when it is known

	// gate is held while one of the following is fetched from the CA; a channel,
	// so that waiting for it ends with the context.
	gate    chan struct{}
	pinned  *http.Client // trusts the root of the fingerprint alone
	fetched *credential  // of the key that the CA keeps
	own     *credential  // of the key from a file, never changed

	mu      sync.Mutex
	learned []*x509.Certificate // the chain of the last certificate, issuing CA first
}

var (
	_ issuer.Issuer    = (*CA)(nil)
	_ issuer.Revoker   = (*CA)(nil)
	_ issuer.Authority = (*CA)(nil)
	_ issuer.Checker   = (*CA)(nil)
)

// Open reads the files of the configuration; the CA is contacted at the first
// use. It needs env.Now and env.HTTP.
func Open(ctx context.Context, c Config, env connector.Env) (issuer.Issuer, error) {
	if env.Now == nil || env.HTTP == nil {
		return nil, errors.New("step-ca: Env.Now and Env.HTTP are required")
	}
	ca := &CA{config: c, base: strings.TrimRight(c.CAURL, "/"), now: env.Now, http: direct(env.HTTP), sha: strings.ToLower(c.RootFingerprint), gate: make(chan struct{}, 1)}
	if c.RootCertPath != "" {
		roots, err := readCertificates(c.RootCertPath)
		if err != nil {
			return nil, wrong("root_cert_path", "%v", err)
		}
		if ca.http, err = trusting(ca.http, roots); err != nil {
			return nil, err
		}
		ca.sha = chain.Fingerprint(roots[0])
	}
	var err error
	if c.KeyPath != "" {
		ca.own, err = openKey(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	return ca, nil
}

func readCertificates(path string) ([]*x509.Certificate, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, chain.MaxBytes+1))
	if err != nil {
		return nil, err
	}
	certs, err := chain.Certificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return certs, nil
}

// direct returns a client that follows no redirect: a token goes to the CA that
// is configured and to nobody else.
func direct(c *http.Client) *http.Client {
	out := *c
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &out
}

func trusting(c *http.Client, roots []*x509.Certificate) (*http.Client, error) {
	pool := x509.NewCertPool()
	for _, r := range roots {
		pool.AddCert(r)
	}
	return issuer.WithTLS(c, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
}

// enter takes the gate, or gives up with the context.
func (ca *CA) enter(ctx context.Context) error {
	select {
	case ca.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return issuer.NotDonef("step-ca: %w", ctx.Err())
	}
}

func (ca *CA) leave() { <-ca.gate }

// client is one that trusts this CA as configured. With a fingerprint the root
// is fetched first, over a connection that proves nothing: the hash does.
func (ca *CA) client(ctx context.Context) (*http.Client, error) {
	if ca.config.RootFingerprint == "" {
		return ca.http, nil
	}
	if err := ca.enter(ctx); err != nil {
		return nil, err
	}
	defer ca.leave()
	if ca.pinned != nil {
		return ca.pinned, nil
	}
	blind, err := issuer.WithTLS(ca.http, &tls.Config{InsecureSkipVerify: true}) // what it returns is compared with the fingerprint, and nothing is sent to it
	if err != nil {
		return nil, issuer.NotDonef("step-ca: %w", err)
	}
	defer blind.CloseIdleConnections()
	var answer struct{ CA string }
	if err := ca.ask(ctx, blind, "/1.0/root/"+ca.sha, &answer); err != nil {
		if e := (*issuer.Error)(nil); errors.As(err, &e) && errors.Is(err, issuer.ErrConfig) {
			return nil, wrong("root_fingerprint", "the CA has no root certificate of this fingerprint (%v)", e)
		}
		return nil, err
	}
	certs, err := chain.Certificates([]byte(answer.CA))
	if err != nil {
		return nil, issuer.NotDonef("step-ca: the root certificate that the CA sent: %w", err)
	}
	root := certs[0]
	if sum := sha256.Sum256(root.Raw); hex.EncodeToString(sum[:]) != ca.sha {
		return nil, wrong("root_fingerprint", "%s sent a root certificate of another fingerprint, %s: it is not the CA that is meant, or somebody is in between", ca.base, chain.Fingerprint(root))
	}
	if ca.pinned, err = trusting(ca.http, []*x509.Certificate{root}); err != nil {
		return nil, issuer.NotDonef("step-ca: %w", err)
	}
	return ca.pinned, nil
}
