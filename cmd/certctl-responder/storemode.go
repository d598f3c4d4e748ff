package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/responder"
	"github.com/certctl/certctl/store"
	"github.com/urfave/cli/v2"
)

// storeMode answers from a certctl database, which it only reads.
type storeMode struct {
	store  *store.Store
	sealer *secret.Sealer // nil without an encryption key
	given  map[string]issuerConfig
	log    *slog.Logger
	lists  sync.Map // CRL ID → *certctl.CRL
}

// openStore opens the issuers of the mode store: those for which the server has
// made a responder certificate.
func openStore(c *cli.Context, log *slog.Logger) (_ *opened, err error) {
	list, err := configured(c)
	if err != nil {
		return nil, err
	}
	m := &storeMode{given: map[string]issuerConfig{}, log: log}
	for _, o := range list {
		if o.CA != "" || o.CRL != "" || o.Index != "" || o.Complete || o.OnlyCRL || o.Refetch > 0 {
			return nil, fmt.Errorf("%w: issuer %s: in the mode store only name, cert and key have a meaning", errUsage, o.Name)
		}
		m.given[o.Name] = o
	}
	dsn, keyFile := c.String("database-url"), c.String("encryption-key-file")
	if dsn == "" {
		dsn = filepath.Join(c.String("data-dir"), "certctl.db")
		if keyFile == "" && c.String("encryption-key") == "" {
			keyFile = filepath.Join(c.String("data-dir"), "encryption.key")
		}
	}
	if m.sealer, err = openSealer(c.String("encryption-key"), keyFile); err != nil {
		return nil, err
	}
	m.store, err = store.Open(c.Context, store.Options{DSN: dsn, Now: time.Now, Logger: log, SkipMigrations: true})
	if err != nil {
		return nil, err
	}
	out := &opened{close: func() { _ = m.store.Close() }} // nothing was written
	known, err := m.keyIDs(c.Context)
	if err == nil {
		out.sites, err = m.sites(c)
	}
	if err != nil {
		out.close()
		return nil, err
	}
	out.changed = func(ctx context.Context) bool {
		now, err := m.keyIDs(ctx)
		return err == nil && !slices.Equal(now, known)
	}
	return out, nil
}

func openSealer(text, file string) (*secret.Sealer, error) {
	if text == "" && file == "" {
		return nil, nil
	}
	if text == "" {
		raw, err := secret.ReadFile(file, maxFile)
		if err != nil {
			return nil, fmt.Errorf("the encryption key: %w", err)
		}
		text = string(raw)
	}
	key, err := secret.ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("the encryption key: %w", err)
	}
	return secret.NewSealer(key)
}

func (m *storeMode) sites(c *cli.Context) ([]*site, error) {
	var out []*site
	for page := (certctl.Page{Limit: 500}); ; {
		var rows *certctl.Result[certctl.Responder]
		err := m.store.View(c.Context, func(ctx context.Context, r certctl.Reader) (err error) {
			rows, err = r.Responders().List(ctx, certctl.ResponderFilter{}, page)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, row := range rows.Items {
			s, err := m.site(c, row)
			if err != nil {
				return nil, fmt.Errorf("issuer %s: %w", row.IssuerID, err)
			}
			out = append(out, s)
		}
		if page.Cursor = rows.Next; page.Cursor == "" {
			break
		}
	}
	return out, nil
}

// keyIDs are the CA keys that have a responder certificate, in order.
func (m *storeMode) keyIDs(ctx context.Context) (ids []string, err error) {
	err = m.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		ids = nil
		page, err := r.Responders().List(ctx, certctl.ResponderFilter{}, certctl.Page{Limit: 500})
		if err != nil {
			return err
		}
		for _, row := range page.Items {
			ids = append(ids, row.IssuerKeyID)
		}
		return nil
	})
	slices.Sort(ids)
	return ids, err
}

