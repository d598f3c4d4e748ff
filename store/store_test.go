package store_test

import (
	"os"
	"testing"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/store/storetest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	storetest.StopPostgres()
	os.Exit(code)
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) certctl.Store { return storetest.Open(t) })
}

func TestPostgres(t *testing.T) {
	storetest.Run(t, func(t *testing.T) certctl.Store { return storetest.OpenPostgres(t) })
}
