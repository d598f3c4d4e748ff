package store_test

import (
	"context"
	"database/sql/driver"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/store"
	"github.com/certctl/certctl/store/storetest"
)

// slowToClose has connections that take a moment to close when they have read,
// and counts those that are open.
type slowToClose struct {
	driver.Connector
	open *atomic.Int64
}

func (c slowToClose) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	c.open.Add(1)
	return &slowConn{Conn: conn, open: c.open}, nil
}

type slowConn struct {
	driver.Conn
	open *atomic.Int64
	read bool
}

func (c *slowConn) Close() error {
	if c.read {
		<-time.After(50 * time.Millisecond)
	}
	defer c.open.Add(-1)
	return c.Conn.Close()
}

func (c *slowConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	c.read = c.read || o.ReadOnly
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}

func (c *slowConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *slowConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

// TestCloseLeavesOneFile: when Close returns, no connection is open and
// everything is in the file, also when reads were under way whose context had
// just ended. A copy of the file is a backup then.
func TestCloseLeavesOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "certctl.db")
	var open atomic.Int64
	s, err := store.Open(t.Context(), store.Options{
		DSN: path, Now: time.Now, Wrap: func(c driver.Connector) driver.Connector { return slowToClose{c, &open} },
	})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Update(t, s, func(ctx context.Context, tx certctl.Tx) error {
		_, err := tx.Leases().Take(ctx, "a", "b", 0, time.Minute)
		return err
	})
	const readers = 6
	ctx, cancel := context.WithCancel(t.Context())
	done, reading := make(chan struct{}, readers), make(chan struct{}, readers)
	for range readers {
		go func() {
			_ = s.View(ctx, func(ctx context.Context, r certctl.Reader) error {
				reading <- struct{}{}
				<-ctx.Done()
				<-time.After(10 * time.Millisecond) // whoever else waits for ctx comes first
				return ctx.Err()
			})
			done <- struct{}{}
		}()
	}
	for range readers {
		<-reading
	}
	cancel()
	for range readers {
		<-done
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := open.Load(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
	if left, err := os.Stat(path + "-wal"); err == nil {
		t.Errorf("%d octets are not in the file", left.Size())
	}
}
