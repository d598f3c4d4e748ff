// Package target is the seam to servers that use certificates. A kind is a
// child package (target/nginx, …) that implements [Target]; [Deploy] is the
// only way in, so that no connector can report a success that was not seen.
package target

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"time"
)

// Bundle is what is to be served.
type Bundle struct {
	Leaf  *x509.Certificate
	Chain []*x509.Certificate // leaf's issuer first, root left out
	Key   crypto.Signer       // matches Leaf
	// KeyPEM is the key's PKCS#8 PEM, for targets that write it to a file. It
	// never leaves the process but into the target.
	KeyPEM []byte
	// Roots are the CA certificates that a relying party of this certificate
	// trusts; the probe judges the served chain by them.
	Roots []*x509.Certificate
	// CertificateID and Names are told to commands by environment.
	CertificateID string
	Names         []string
}

// Target is one configured place. Safe for one deployment at a time; Deploy
// sees to that within a process, and its journal across deaths.
type Target interface {
	// Stage checks everything that can be checked and prepares everything that
	// can be prepared without serving anything new: files beside the live
	// ones, the server's own test. After an error nothing is left behind.
	Stage(ctx context.Context, b *Bundle) (Staged, error)
	// Resume gives back what an interrupted process had staged, from State.
	Resume(ctx context.Context, state json.RawMessage) (Staged, error)
}

// Staged is a prepared change.
type Staged interface {
	// State is enough to Resume in another process. It holds no key.
	State() json.RawMessage
	// Swap makes the change live and makes the server use it.
	Swap(ctx context.Context) error
	// Rollback restores what was before, byte for byte, and makes the server
	// use it again. It is safe at any point after Stage, and to repeat.
	Rollback(ctx context.Context) error
	// Finish tidies after a success or a rollback. Failing is no failure of
	// the deployment.
	Finish(ctx context.Context) error
}

// Optional capabilities.
type (
	// Inspector reads what is in place now; nil without an error when nothing
	// is.
	Inspector interface {
		Current(ctx context.Context) (*x509.Certificate, error)
	}
	// Serving says where the result can be seen.
	Serving interface{ Endpoints() []Endpoint }
	// PathUser says which files the target owns, absolute, so that two targets
	// never share one.
	PathUser interface{ Paths() []string }
	// Checker tells whether a deployment could work now, changing nothing.
	Checker interface {
		Check(ctx context.Context) error
	}
	// Outputter gives what commands printed, bounded, for the operator.
	Outputter interface{ Output() string }
)

// Endpoint is a TLS endpoint to look at after a deployment.
type Endpoint struct {
	Address    string `json:"address"`               // host:port to dial
	ServerName string `json:"server_name,omitempty"` // SNI; empty: a name of the certificate that is no wildcard
}

// Prober looks at what an endpoint serves.
type Prober interface {
	Probe(ctx context.Context, e Endpoint, b *Bundle) Observation
}

// Observation is what a probe saw. Its JSON is that of certctl.Observation.
type Observation struct {
	Endpoint    string    `json:"endpoint"`
	ServerName  string    `json:"server_name,omitempty"`
	Fingerprint string    `json:"fingerprint_sha256,omitempty"`
	Serial      string    `json:"serial,omitempty"`
	Subject     string    `json:"subject,omitempty"`
	Issuer      string    `json:"issuer,omitempty"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	TLSVersion  string    `json:"tls_version,omitempty"`
	CipherSuite string    `json:"cipher_suite,omitempty"`
	ChainLength int       `json:"chain_length,omitempty"`
	ChainOK     bool      `json:"chain_ok"`
	NameOK      bool      `json:"name_ok"`
	Served      bool      `json:"served"`
	Problem     string    `json:"problem,omitempty"`
	At          time.Time `json:"at"`
	Millis      int64     `json:"millis"`
}

// OK reports whether the endpoint serves exactly the deployed certificate, with
// a chain and a name that a relying party accepts.
func (o Observation) OK() bool { return o.Served && o.ChainOK && o.NameOK && o.Problem == "" }

// Result is what a deployment came to.
type Result struct {
	Outcome  Outcome       `json:"outcome"`
	Observed []Observation `json:"observed,omitempty"`
	Output   string        `json:"output,omitempty"` // of commands, bounded, no secrets
	Took     time.Duration `json:"took"`
}

// Outcome is how a deployment ended.
type Outcome string

const (
	Deployed       Outcome = "deployed"        // and seen served, where there is an endpoint
	Unchanged      Outcome = "unchanged"       // it was in place already; nothing was done
	RolledBack     Outcome = "rolled_back"     // it failed; what was before is in place again
	NotStarted     Outcome = "not_started"     // it was refused before anything live was touched
	RollbackFailed Outcome = "rollback_failed" // it failed and so did the rollback: a person must look
)

// Classes of errors of Deploy and of Stage, under errors.Is.
var (
	// ErrRefused: the target said no for a reason that repeating cannot cure
	// (its configuration is invalid, the bundle does not fit).
	ErrRefused = errors.New("refused")
	// ErrNotServed: everything succeeded, but an endpoint does not serve the
	// new certificate.
	ErrNotServed = errors.New("not served")
	// ErrRollback: the rollback failed.
	ErrRollback = errors.New("rollback failed")
)
