package engine

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/issuer"
	"golang.org/x/sync/singleflight"
)

// IssuerKinds lists the kinds that can be configured.
func (e *Engine) IssuerKinds() []KindInfo { return kinds(e.issuers) }

// CreateIssuer configures a CA, opens it and tests it. The row is kept when
// the test fails, with the reason in it.
func (e *Engine) CreateIssuer(ctx context.Context, in ConnectorInput) (*certctl.Issuer, error) {
	kind, ok := e.issuers.Kind(in.Type)
	if !ok {
		return nil, unknownKind("type", in.Type, e.issuers.Names())
	}
	row := &certctl.Issuer{
		ID: in.ID, Name: in.Name, Type: kind.Name(), Source: "database",
		Enabled: in.Enabled == nil || *in.Enabled, TestStatus: certctl.TestUntested,
	}
	if err := e.identify(&row.ID, certctl.PrefixIssuer, row.Name); err != nil {
		return nil, err
	}
	if err := setConfig(e, kind, row.ID, in.Config, sealed{"issuers", &row.Config, &row.SealedConfig}); err != nil {
		return nil, err
	}
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		if err := tx.Issuers().Insert(ctx, row); err != nil {
			return err
		}
		tx.Nudge(certctl.TopicConfig)
		return audit(ctx, tx, "issuer_created", "issuer", row.ID, details{"type": row.Type, "name": row.Name})
	})
	if err != nil {
		return nil, err
	}
	return e.TestIssuer(ctx, row.ID)
}

// identify checks or makes the ID of a new row, and checks its name.
func (e *Engine) identify(id *string, prefix, name string) error {
	problems := nameProblems(name)
	if *id == "" {
		*id = certctl.NewID(prefix, e.now())
	}
	if !certctl.ValidID(*id) {
		problems = append(problems, certctl.Problem{Field: "id", Message: "must be 1 to 128 letters, digits, dots, underscores or hyphens"})
	}
	return certctl.Invalid("request", problems...)
}

// UpdateIssuer changes an issuer; a masked secret keeps the stored one.
func (e *Engine) UpdateIssuer(ctx context.Context, id string, in ConnectorInput, ifMatch int64) (*certctl.Issuer, error) {
	var row *certctl.Issuer
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) (err error) {
		if row, err = tx.Issuers().Get(ctx, id); err != nil {
			return err
		}
		if err := checkMatch("issuer", id, row.Revision, ifMatch); err != nil {
			return err
		}
		if in.Name != "" {
			row.Name = in.Name
		}
		if in.Enabled != nil {
			row.Enabled = *in.Enabled
		}
		kind, ok := e.issuers.Kind(row.Type)
		if !ok || (in.Type != "" && !sameKind(e.issuers, in.Type, row.Type)) {
			return certctl.Invalid("issuer", certctl.Problem{Field: "type", Message: "is " + row.Type + " and cannot be changed; create another issuer"})
		}
		if len(in.Config) > 0 {
			if err := setConfig(e, kind, id, in.Config, sealed{"issuers", &row.Config, &row.SealedConfig}); err != nil {
				return err
			}
			row.TestStatus, row.TestMessage, row.TestedAt = certctl.TestUntested, "", time.Time{}
		}
		if err := certctl.Invalid("issuer", nameProblems(row.Name)...); err != nil {
			return err
		}
		tx.Nudge(certctl.TopicConfig)
		if err := tx.Issuers().Update(ctx, row); err != nil {
			return err
		}
		return audit(ctx, tx, "issuer_updated", "issuer", id, nil)
	})
	return row, err
}

func sameKind[T any](r *connector.Registry[T], a, b string) bool {
	k, ok := r.Kind(a)
	return ok && k.Name() == b
}

// DeleteIssuer removes an issuer that never issued anything. One that did has
// to stay: its CRL and OCSP answers are still owed.
func (e *Engine) DeleteIssuer(ctx context.Context, id string, ifMatch int64) error {
	return e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		row, err := tx.Issuers().Get(ctx, id)
		if err != nil {
			return err
		}
		if err := checkMatch("issuer", id, row.Revision, ifMatch); err != nil {
			return err
		}
		n, err := tx.Certificates().Count(ctx, certctl.CertificateFilter{IssuerIDs: []string{id}})
		if err != nil {
			return err
		}
		if n > 0 {
			return certctl.Errorf(certctl.ErrConflict,
				"issuer %s has %d certificates, whose revocation data it still owes; disable it instead", id, n)
		}
		tx.Nudge(certctl.TopicConfig)
		if err := tx.Issuers().Delete(ctx, id); err != nil {
			return err
		}
		return audit(ctx, tx, "issuer_deleted", "issuer", id, nil)
	})
}

