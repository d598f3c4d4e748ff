package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/certctl/server"
	issuers "github.com/certctl/certctl/issuer/all"
	"github.com/certctl/certctl/store"
	targets "github.com/certctl/certctl/target/all"
	"github.com/urfave/cli/v2"
)

// instance is a control plane with the folder and the store that it runs on.
type instance struct {
	folder *folder
	store  *store.Store
	server *server.Server
	log    *slog.Logger
	admin  string // the admin key, when this start made or read its file
	fresh  bool   // the admin key was made by this start
}

func runServer(c *cli.Context) error {
	in, err := open(c)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := in.server.Start(c.Context); err != nil {
		return err
	}
	if err := in.publish(c.Context); err != nil {
		return errors.Join(err, in.server.Stop(context.WithoutCancel(c.Context)))
	}
	in.log.InfoContext(c.Context, "serving", "control_plane", in.server.URL(), "pki", in.server.PKIURL(), "ca_file", in.folder.path("ca.pem"))
	if in.fresh {
		in.log.InfoContext(c.Context, "an admin API key was made; it is in a file that only you can read", "file", in.folder.path("admin.key"))
	}
	<-c.Context.Done()
	return in.server.Stop(context.WithoutCancel(c.Context))
}

// open makes everything that a server needs, in an order in which a failure
// leaves nothing half done.
func open(c *cli.Context) (_ *instance, err error) {
	o, err := options(c)
	if err != nil {
		return nil, err
	}
	in := &instance{log: o.Logger}
	defer func() {
		if err != nil {
			in.Close()
		}
	}()
	if in.folder, err = openFolder(c.String("data-dir")); err != nil {
		return nil, err
	}
	if o.Sealer, err = in.sealer(c); err != nil {
		return nil, err
	}
	if err := in.folder.sameDatabase(c.String("database-url") != ""); err != nil {
		return nil, err
	}
	dsn := c.String("database-url")
	if dsn == "" {
		dsn = "sqlite:" + in.folder.path("certctl.db")
		o.Exclusive = true // the folder is locked
	}
	if o.Issuers, err = connector.NewRegistry(issuers.Kinds()...); err != nil {
		return nil, err
	}
	if o.Targets, err = connector.NewRegistry(targets.Kinds()...); err != nil {
		return nil, err
	}
	openCtx, cancel := context.WithTimeout(c.Context, time.Minute)
	defer cancel()
	o.Now = time.Now
	in.store, err = store.Open(openCtx, store.Options{DSN: dsn, Now: o.Now, Logger: o.Logger, MaxConns: c.Int("database-max-conns")})
	if err != nil {
		return nil, err
	}
	o.Store, o.Revocations = in.store, in.store
	if err := in.adminKey(openCtx, &o); err != nil {
		return nil, err
	}
	in.server, err = server.New(o)
	return in, err
}

// Close ends what open began; the server has been stopped by then.
func (in *instance) Close() {
	if in.store != nil {
		in.store.Close()
	}
	if in.folder != nil {
		in.folder.Close()
	}
}

// sealer finds the key that seals secrets at rest. Several servers on one
// Postgres must share it, so there it is never made silently.
func (in *instance) sealer(c *cli.Context) (*secret.Sealer, error) {
	if text := c.String("encryption-key"); text != "" {
		key, err := secret.ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("CERTCTL_CONFIG_ENCRYPTION_KEY: %w", err)
		}
		return secret.NewSealer(key)
	}
	path := c.String("encryption-key-file")
	if path == "" {
		if c.String("database-url") != "" {
			return nil, errors.New("with Postgres, set CERTCTL_CONFIG_ENCRYPTION_KEY (or --encryption-key-file): it seals secrets in the database, and all servers share it; make one with: openssl rand -hex 32")
		}
		path = in.folder.path("encryption.key")
		if in.folder.has("certctl.db") && !in.folder.has("encryption.key") {
			return nil, fmt.Errorf("%s is missing, and secrets in the database were sealed with it; restore it from a backup", path)
		}
	}
	key, err := secret.LoadOrCreateKeyFile(path)
	if err != nil {
		return nil, err
	}
	return secret.NewSealer(key)
}

// adminKey sees to it that somebody can sign in: without any admin key, one is
// made and written to a file for its owner's eyes.
func (in *instance) adminKey(ctx context.Context, o *server.Options) error {
	path := in.folder.path("admin.key")
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		in.admin = strings.TrimSpace(string(text))
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the admin key cannot be read: %w", err)
	default:
		known := int64(0)
		valid := false
		err := in.store.View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
			known, err = r.APIKeys().Count(ctx, certctl.APIKeyFilter{Roles: []string{string(certctl.RoleAdmin)}, Revoked: &valid})
			return err
		})
		if err != nil {
			return err
		}
		if known > 0 || len(o.APIKeys) > 0 {
			return nil
		}
		in.admin, _ = secret.NewToken("cck")
		in.fresh = true
		if err := writeFile(path, []byte(in.admin+"\n"), 0o600); err != nil {
			return fmt.Errorf("the admin key cannot be written: %w", err)
		}
	}
	var b [3]byte
	rand.Read(b[:])
	name := "admin"
	if in.fresh {
		name += "-" + hex.EncodeToString(b[:])
	}
	known, err := in.knows(ctx, in.admin)
	if err != nil || known {
		return err
	}
	o.APIKeys = append(o.APIKeys, server.APIKey{Name: name, Role: certctl.RoleAdmin, Token: secret.New(in.admin)})
	return nil
}

// knows reports whether the database has the key, even a revoked one: a revoked
// key must not come back because its file is still there.
func (in *instance) knows(ctx context.Context, token string) (bool, error) {
	var n int64
	err := in.store.View(ctx, func(ctx context.Context, r certctl.Reader) (err error) {
		n, err = r.APIKeys().Count(ctx, certctl.APIKeyFilter{Hash: secret.HashToken(token)})
		return err
	})
	return n > 0, err
}

// publish writes what clients on this machine need to trust and find the
// server.
func (in *instance) publish(ctx context.Context) error {
	ca, err := in.server.Engine().IssuerCertificates(ctx, server.LocalIssuerID)
	if err != nil {
		return err
	}
	if err := writeFile(in.folder.path("ca.pem"), []byte(ca), 0o644); err != nil {
		return err
	}
	kind := databaseSQLite
	if !in.folder.has("certctl.db") {
		kind = databasePostgres
	}
	if err := writeFile(in.folder.path("database"), []byte(kind), 0o644); err != nil {
		return err
	}
	return writeFile(in.folder.path("server.url"), []byte(in.server.URL()+"\n"), 0o644)
}
