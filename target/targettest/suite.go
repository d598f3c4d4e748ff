package targettest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/certctl/certctl/target"
)

// Config tells the suite about a kind.
type Config struct {
	// Open makes a target at a place, which is a new folder for each test; the
	// same place may be opened again, as after a restart. The target serves
	// nothing at first, or what Open put there.
	Open func(t *testing.T, dir string) target.Target
	// NoInspector declares that the kind cannot tell what is in place.
	NoInspector bool
}

// Run is the contract of target.Target.
func Run(t *testing.T, c Config) {
	for name, f := range map[string]func(*testing.T, Config, *CA){
		"Deploy": testDeploy, "WrongKey": testWrongKey, "Expired": testExpired, "Cancelled": testCancelled,
		"StageAlone": testStageAlone, "Rollback": testRollback, "Resume": testResume, "Secrets": testSecrets, "Declared": testDeclared,
	} {
		t.Run(name, func(t *testing.T) { f(t, c, NewCA(t)) })
	}
}

// Options deploys with a journal in a folder of the test.
func Options(t testing.TB) target.Options {
	return target.Options{ID: "tgt-test", Journal: target.DirJournal(t.TempDir()), Prober: target.TLSProber{Now: time.Now}, Now: time.Now, ProbeFor: 5 * time.Second}
}

// Deploy must succeed.
func Deploy(t testing.TB, tgt target.Target, b *target.Bundle, o target.Options) *target.Result {
	t.Helper()
	r, err := target.Deploy(t.Context(), tgt, b, o)
	if err != nil {
		t.Fatalf("deploy: %v (%+v)", err, r)
	}
	return r
}

func current(t *testing.T, c Config, tgt target.Target) string {
	t.Helper()
	i, ok := tgt.(target.Inspector)
	if !ok {
		if !c.NoInspector {
			t.Fatal("the target is no Inspector, and the suite was not told")
		}
		return ""
	}
	cert, err := i.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if cert == nil {
		return ""
	}
	return cert.SerialNumber.Text(16)
}

func mustBe(t *testing.T, c Config, tgt target.Target, b *target.Bundle) {
	t.Helper()
	if c.NoInspector {
		return
	}
	if have, want := current(t, c, tgt), b.Leaf.SerialNumber.Text(16); have != want {
		t.Errorf("serial %q is in place, want %s", have, want)
	}
}

func testDeclared(t *testing.T, c Config, _ *CA) {
	if _, ok := c.Open(t, t.TempDir()).(target.Inspector); ok == c.NoInspector {
		t.Errorf("Inspector: %v, declared as missing: %v", ok, c.NoInspector)
	}
}

func testDeploy(t *testing.T, c Config, ca *CA) {
	dir := t.TempDir()
	tgt, o := c.Open(t, dir), Options(t)
	for range 2 {
		b := ca.Bundle(t)
		if r := Deploy(t, tgt, b, o); r.Outcome != target.Deployed {
			t.Fatalf("outcome %s", r.Outcome)
		}
		mustBe(t, c, tgt, b)
		mustBe(t, c, c.Open(t, dir), b)
		if r := Deploy(t, tgt, b, o); !c.NoInspector && r.Outcome != target.Unchanged {
			t.Errorf("the same again: %s", r.Outcome)
		}
	}
}

func refused(t *testing.T, c Config, ca *CA, bad *target.Bundle) {
	t.Helper()
	tgt, o := c.Open(t, t.TempDir()), Options(t)
	good := ca.Bundle(t)
	Deploy(t, tgt, good, o)
	r, err := target.Deploy(t.Context(), tgt, bad, o)
	if !errors.Is(err, target.ErrRefused) || r.Outcome != target.NotStarted {
		t.Errorf("%+v, %v", r, err)
	}
	mustBe(t, c, tgt, good)
}

func testWrongKey(t *testing.T, c Config, ca *CA) {
	bad, other := ca.Bundle(t), ca.Bundle(t)
	bad.Key, bad.KeyPEM = other.Key, other.KeyPEM
	refused(t, c, ca, bad)
}

func testExpired(t *testing.T, c Config, ca *CA) {
	refused(t, c, ca, ca.BundleUntil(t, time.Now().Add(-time.Minute)))
}

func testCancelled(t *testing.T, c Config, ca *CA) {
	tgt, o := c.Open(t, t.TempDir()), Options(t)
	good := ca.Bundle(t)
	Deploy(t, tgt, good, o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begun := time.Now()
	if r, err := target.Deploy(ctx, tgt, ca.Bundle(t), o); err == nil {
		t.Errorf("a cancelled deployment succeeded: %+v", r)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %s to notice", took)
	}
	mustBe(t, c, tgt, good)
}

// testStageAlone: staging serves nothing new, and what is staged can be given
// up.
func testStageAlone(t *testing.T, c Config, ca *CA) {
	tgt, o := c.Open(t, t.TempDir()), Options(t)
	good := ca.Bundle(t)
	Deploy(t, tgt, good, o)
	s, err := tgt.Stage(t.Context(), ca.Bundle(t))
	if err != nil {
		t.Fatal(err)
	}
	mustBe(t, c, tgt, good)
	if err := errors.Join(s.Rollback(t.Context()), s.Finish(t.Context())); err != nil {
		t.Fatal(err)
	}
	mustBe(t, c, tgt, good)
}

func testRollback(t *testing.T, c Config, ca *CA) {
	tgt, o := c.Open(t, t.TempDir()), Options(t)
	good := ca.Bundle(t)
	Deploy(t, tgt, good, o)
	s, err := tgt.Stage(t.Context(), ca.Bundle(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Swap(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it is safe to repeat
		if err := s.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustBe(t, c, tgt, good)
	}
}

// testResume undoes from the stored state alone, in a target that was opened
// anew, at both ends of the swap.
func testResume(t *testing.T, c Config, ca *CA) {
	for _, swapped := range []bool{false, true} {
		dir := t.TempDir()
		tgt, o := c.Open(t, dir), Options(t)
		good := ca.Bundle(t)
		Deploy(t, tgt, good, o)
		s, err := tgt.Stage(t.Context(), ca.Bundle(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Journal.Begin(o.ID, s.State()); err != nil {
			t.Fatal(err)
		}
		if swapped {
			if err := s.Swap(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		again := c.Open(t, dir)
		did, err := target.Recover(t.Context(), again, o)
		if err != nil || !did {
			t.Fatalf("recovered: %v, %v", did, err)
		}
		mustBe(t, c, again, good)
		if did, err := target.Recover(t.Context(), again, o); err != nil || did {
			t.Errorf("there was something left to recover: %v, %v", did, err)
		}
	}
}

func testSecrets(t *testing.T, c Config, ca *CA) {
	tgt := c.Open(t, t.TempDir())
	b := ca.Bundle(t)
	s, err := tgt.Stage(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Split(string(b.KeyPEM), "\n")[1]
	if strings.Contains(string(s.State()), secret) {
		t.Error("the state holds the private key")
	}
	if err := errors.Join(s.Rollback(t.Context()), s.Finish(t.Context())); err != nil {
		t.Fatal(err)
	}
	bad := *b
	other := ca.Bundle(t)
	bad.Key, bad.KeyPEM = other.Key, other.KeyPEM
	if _, err := target.Deploy(t.Context(), tgt, &bad, Options(t)); err == nil || strings.Contains(err.Error(), strings.Split(string(other.KeyPEM), "\n")[1]) {
		t.Errorf("error: %v", err)
	}
}
