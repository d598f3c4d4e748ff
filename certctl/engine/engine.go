package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	mrand "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/target"
	"golang.org/x/sync/singleflight"
)

// Options configure an Engine.
type Options struct {
	// Store is required.
	Store certctl.Store
	// Revocations is what CRLs and OCSP answers are made from, usually the
	// store itself. Required where an issuer holds its own CA key.
	Revocations revocation.Source
	// Issuers and Targets are the connector kinds to offer. Issuers is
	// required; without Targets nothing can be deployed.
	Issuers *connector.Registry[issuer.Issuer]
	Targets *connector.Registry[target.Target]
	// Sealer seals connector configurations and keys at rest. Required.
	Sealer *secret.Sealer
	// HTTP is what issuers dial with; nil is http.DefaultClient's transport
	// with a time limit.
	HTTP *http.Client
	// Logger is silent when nil.
	Logger *slog.Logger
	// Now is the clock. Required.
	Now func() time.Time
	// PKIURL is where relying parties reach CRLs and OCSP, plain http, without
	// a trailing slash: "http://pki.example.com". Empty: certificates carry no
	// pointers.
	PKIURL string
	// Replica names this process in leases; random when empty.
	Replica string
	// Exclusive says that no other process runs jobs of this store, so that the
	// leases of a process before need not be waited for.
	Exclusive bool
	// Concurrency is how many server jobs run at once; 8 when 0.
	Concurrency int
	Timing      Timing
}

// Timing holds every interval and limit of the engine; zero fields get the
// default that they name.
type Timing struct {
	RenewalCheck   time.Duration // scan for due renewals; 15 s
	JobPoll        time.Duration // look for jobs that nobody announced; 1 s
	Retry          time.Duration // failed deployments that are due again; 15 s
	Reaper         time.Duration // jobs past their deadline; 1 min
	AgentHealth    time.Duration // silent agents; 30 s
	Expiry         time.Duration // certificates past NotAfter; 30 s
	CRLGeneration  time.Duration // CRLs and responder certificates; 1 h
	Alerts         time.Duration // expiry thresholds; 1 min
	Sweep          time.Duration // spent idempotency keys; 1 h
	AgentSilence   time.Duration // an agent unheard of for so long is Offline; 2 min
	JobLease       time.Duration // of a server step, which is cut off a little earlier; 60 s
	AgentLease     time.Duration // of an agent's work, which extends it; 1 min
	AwaitingCSR    time.Duration // limit of that state; 24 h
	AwaitingPerson time.Duration // limit of AwaitingApproval; 168 h
	Issuance       time.Duration // limit from CSR to certificate; 48 h
	Deployment     time.Duration // limit of one deployment job; 24 h
	Backdate       time.Duration // of NotBefore, for clocks that are slow; 5 min
	CRLValidity    time.Duration // 24 h
	ResponderLife  time.Duration // of OCSP responder certificates; 30 days
	ResponderGrace time.Duration // rotated when less is left; 7 days
	RetryBase      time.Duration // first pause after a failed step; 10 s
	DeployRetry    time.Duration // first pause after a failed deployment; 5 min
}

func (t Timing) withDefaults() Timing {
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&t.RenewalCheck, 15*time.Second)
	set(&t.JobPoll, time.Second)
	set(&t.Retry, 15*time.Second)
	set(&t.Reaper, time.Minute)
	set(&t.AgentHealth, 30*time.Second)
	set(&t.Expiry, 30*time.Second)
	set(&t.CRLGeneration, time.Hour)
	set(&t.Alerts, time.Minute)
	set(&t.Sweep, time.Hour)
	set(&t.AgentSilence, 2*time.Minute)
	set(&t.JobLease, 60*time.Second)
	set(&t.AgentLease, time.Minute)
	set(&t.AwaitingCSR, 24*time.Hour)
	set(&t.AwaitingPerson, 168*time.Hour)
	set(&t.Issuance, 48*time.Hour)
	set(&t.Deployment, 24*time.Hour)
	set(&t.Backdate, 5*time.Minute)
	set(&t.CRLValidity, 24*time.Hour)
	set(&t.ResponderLife, 30*24*time.Hour)
	set(&t.ResponderGrace, 7*24*time.Hour)
	set(&t.RetryBase, 10*time.Second)
	set(&t.DeployRetry, 5*time.Minute)
	return t
}

// Engine runs the use cases. Safe for concurrent use.
type Engine struct {
	store   certctl.Store
	source  revocation.Source
	issuers *connector.Registry[issuer.Issuer]
	targets *connector.Registry[target.Target]
	sealer  *secret.Sealer
	http    *http.Client
	log     *slog.Logger
	now     func() time.Time
	pkiURL  string
	replica string
	workers int
	timing  Timing
	alone   bool

	opened  openIssuers
	signers signerCache
	crls    singleflight.Group
	lists   crlLists
	making  sync.Map // CRL ID → *sync.Mutex: who makes a list
	started time.Time
	caught  sync.Map // CA key ID → the sequence that every list covers
	touched sync.Map // API key ID → when its last use was written
}

// New makes an Engine. It contacts nobody.
func New(o Options) (*Engine, error) {
	var missing []string
	for name, absent := range map[string]bool{
		"Store": o.Store == nil, "Issuers": o.Issuers == nil, "Sealer": o.Sealer == nil, "Now": o.Now == nil,
	} {
		if absent {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, errors.New("engine: Options lack " + strings.Join(missing, ", "))
	}
	if strings.HasPrefix(o.PKIURL, "https:") {
		return nil, errors.New("engine: PKIURL must be plain http: a relying party that needs a CRL to trust TLS could never fetch it (RFC 5280 section 8)")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: time.Minute}
	}
	if o.Replica == "" {
		var b [6]byte
		rand.Read(b[:])
		o.Replica = "replica-" + hex.EncodeToString(b[:])
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 8
	}
	return &Engine{
		store: o.Store, source: o.Revocations, issuers: o.Issuers, targets: o.Targets, sealer: o.Sealer,
		http: o.HTTP, log: o.Logger, now: o.Now, pkiURL: strings.TrimSuffix(o.PKIURL, "/"),
		replica: o.Replica, workers: o.Concurrency, timing: o.Timing.withDefaults(), alone: o.Exclusive, started: o.Now().Truncate(time.Microsecond),
	}, nil
}

// View reads from one snapshot of the store.
func (e *Engine) View(ctx context.Context, f func(context.Context, certctl.Reader) error) error {
	return e.store.View(ctx, f)
}

// Ready reports whether the database answers.
func (e *Engine) Ready(ctx context.Context) error { return e.store.Ping(ctx) }

// jitter is uniform in [0, 1).
func jitter() float64 { return mrand.Float64() }

// backoff doubles base with each failure up to limit, less up to a fifth.
func backoff(base time.Duration, failures int, limit time.Duration) time.Duration {
	d := base
	for range min(failures, 20) {
		if d >= limit {
			break
		}
		d *= 2
	}
	d = min(d, limit)
	return d - time.Duration(jitter()*float64(d)/5)
}
