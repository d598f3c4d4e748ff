package engine_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/issuer/local"
	"github.com/certctl/certctl/store"
	"github.com/certctl/certctl/store/storetest"
)

// setup is an engine on a real database with a real local CA.
type setup struct {
	*engine.Engine
	t     testing.TB
	store *store.Store
	opts  engine.Options
	clock *clock
	gate  *gate
}

// testKey seals what tests store; another process of a test has it, too.
const testKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// clock is time that a test moves on.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) Forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

func newSetup(t testing.TB) *setup {
	t.Helper()
	c := &clock{}
	return newSetupOn(t, c, storetest.Open(t, storetest.WithNow(c.Now)))
}

func newSetupOn(t testing.TB, c *clock, st *store.Store) *setup {
	t.Helper()
	g := &gate{entered: make(chan struct{}, 100)}
	issuers, err := connector.NewRegistry(local.Kind(), g.kind())
	if err != nil {
		t.Fatal(err)
	}
	key, err := secret.ParseKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := secret.NewSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{t: t, store: st, clock: c, gate: g, opts: engine.Options{
		Store: st, Revocations: st, Issuers: issuers, Targets: testTargets(t), Sealer: sealer, Now: c.Now, PKIURL: "http://pki.test",
		Timing: engine.Timing{JobPoll: 20 * time.Millisecond},
	}}
	if s.Engine, err = engine.New(s.opts); err != nil {
		t.Fatal(err)
	}
	if err := s.EnsureDefaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	row, err := s.CreateIssuer(t.Context(), engine.ConnectorInput{ID: "iss-local", Name: "local", Type: "local"})
	if err != nil {
		t.Fatal(err)
	}
	if row.TestStatus != certctl.TestSuccess {
		t.Fatalf("the CA cannot be used: %s", row.TestMessage)
	}
	return s
}

// run works on jobs until the test ends.
func (s *setup) run() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	s.t.Cleanup(func() { cancel(); <-done })
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := keys.Generate(keys.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func csrFor(t testing.TB, key crypto.Signer, names ...string) string {
	t.Helper()
	r := &x509.CertificateRequest{Subject: pkix.Name{CommonName: names[0]}}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			r.IPAddresses = append(r.IPAddresses, ip)
		} else {
			r.DNSNames = append(r.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, r, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// wait returns a job when it has ended.
func (s *setup) wait(id string) *certctl.Job {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	j, err := s.WaitJob(ctx, id)
	if err != nil {
		s.t.Fatalf("job %+v: %v", j, err)
	}
	return j
}

func (s *setup) certificate(id string) (c *certctl.Certificate) {
	s.t.Helper()
	storetest.View(s.t, s.store, func(ctx context.Context, r certctl.Reader) (err error) {
		c, err = r.Certificates().Get(ctx, id)
		return err
	})
	return c
}
