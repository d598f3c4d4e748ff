package store_test

import (
	"cmp"
	"context"
	"database/sql"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/migrations"
	"github.com/certctl/certctl/store"
	"github.com/certctl/certctl/store/storetest"
	gocmp "github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// column of a table, in words that both dialects share.
type column struct {
	Table, Name string
	NotNull     bool
}

type index struct {
	Table, Name string
	Unique      bool
	Columns     string
	Where       string
}

func query(t *testing.T, db *sql.DB, q string, scan func(*sql.Rows) error) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

func openDB(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func open(t *testing.T, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{DSN: dsn, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// loose takes away how the dialects write a predicate.
func loose(s string) string {
	s = regexp.MustCompile(`::\w+(\[\])?`).ReplaceAllString(s, "")
	s = strings.NewReplacer("(", "", ")", "", "ARRAY", "", "[", "", "]", "", `"`, "", "= ANY", "IN").Replace(s)
	return strings.Join(strings.Fields(s), " ")
}

func sqliteSchema(t *testing.T, db *sql.DB) (columns []column, indexes []index) {
	query(t, db, `SELECT m.name, c.name, c."notnull" OR c.pk > 0 FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`, func(r *sql.Rows) error {
		var c column
		columns = append(columns, c)
		last := &columns[len(columns)-1]
		return r.Scan(&last.Table, &last.Name, &last.NotNull)
	})
	query(t, db, `SELECT m.tbl_name, m.name, l."unique", m.sql FROM sqlite_master m JOIN pragma_index_list(m.tbl_name) l ON l.name = m.name WHERE m.type = 'index' AND m.sql IS NOT NULL`, func(r *sql.Rows) error {
		var i index
		var text string
		if err := r.Scan(&i.Table, &i.Name, &i.Unique, &text); err != nil {
			return err
		}
		i.parse(text)
		indexes = append(indexes, i)
		return nil
	})
	return columns, indexes
}

func postgresSchema(t *testing.T, db *sql.DB) (columns []column, indexes []index) {
	query(t, db, `SELECT table_name, column_name, is_nullable = 'NO' FROM information_schema.columns WHERE table_schema = 'public' AND column_name <> 'txid'`, func(r *sql.Rows) error {
		var c column
		columns = append(columns, c)
		last := &columns[len(columns)-1]
		return r.Scan(&last.Table, &last.Name, &last.NotNull)
	})
	query(t, db, `SELECT t.relname, c.relname, i.indisunique, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
		JOIN pg_namespace n ON n.oid = t.relnamespace WHERE n.nspname = 'public' AND NOT i.indisprimary AND c.relname <> 'envelopes_order'`, func(r *sql.Rows) error {
		var i index
		var text string
		if err := r.Scan(&i.Table, &i.Name, &i.Unique, &text); err != nil {
			return err
		}
		i.parse(text)
		indexes = append(indexes, i)
		return nil
	})
	return columns, indexes
}

// parse reads columns and predicate of a CREATE INDEX.
func (i *index) parse(text string) {
	head, where, _ := strings.Cut(text, " WHERE ")
	_, columns, _ := strings.Cut(head, "(")
	i.Columns, i.Where = loose(columns), loose(where)
}

// TestDialectsEndAlike compares what the migrations of both dialects leave.
// What Postgres alone has is the order of events by transaction.
func TestDialectsEndAlike(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	open(t, path).Close()
	dsn := storetest.PostgresDSN(t)
	open(t, dsn).Close()
	lc, li := sqliteSchema(t, openDB(t, "sqlite", "file:"+path))
	pc, pi := postgresSchema(t, openDB(t, "pgx", dsn))
	byColumn := func(a, b column) int { return cmp.Compare(a.Table+"."+a.Name, b.Table+"."+b.Name) }
	byIndex := func(a, b index) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(lc, byColumn)
	slices.SortFunc(pc, byColumn)
	slices.SortFunc(li, byIndex)
	slices.SortFunc(pi, byIndex)
	if len(lc) < 200 || len(li) < 30 {
		t.Fatalf("only %d columns and %d indexes were found", len(lc), len(li))
	}
	if d := gocmp.Diff(lc, pc); d != "" {
		t.Errorf("columns, SQLite against Postgres: %s", d)
	}
	if d := gocmp.Diff(li, pi); d != "" {
		t.Errorf("indexes, SQLite against Postgres: %s", d)
	}
}

// each runs a test on an empty database of both dialects.
func each(t *testing.T, f func(t *testing.T, driver, dsn, dialect string)) {
	t.Run("sqlite", func(t *testing.T) { f(t, "sqlite", filepath.Join(t.TempDir(), "a.db"), "sqlite") })
	t.Run("postgres", func(t *testing.T) { f(t, "pgx", storetest.PostgresDSN(t), "postgres") })
}

func TestUpDownUp(t *testing.T) {
	each(t, func(t *testing.T, driver, dsn, dialect string) {
		open(t, dsn).Close()
		db := openDB(t, driver, dsn)
		files, err := fs.Glob(migrations.FS, dialect+"/*.down.sql")
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		slices.Reverse(files)
		for _, path := range files {
			text, err := migrations.FS.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), string(text)); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
		left := 0
		q := `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'schema_migrations'`
		if dialect == "postgres" {
			q = `SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'schema_migrations'`
		}
		query(t, db, q, func(r *sql.Rows) error { return r.Scan(&left) })
		if left != 0 {
			t.Errorf("%d tables are left after going down", left)
		}
		if _, err := db.ExecContext(t.Context(), "DELETE FROM schema_migrations"); err != nil {
			t.Fatal(err)
		}
		open(t, dsn).Close()
	})
}

// TestForeignSchemas: a database that this program did not make is refused, in
// one sentence, and left alone.
func TestForeignSchemas(t *testing.T) {
	for name, c := range map[string]struct{ statement, want string }{
		"newer":   {"INSERT INTO schema_migrations (version, name, checksum, applied_at) SELECT MAX(version) + 1, 'next', 'x', 'now' FROM schema_migrations", "newer than this program knows"},
		"changed": {"UPDATE schema_migrations SET checksum = 'other'", "in another form"},
		"gap":     {"UPDATE schema_migrations SET version = 77 WHERE version = 1", "lacks migration 1"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, driver, dsn, _ string) {
				open(t, dsn).Close()
				if _, err := openDB(t, driver, dsn).ExecContext(t.Context(), c.statement); err != nil {
					t.Fatal(err)
				}
				for _, skip := range []bool{false, true} {
					s, err := store.Open(t.Context(), store.Options{DSN: dsn, Now: time.Now, SkipMigrations: skip})
					if err == nil {
						s.Close()
						t.Fatal("opened")
					}
					if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
						t.Errorf("%v, want %q", err, c.want)
					}
				}
			})
		})
	}
}

