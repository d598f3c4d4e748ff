package store_test

import (
	"context"
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

// both runs a test on both databases.
func both(t *testing.T, f func(t *testing.T, s certctl.Store)) {
	t.Run("sqlite", func(t *testing.T) { f(t, storetest.Open(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, storetest.OpenPostgres(t)) })
}

func bg() context.Context { return context.Background() }
