package engine_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/issuer/local"
	"github.com/certctl/certctl/store"
	"github.com/certctl/certctl/store/storetest"
)

// childDSN names the database of a test binary that is to run an engine until
// it is killed.
const childDSN = "CERTCTL_TEST_ENGINE_DSN"

func TestMain(m *testing.M) {
	if dsn := os.Getenv(childDSN); dsn != "" {
		fmt.Fprintln(os.Stderr, runChild(dsn))
		os.Exit(1)
	}
	code := m.Run()
	storetest.StopPostgres()
	os.Exit(code)
}

func runChild(dsn string) error {
	st, err := store.Open(context.Background(), store.Options{DSN: dsn, Now: time.Now})
	if err != nil {
		return err
	}
	issuers, err := connector.NewRegistry(local.Kind())
	if err != nil {
		return err
	}
	key, err := secret.ParseKey(testKey)
	if err != nil {
		return err
	}
	sealer, err := secret.NewSealer(key)
	if err != nil {
		return err
	}
	e, err := engine.New(engine.Options{
		Store: st, Revocations: st, Issuers: issuers, Sealer: sealer, Now: time.Now, Timing: engine.Timing{JobPoll: 20 * time.Millisecond},
	})
	if err != nil {
		return err
	}
	return e.Run(context.Background())
}

// TestBulkRevocationSurvivesAKill kills the process (SIGKILL) in the middle:
// the next one goes on when the lease of the dead one ends.
func TestBulkRevocationSurvivesAKill(t *testing.T) {
	const n = 2000
	dsn := filepath.Join(t.TempDir(), "killed.db")
	c := &clock{}
	st, err := store.Open(t.Context(), store.Options{DSN: dsn, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	s := newSetupOn(t, c, st)
	s.fleet(n)
	b, err := s.BulkRevoke(t.Context(), engine.BulkRevocation{Criteria: certctl.BulkCriteria{IssuerID: "iss-local"}})
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), childDSN+"="+dsn)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.bulk(b.ID, func(b *certctl.BulkRevocation) bool { return b.Revoked > 0 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	left := s.bulk(b.ID, func(*certctl.BulkRevocation) bool { return true })
	if completed(left) || left.Revoked == 0 {
		t.Fatalf("it was not killed in the middle: %+v", left)
	}
	c.Forward(time.Minute) // past the lease
	start(t, s.Engine)
	if b = s.bulk(b.ID, completed); b.Revoked != n || b.Failed != 0 || b.Skipped != 0 {
		t.Errorf("%+v", b)
	}
	s.revokedOnce(n)
}
