package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/migrations"
	"github.com/uptrace/bun"
)

// migration is one numbered step of the schema.
type migration struct {
	version  int
	name     string
	checksum string // hex SHA-256 of the up file
	up       string
}

func (s *Store) dialect() string {
	if s.postgres {
		return "postgres"
	}
	return "sqlite"
}

// steps reads the embedded migrations of a dialect, in order.
func steps(dialect string) ([]migration, error) {
	files, err := fs.Glob(migrations.FS, dialect+"/*.up.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var out []migration
	for i, path := range files {
		text, err := migrations.FS.ReadFile(path)
		if err != nil {
			return nil, err
		}
		base := strings.TrimSuffix(strings.TrimPrefix(path, dialect+"/"), ".up.sql")
		number, name, _ := strings.Cut(base, "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("store: migration %s is not number %d", path, i+1)
		}
		sum := sha256.Sum256(text)
		out = append(out, migration{version, name, hex.EncodeToString(sum[:]), string(text)})
	}
	return out, nil
}

// migrate brings the schema up to date. Each step and its record are one
// transaction, and the lock is one that the database gives back by itself, so
// that a crash leaves a schema that the next start can go on from.
func (s *Store) migrate(ctx context.Context, checkOnly bool) error {
	all, err := steps(s.dialect())
	if err != nil {
		return err
	}
	if checkOnly {
		return s.checkSchema(ctx, all)
	}
	for {
		done, err := s.migrateOne(ctx, all)
		if err != nil || done {
			return err
		}
	}
}

func (s *Store) checkSchema(ctx context.Context, all []migration) error {
	applied, err := s.applied(ctx, s.read)
	if err != nil {
		return err
	}
	next, err := compare(all, applied)
	if err == nil && next < len(all) {
		return fmt.Errorf("the database schema is version %d and this program needs %d; start a certctl-server of this version on it first", next, len(all))
	}
	return err
}

// migrateOne applies the next step, if there is one.
func (s *Store) migrateOne(ctx context.Context, all []migration) (done bool, err error) {
	b, end, err := s.begin(ctx, s.db, nil)
	if err != nil {
		return false, translate(err, "schema", opWrite)
	}
	defer end()
	if s.postgres {
		// Held by the transaction: it ends with it, however that ends.
		if _, err := b.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('certctl:migrate', 0))"); err != nil {
			return false, translate(err, "schema", opWrite)
		}
	}
	if _, err := b.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TEXT NOT NULL)"); err != nil {
		return false, translate(err, "schema", opWrite)
	}
	applied, err := s.applied(ctx, b)
	if err != nil {
		return false, err
	}
	next, err := compare(all, applied)
	if err != nil {
		return false, err
	}
	if next == len(all) {
		return true, translate(b.Commit(), "schema", opWrite)
	}
	m := all[next]
	// Without arguments, so that the driver takes several statements at once.
	if _, err := b.Tx.ExecContext(ctx, m.up); err != nil {
		return false, fmt.Errorf("migration %04d_%s failed and was rolled back: %w", m.version, m.name, translate(err, "schema", opWrite))
	}
	_, err = b.ExecContext(ctx, "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
		m.version, m.name, m.checksum, s.instant().Format(time.RFC3339))
	if err != nil {
		return false, translate(err, "schema", opWrite)
	}
	return false, translate(b.Commit(), "schema", opWrite)
}

type appliedStep struct {
	Version  int
	Name     string
	Checksum string
}

func (s *Store) applied(ctx context.Context, db bun.IDB) ([]appliedStep, error) {
	var rows []appliedStep
	err := db.NewRaw("SELECT version, name, checksum FROM schema_migrations ORDER BY version").Scan(ctx, &rows)
	return rows, translate(err, "schema", opRead)
}

// compare returns the index of the first step that is not applied yet; an
// error for a database that was made by other steps, or by more of them.
func compare(all []migration, applied []appliedStep) (int, error) {
	for i, a := range applied {
		switch {
		case a.Version != i+1:
			return 0, certctl.Errorf(certctl.ErrConflict, "the database lacks migration %d, though %d is there; restore it from a backup", i+1, a.Version)
		case i >= len(all):
			return 0, certctl.Errorf(certctl.ErrConflict, "the database schema is version %d, newer than this program knows (%d); use a newer certctl", applied[len(applied)-1].Version, len(all))
		case a.Checksum != all[i].checksum:
			return 0, certctl.Errorf(certctl.ErrConflict, "migration %04d_%s was applied to the database in another form than this program has; use the certctl that made it", a.Version, a.Name)
		}
	}
	return len(applied), nil
}
