package store

import (
	"context"
	"database/sql/driver"

	"modernc.org/sqlite"
)

func wrap(o Options, c driver.Connector) driver.Connector {
	if o.Wrap != nil {
		return o.Wrap(c)
	}
	return c
}

// sqliteDSN opens connections of one DSN.
type sqliteDSN struct {
	driver *sqlite.Driver
	dsn    string
}

func (c sqliteDSN) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c sqliteDSN) Driver() driver.Driver                        { return c.driver }