// TestIssuer opens the issuer and asks whether it could issue now; the answer
// is stored and returned in the row.
func (e *Engine) TestIssuer(ctx context.Context, id string) (*certctl.Issuer, error) {
	row, opened, failed := e.openIssuer(ctx, id)
	if row == nil {
		return nil, failed
	}
	if failed == nil {
		if c, ok := issuer.As[issuer.Checker](opened); ok {
			ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
			failed = c.Check(ctx)
			cancel()
		}
	}
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) (err error) {
		if row, err = tx.Issuers().Get(ctx, id); err != nil {
			return err
		}
		tested(failed, tx.Now(), &row.TestStatus, &row.TestMessage, &row.TestedAt)
		if err := tx.Issuers().Update(ctx, row); err != nil {
			return err
		}
		return audit(ctx, tx, "issuer_tested", "issuer", id, details{"status": row.TestStatus})
	})
	return row, err
}

// openIssuers keeps opened connectors by issuer, each with the hash of the
// configuration that it was opened with: a changed row opens a new one, in
// this replica and in every other.
type openIssuers struct {
	opening singleflight.Group
	mu      sync.Mutex
	m       map[string]openIssuer
}

type openIssuer struct {
	config [32]byte
	issuer issuer.Issuer
}

func (o *openIssuers) get(id string, config [32]byte) issuer.Issuer {
	o.mu.Lock()
	defer o.mu.Unlock()
	if known := o.m[id]; known.config == config {
		return known.issuer
	}
	return nil
}

func (o *openIssuers) put(id string, config [32]byte, i issuer.Issuer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.m == nil {
		o.m = map[string]openIssuer{}
	}
	o.m[id] = openIssuer{config, i}
}

// openIssuer reads an issuer's row and returns its connector. The row is nil
// only when it cannot be read.
func (e *Engine) openIssuer(ctx context.Context, id string) (*certctl.Issuer, issuer.Issuer, error) {
	var row *certctl.Issuer
	err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
		row, err = r.Issuers().Get(ctx, id)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	i, err := e.connect(ctx, row)
	return row, i, err
}

func (e *Engine) connect(ctx context.Context, row *certctl.Issuer) (issuer.Issuer, error) {
	hash := sha256.Sum256(row.SealedConfig)
	if i := e.opened.get(row.ID, hash); i != nil {
		return i, nil
	}
	// Together, for opening may make a CA key or an account.
	v, err, _ := e.opened.opening.Do(row.ID+string(hash[:]), func() (any, error) {
		config, err := e.unseal("issuers", row.ID, row.SealedConfig)
		if err != nil {
			return nil, err
		}
		i, err := e.issuers.Open(ctx, row.Type, config, e.env(row.ID))
		if err != nil {
			return nil, configProblem(err)
		}
		e.opened.put(row.ID, hash, i)
		return i, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(issuer.Issuer), nil
}

// authority returns the CA's certificates, issuing one first.
func (e *Engine) authority(ctx context.Context, i issuer.Issuer) ([]*x509.Certificate, error) {
	a, ok := issuer.As[issuer.Authority](i)
	if !ok {
		return nil, nil
	}
	return a.Certificates(ctx)
}

// IssuerCertificates returns the CA's certificates as PEM, issuing one first,
// the root last if it is known.
func (e *Engine) IssuerCertificates(ctx context.Context, id string) (string, error) {
	_, i, err := e.openIssuer(ctx, id)
	if err != nil {
		return "", err
	}
	certs, err := e.authority(ctx, i)
	if err != nil {
		return "", err
	}
	if len(certs) == 0 {
		return "", certctl.Errorf(certctl.ErrUnsupported, "issuer %s does not tell its certificates", id)
	}
	return string(chain.EncodePEM(certs...)), nil
}
