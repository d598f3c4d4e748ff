package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"

	"github.com/certctl/certctl/certctl"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// op says what a statement did, for the meaning of a foreign key.
type op int

const (
	opRead op = iota
	opWrite
	opDelete
)

var pgKey = regexp.MustCompile(`Key \(([^)]*)\)=`)

// translate turns a driver's error into one of the domain's.
func translate(err error, entity string, o op) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return certctl.Errorf(certctl.ErrNotFound, "no such %s", entity)
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return translatePostgres(e, entity, o)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return translateSQLite(e, entity, o)
	}
	if away(err) {
		return fmt.Errorf("%w: the database cannot be reached: %w", certctl.ErrUnavailable, err)
	}
	return fmt.Errorf("store: %s: %w", entity, err)
}

func away(err error) bool {
	_, isNet := errors.AsType[net.Error](err)
	_, isConnect := errors.AsType[*pgconn.ConnectError](err)
	return isNet || isConnect || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, sql.ErrConnDone)
}

func translatePostgres(e *pgconn.PgError, entity string, o op) error {
	switch {
	case e.Code == "23505":
		columns := e.ConstraintName
		if m := pgKey.FindStringSubmatch(e.Detail); m != nil {
			columns = m[1]
		}
		return conflict(entity, columns, e)
	case e.Code == "23503":
		return dangling(entity, o, e)
	case e.Code == "40001", e.Code == "40P01", e.Code == "55P03":
		return &retryable{e}
	case strings.HasPrefix(e.Code, "08"), strings.HasPrefix(e.Code, "57P"), e.Code == "53300":
		return fmt.Errorf("%w: the database cannot be reached: %w", certctl.ErrUnavailable, e)
	case e.Code == "22021", e.Code == "22P05":
		return certctl.Errorf(certctl.ErrInvalid, "a text holds characters that cannot be stored (NUL or broken UTF-8)")
	default:
		return fmt.Errorf("store: %s: %w", entity, e)
	}
}

func translateSQLite(e *sqlite.Error, entity string, o op) error {
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		_, columns, _ := strings.Cut(e.Error(), "constraint failed: ")
		_, columns, _ = strings.Cut(columns, "constraint failed: ")
		columns, _, _ = strings.Cut(columns, " (")
		parts := strings.Split(columns, ", ")
		for i, p := range parts {
			_, parts[i], _ = strings.Cut(p, ".")
		}
		return conflict(entity, strings.Join(parts, ", "), e)
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return dangling(entity, o, e)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return &retryable{e}
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("the SQLite database is damaged; restore it from a backup: %w", e)
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY:
		return fmt.Errorf("%w: the database file cannot be used: %w", certctl.ErrUnavailable, e)
	default:
		return fmt.Errorf("store: %s: %w", entity, e)
	}
}

func conflict(entity, columns string, cause error) error {
	return &conflictError{fmt.Sprintf("another %s has the same %s already", entity, strings.TrimSpace(columns)), cause}
}

// conflictError keeps the driver's error for operators, and out of the text.
type conflictError struct {
	text  string
	cause error
}

func (e *conflictError) Error() string   { return e.text }
func (e *conflictError) Unwrap() []error { return []error{certctl.ErrConflict, e.cause} }

func dangling(entity string, o op, cause error) error {
	if o == opDelete {
		return &conflictError{fmt.Sprintf("the %s is still in use", entity), cause}
	}
	return fmt.Errorf("%w: the %s refers to something that does not exist: %w", certctl.ErrInvalid, entity, cause)
}

// retryable is a failure that another run of the transaction may not meet.
type retryable struct{ cause error }

func (e *retryable) Error() string {
	return "store: the transaction collided with others: " + e.cause.Error()
}
func (e *retryable) Unwrap() []error {
	return []error{certctl.ErrUnavailable, e.cause}
}

func again(err error) bool {
	_, collided := errors.AsType[*retryable](err)
	return collided || errors.Is(err, certctl.ErrStale)
}
