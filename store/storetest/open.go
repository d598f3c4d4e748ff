// Package storetest is the contract of certctl.Store as a suite, and the
// openers that tests of other packages use: a real SQLite file, or a real
// Postgres.
package storetest

import (
	"context"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certctl/certctl/internal/peer"
	"github.com/certctl/certctl/store"
	"github.com/jackc/pgx/v5"
)

// Option changes how a store is opened.
type Option func(*store.Options)

// WithNow sets the clock.
func WithNow(now func() time.Time) Option { return func(o *store.Options) { o.Now = now } }

// WithWrap puts a wrapper around the driver.
func WithWrap(w func(driver.Connector) driver.Connector) Option {
	return func(o *store.Options) { o.Wrap = w }
}

// Open returns a new SQLite store in a temporary folder.
func Open(t testing.TB, options ...Option) *store.Store {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "test.db"), options)
}

func open(t testing.TB, dsn string, options []Option) *store.Store {
	t.Helper()
	o := store.Options{DSN: dsn, Now: time.Now}
	for _, set := range options {
		set(&o)
	}
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// cluster is the one Postgres of a test binary; it dies with it.
var cluster = sync.OnceValues(peer.StartPostgres)

// StopPostgres ends the cluster, if one was started; for TestMain.
func StopPostgres() {
	if used.Load() {
		if p, err := cluster(); err == nil {
			p.Stop()
		}
	}
}

var (
	used   atomic.Bool
	number atomic.Int64
)

// PostgresDSN returns the URL of a new, empty database.
func PostgresDSN(t testing.TB) string {
	t.Helper()
	peer.Need(t, "initdb")
	used.Store(true)
	p, err := cluster()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("test_%d", number.Add(1))
	sql(t, p.DSN("postgres"), "CREATE DATABASE "+name)
	t.Cleanup(func() { sql(t, p.DSN("postgres"), "DROP DATABASE "+name+" WITH (FORCE)") })
	return p.DSN(name)
}

func sql(t testing.TB, dsn, statement string) {
	t.Helper()
	// Not t.Context(): it has ended when a cleanup drops the database.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, statement); err != nil {
		t.Fatal(err)
	}
}

// OpenPostgres returns a store on a new database of a real Postgres.
func OpenPostgres(t testing.TB, options ...Option) *store.Store {
	t.Helper()
	return open(t, PostgresDSN(t), options)
}
