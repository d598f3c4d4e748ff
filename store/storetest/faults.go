package storetest

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
)

// ErrFault is what an injected failure is.
var ErrFault = errors.New("injected fault")

// Faults wraps a driver so that the n-th operation that changes something (a
// statement in a transaction, or a commit) fails, before or after its effect:
// the second finds the case "failed, yet committed", which no fake shows.
type Faults struct {
	mu    sync.Mutex
	at    int // 0: never
	after bool
	count int
	hit   bool
}

// Arm lets the n-th operation from now on fail; n 0 disarms.
func (f *Faults) Arm(n int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.after, f.count, f.hit = n, after, 0, false
}

// Hit reports whether the armed fault has happened.
func (f *Faults) Hit() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hit
}

// Wrap is for store.Options.Wrap.
func (f *Faults) Wrap(c driver.Connector) driver.Connector { return faultyConnector{c, f} }

// around runs an operation, or fails it.
func (f *Faults) around(do func() error) error {
	f.mu.Lock()
	f.count++
	now := f.at > 0 && f.count == f.at
	f.hit = f.hit || now
	after := f.after
	f.mu.Unlock()
	if now && !after {
		return ErrFault
	}
	err := do()
	if now && err == nil {
		return ErrFault
	}
	return err
}

type faultyConnector struct {
	driver.Connector
	f *Faults
}

func (c faultyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &faultyConn{conn, c.f}, nil
}

// faultyConn passes on what the drivers of this module offer.
type faultyConn struct {
	driver.Conn
	f *Faults
}

func (c *faultyConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	if err != nil || o.ReadOnly {
		return tx, err
	}
	return &faultyTx{tx, c.f}, nil
}

func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Result, err error) {
	err = c.f.around(func() error {
		r, err = c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
		return err
	})
	return r, err
}

func (c *faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Rows, err error) {
	err = c.f.around(func() error {
		r, err = c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
		return err
	})
	if err != nil && r != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, err
}

func (c *faultyConn) Ping(ctx context.Context) error {
	if p, ok := c.Conn.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

func (c *faultyConn) ResetSession(ctx context.Context) error {
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

type faultyTx struct {
	driver.Tx
	f *Faults
}

func (t *faultyTx) Commit() error {
	did := false
	err := t.f.around(func() error { did = true; return t.Tx.Commit() })
	if !did { // the database gave up: so does the connection's transaction
		return errors.Join(err, t.Tx.Rollback())
	}
	return err
}
