// Package store keeps certctl's data in Postgres or in SQLite, by one set of
// statements. It implements certctl.Store and revocation.Source.
//
//	st, err := store.Open(ctx, store.Options{DSN: "sqlite:certctl.db", Now: time.Now})
//	defer st.Close()
//
// Postgres is what several servers share; SQLite is one file for one server.
// The contract is the suite in store/storetest, which runs on both.
package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/revocation"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"
)

var (
	_ certctl.Store     = (*Store)(nil)
	_ revocation.Source = (*Store)(nil)
)

// Options configure Open.
type Options struct {
	// DSN is a postgres:// URL, or "sqlite:PATH", or a bare path. Required.
	DSN string
	// Now is the clock of transactions. Required.
	Now func() time.Time
	// Logger is silent when nil.
	Logger *slog.Logger
	// MaxConns bounds the connections to Postgres; 25 when 0. SQLite has one
	// writer and 8 readers.
	MaxConns int
	// SkipMigrations leaves the schema as it is: for readers that may not
	// write. A schema that is too old is an error then.
	SkipMigrations bool
	// Wrap, when set, is given the connector of the driver, and its answer is
	// used: for tests that make statements fail.
	Wrap func(driver.Connector) driver.Connector
}

// Store is an open database. Safe for concurrent use.
type Store struct {
	db       *bun.DB // writes
	read     *bun.DB // reads; the same on Postgres
	postgres bool
	writer   chan struct{} // SQLite has one writer at a time; nil on Postgres
	now      func() time.Time
	log      *slog.Logger
	hub      *hub
}

// Open connects, and brings the schema up to date.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.DSN == "" || o.Now == nil {
		return nil, errors.New("store: Options lack DSN or Now")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{now: o.Now, log: o.Logger}
	var err error
	if strings.HasPrefix(o.DSN, "postgres://") || strings.HasPrefix(o.DSN, "postgresql://") {
		err = s.openPostgres(o)
	} else {
		err = s.openSQLite(o)
	}
	if err != nil {
		return nil, err
	}
	if err := s.migrate(ctx, o.SkipMigrations); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) openPostgres(o Options) error {
	cfg, err := pgx.ParseConfig(o.DSN)
	if err != nil {
		return errors.New("store: the Postgres URL cannot be read; it is of the form postgres://user:password@host:5432/database") // without err, which quotes it
	}
	// bun writes arguments into the SQL text, so prepared statements never hit;
	// exec mode is the fastest then, and works behind PgBouncer.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	cfg.RuntimeParams["timezone"] = "UTC"
	cfg.RuntimeParams["application_name"] = "certctl"
	db := sql.OpenDB(wrap(o, stdlib.GetConnector(*cfg)))
	n := o.MaxConns
	if n <= 0 {
		n = 25
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxLifetime(30 * time.Minute)
	s.db = bun.NewDB(db, pgdialect.New())
	s.read, s.postgres = s.db, true
	s.hub = newHub(s.log, cfg)
	return nil
}

func (s *Store) openSQLite(o Options) error {
	path := strings.TrimPrefix(o.DSN, "sqlite:")
	if path == "" || strings.ContainsAny(path, "?#") {
		return fmt.Errorf("store: %q is no path for a SQLite database", path)
	}
	// Only its owner reads a database; SQLite gives -wal and -shm the same mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("%w: the database file cannot be opened: %w", certctl.ErrUnavailable, err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	// Pragmas go into the DSN so that every pooled connection has them.
	// _txlock=immediate: a transaction that reads and then writes would
	// otherwise fail half of the time under contention.
	const pragmas = "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
	open := func(conns int) *bun.DB {
		db := sql.OpenDB(wrap(o, sqliteDSN{&sqlite.Driver{}, "file:" + path + pragmas}))
		db.SetMaxOpenConns(conns)
		db.SetMaxIdleConns(conns)
		return bun.NewDB(db, sqlitedialect.New())
	}
	s.db, s.read = open(1), open(8)
	s.writer = make(chan struct{}, 1)
	s.hub = newHub(s.log, nil)
	return nil
}

// Close ends watchers and connections.
func (s *Store) Close() error {
	s.hub.close()
	err := s.db.Close()
	if s.read != s.db {
		err = errors.Join(err, s.read.Close())
	}
	return err
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	return translate(s.read.PingContext(ctx), "", opRead)
}

// Watch implements certctl.Store.
func (s *Store) Watch(ctx context.Context, topics ...string) (<-chan struct{}, error) {
	return s.hub.watch(ctx, topics)
}

func (s *Store) instant() time.Time { return stamp(s.now()) }

// begin starts a transaction. On SQLite it ends when end returns, and not at
// some moment after ctx did: database/sql rolls back behind its caller's back
// then, and a Store that is closed would have its file open, with changes that
// are not yet in it. Statements still end with the context that they are given.
// On Postgres the context must end what waits for a server that does not answer.
func (s *Store) begin(ctx context.Context, db *bun.DB, o *sql.TxOptions) (tx bun.Tx, end func(), err error) {
	if s.postgres {
		tx, err = db.BeginTx(ctx, o)
		return tx, func() { _ = tx.Rollback() }, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return bun.Tx{}, nil, err
	}
	tx, err = conn.BeginTx(context.WithoutCancel(ctx), o)
	if err != nil {
		_ = conn.Close()
		return bun.Tx{}, nil, err
	}
	return tx, func() {
		_ = tx.Rollback()
		_ = conn.Close()
	}, nil
}

// View implements certctl.Store.
func (s *Store) View(ctx context.Context, f func(context.Context, certctl.Reader) error) error {
	o := &sql.TxOptions{ReadOnly: true}
	if s.postgres {
		o.Isolation = sql.LevelRepeatableRead // one snapshot for all statements
	}
	b, end, err := s.begin(ctx, s.read, o)
	if err != nil {
		return translate(err, "", opRead)
	}
	defer end()
	return f(ctx, reader{&tx{s: s, db: b, now: s.instant()}})
}

// attempts of Update, as certctl.Store promises.
const attempts = 10

// Update implements certctl.Store.
func (s *Store) Update(ctx context.Context, f func(context.Context, certctl.Tx) error) error {
	for i := 1; ; i++ {
		err := s.update(ctx, f)
		if err == nil || i == attempts || !again(err) {
			return err
		}
		pause := time.NewTimer(time.Duration(rand.Int64N(int64(i) * int64(5*time.Millisecond))))
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
	}
}

func (s *Store) update(ctx context.Context, f func(context.Context, certctl.Tx) error) error {
	if s.writer != nil {
		select {
		case s.writer <- struct{}{}:
			defer func() { <-s.writer }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b, end, err := s.begin(ctx, s.db, nil)
	if err != nil {
		return translate(err, "", opWrite)
	}
	defer end()
	t := &tx{s: s, db: b, now: s.instant()}
	if err := f(ctx, t); err != nil {
		return err
	}
	if s.postgres {
		for topic := range t.topics {
			if _, err := b.ExecContext(ctx, "SELECT pg_notify(?, ?)", channel, topic); err != nil {
				return translate(err, "", opWrite)
			}
		}
	}
	if err := b.Commit(); err != nil {
		return translate(err, "", opWrite)
	}
	s.hub.nudge(t.topics)
	return nil
}