// TestMigrationIsInterrupted lets the n-th statement of a first start fail, for
// all n: the next start makes the schema.
func TestMigrationIsInterrupted(t *testing.T) {
	each(t, func(t *testing.T, _, dsn, dialect string) {
		for n := 1; ; n++ {
			for _, after := range []bool{false, true} {
				path := dsn
				if dialect == "sqlite" {
					path = filepath.Join(t.TempDir(), "a.db")
				} else if n > 1 || after {
					path = storetest.PostgresDSN(t)
				}
				f := &storetest.Faults{}
				f.Arm(n, after)
				s, err := store.Open(t.Context(), store.Options{DSN: path, Now: time.Now, Wrap: f.Wrap})
				if err == nil {
					s.Close()
				}
				if f.Hit() == (err == nil) {
					t.Fatalf("operation %d: hit %v, error %v", n, f.Hit(), err)
				}
				open(t, path).Close()
				if !f.Hit() {
					if n < 5 {
						t.Fatalf("a first start has only %d operations", n)
					}
					return
				}
			}
		}
	})
}

// TestManyStartAtOnce: replicas that start on an empty database wait for each
// other.
func TestManyStartAtOnce(t *testing.T) {
	dsn := storetest.PostgresDSN(t)
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			s, err := store.Open(context.WithoutCancel(t.Context()), store.Options{DSN: dsn, Now: time.Now, MaxConns: 2})
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	group.Wait()
}