func (m *storeMode) site(c *cli.Context, row *certctl.Responder) (*site, error) {
	certs, err := chain.Certificates([]byte(row.CAPEM))
	if err != nil {
		return nil, fmt.Errorf("the CA certificate in the database: %w; start a server of this version once", err)
	}
	ca := certs[0]
	if _, err := m.issuer(row, ca); err != nil {
		return nil, err
	}
	id, keyID := row.IssuerID, row.IssuerKeyID
	answers, err := ocsp.New(ocsp.Options{
		Source: m.store, Now: time.Now, Validity: c.Duration("validity"), CacheSize: c.Int64("cache-mib") << 20, Archive: true,
		Issuers: func(ctx context.Context) ([]*ocsp.Issuer, error) { // the server rotates it
			var now *certctl.Responder
			err := m.store.View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
				now, err = r.Responders().Get(ctx, keyID)
				return err
			})
			if err != nil {
				return nil, err
			}
			i, err := m.issuer(now, ca)
			if err != nil {
				return nil, err
			}
			return []*ocsp.Issuer{i}, nil
		},
	})
	if err != nil {
		return nil, err
	}
	return &site{
		name: id, ca: ca, answers: answers,
		crl: func(ctx context.Context, of responder.CRLID) (*responder.CRL, error) {
			return m.crl(ctx, certctl.CRLID(keyID, of.Shard, of.Delta))
		},
		state: func() state { return m.state(c.Context, keyID, answers) },
	}, nil
}

// issuer is who signs: the server's responder, or one that was given.
func (m *storeMode) issuer(row *certctl.Responder, ca *x509.Certificate) (*ocsp.Issuer, error) {
	if given, ok := m.given[row.IssuerID]; ok && given.Key != "" {
		cert, key, err := readPair(given)
		if err != nil {
			return nil, err
		}
		return ocsp.NewIssuer(ocsp.Credentials{CA: ca, Cert: cert, Signer: key})
	}
	if m.sealer == nil {
		return nil, fmt.Errorf("%w: give the server's encryption key (CERTCTL_CONFIG_ENCRYPTION_KEY, --encryption-key-file), or a responder certificate and key in --config", errUsage)
	}
	keyPEM, err := m.sealer.Open("responders/"+row.IssuerKeyID+"/"+row.Serial, row.SealedKey)
	if err != nil {
		return nil, err
	}
	key, err := keys.ParsePEM(keyPEM)
	if err != nil {
		return nil, err
	}
	certs, err := chain.Certificates([]byte(row.CertPEM))
	if err != nil {
		return nil, err
	}
	return ocsp.NewIssuer(ocsp.Credentials{CA: ca, Cert: certs[0], Signer: key})
}

// crl is the stored list; its octets are read once.
func (m *storeMode) crl(ctx context.Context, id string) (*responder.CRL, error) {
	row, err := m.stored(ctx, id)
	if err != nil {
		return nil, err
	}
	return &responder.CRL{DER: row.DER, Number: big.NewInt(row.Number), ThisUpdate: row.ThisUpdate, NextUpdate: row.NextUpdate}, nil
}

func (m *storeMode) stored(ctx context.Context, id string) (row *certctl.CRL, err error) {
	err = m.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		rows, err := r.CRLs().List(ctx, certctl.CRLFilter{IDs: []string{id}, WithoutDER: true}, certctl.Page{Limit: 1})
		if err != nil {
			return err
		}
		if len(rows.Items) == 0 {
			return fmt.Errorf("%w: no such CRL", revocation.ErrUnknownIssuer)
		}
		if known, ok := m.lists.Load(id); ok && known.(*certctl.CRL).Number == rows.Items[0].Number {
			row = known.(*certctl.CRL)
			return nil
		}
		row, err = r.CRLs().Get(ctx, id)
		return err
	})
	if err != nil { // what was read before is the best there is
		if known, ok := m.lists.Load(id); ok && !errors.Is(err, revocation.ErrUnknownIssuer) {
			return known.(*certctl.CRL), nil
		}
		return nil, err
	}
	m.lists.Store(id, row)
	return row, nil
}

func (m *storeMode) state(ctx context.Context, keyID string, answers *ocsp.Responder) state {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out := state{problem: answers.Health().Follow}
	if err := m.store.Ping(ctx); err != nil {
		out.problem = fmt.Errorf("the database does not answer; what is kept is served until it ends: %w", err)
		return out
	}
	row, err := m.stored(ctx, keyID)
	switch {
	case errors.Is(err, revocation.ErrUnknownIssuer): // no CRL was made yet
	case err != nil:
		out.problem = err
	default:
		out.number, out.thisUpdate, out.nextUpdate, out.entries = float64(row.Number), row.ThisUpdate, row.NextUpdate, row.RevokedCount
		if !time.Now().Before(row.NextUpdate) {
			out.problem = fmt.Errorf("the CRL ended at %s; does a certctl-server run?", row.NextUpdate.UTC().Format(time.RFC3339))
		}
	}
	return out
}
