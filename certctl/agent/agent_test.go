package agent_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/agent"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/client"
	"github.com/certctl/certctl/target"
)

func TestIssueDeployProveAndRenew(t *testing.T) {
	f := newFixture(t)
	dir := f.target(t, f.t1, true)
	f.start(t)

	f.plane.issue("mc-web", 1, "", "localhost", "127.0.0.1")
	r := f.plane.reported(t, "mc-web", f.t1, 1)
	if r.Outcome != api.OutcomeDeployed || r.Error != "" {
		t.Fatalf("report = %+v, want deployed", r)
	}
	if len(r.Observed) != 1 || !r.Observed[0].Served || !r.Observed[0].ChainOK || !r.Observed[0].NameOK {
		t.Fatalf("observed = %+v, want one endpoint that serves the certificate", r.Observed)
	}
	first := mustRead(t, filepath.Join(dir, "key.pem"))
	if f.keyOf(t, "mc-web.key") != first {
		t.Error("the key in use is not the one that was deployed")
	}

	// While the second generation is on its way, the first key keeps its name.
	f.hooks.swap = func(context.Context, placeConfig) error {
		if got := f.keyOf(t, "mc-web.key"); got != first {
			t.Error("the new key has replaced the old one before its certificate was deployed")
		}
		return nil
	}
	f.plane.issue("mc-web", 2, "ECDSA-P384", "localhost")
	if r := f.plane.reported(t, "mc-web", f.t1, 2); r.Outcome != api.OutcomeDeployed {
		t.Fatalf("report = %+v, want deployed", r)
	}
	second := mustRead(t, filepath.Join(dir, "key.pem"))
	if second == first {
		t.Fatal("the second generation has the first one's key")
	}
	if f.keyOf(t, "mc-web.key") != second || f.keyOf(t, "mc-web@prev.key") != first {
		t.Error("after the deployment the keys are not (new, previous)")
	}
	if exists(filepath.Join(f.dir, "keys", "mc-web@2.key")) {
		t.Error("the pending key is still there under its old name")
	}
	if exists(filepath.Join(f.dir, "targets", f.t1+".json")) {
		t.Error("the target's configuration, with its secret, outlived the deployment")
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")); err != nil {
		t.Error(err)
	}
}

func (f *fixture) keyOf(t testing.TB, name string) string { return f.key(t, name) }

func TestTheCSRNamesWhatTheWorkNames(t *testing.T) {
	f := newFixture(t)
	f.start(t)
	j := f.plane.issue("mc-mix", 1, "RSA-2048", "example.org", "192.0.2.1", "2001:db8::1", "joe@example.org", "spiffe://example.org/x@y")
	var csr *x509.CertificateRequest
	f.plane.wait(t, "the CSR", func() bool { csr = j.csr; return csr != nil })
	if csr.Subject.CommonName != "localhost" || len(csr.DNSNames) != 1 || len(csr.IPAddresses) != 2 || len(csr.EmailAddresses) != 1 || len(csr.URIs) != 1 {
		t.Errorf("CSR has CN %q, DNS %v, IP %v, e-mail %v, URI %v", csr.Subject.CommonName, csr.DNSNames, csr.IPAddresses, csr.EmailAddresses, csr.URIs)
	}
	if csr.PublicKeyAlgorithm != x509.RSA {
		t.Errorf("key is %s, want RSA", csr.PublicKeyAlgorithm)
	}
}

func TestAKeyOutlivesARestart(t *testing.T) {
	f := newFixture(t)
	dir := f.target(t, f.t1, false)

	// The CSR reaches the server, its answer never reaches the agent.
	var seen []*x509.CertificateRequest
	arrived := make(chan struct{}, 16)
	f.plane.onCSR = func(csr *x509.CertificateRequest) error {
		f.plane.look(func() { seen = append(seen, csr) })
		arrived <- struct{}{}
		return client.ErrUnavailable
	}
	_, stop := f.start(t)
	j := f.plane.issue("mc-web", 1, "", "localhost")
	<-arrived
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	f.plane.change(func() { f.plane.onCSR = nil; j.LeaseUntil = time.Time{} })
	f.start(t)
	if r := f.plane.reported(t, "mc-web", f.t1, 1); r.Outcome != api.OutcomeDeployed {
		t.Fatalf("report = %+v", r)
	}
	if !samePublic(t, seen[0], j.csr) {
		t.Error("after the restart the agent made another key for the same generation")
	}
	if mustRead(t, filepath.Join(dir, "key.pem")) != f.key(t, "mc-web.key") {
		t.Error("another key than the kept one was deployed")
	}
}

func samePublic(t testing.TB, a, b *x509.CertificateRequest) bool {
	t.Helper()
	key, ok := a.PublicKey.(interface{ Equal(x any) bool })
	if ok {
		return key.Equal(b.PublicKey)
	}
	x, err := x509.MarshalPKIXPublicKey(a.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	y, err := x509.MarshalPKIXPublicKey(b.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(x) == string(y)
}

func TestFencedWorkIsUndone(t *testing.T) {
	f := newFixture(t)
	f.plane.lease = 3 * time.Second // extended each second
	dir := f.target(t, f.t1, false)
	a, _ := f.start(t)
	f.plane.issue("mc-web", 1, "", "localhost")
	f.plane.reported(t, "mc-web", f.t1, 1)
	before := mustRead(t, filepath.Join(dir, "cert.pem")) + mustRead(t, filepath.Join(dir, "key.pem"))

	swapping, ended := make(chan struct{}), make(chan struct{})
	f.hooks.swap = func(ctx context.Context, _ placeConfig) error {
		close(swapping)
		<-ctx.Done() // the key is the new one, the certificate the old
		close(ended)
		return ctx.Err()
	}
	f.plane.issue("mc-web", 2, "", "localhost")
	<-swapping
	var job *planeJob
	f.plane.change(func() { // somebody cancels and the job is given away
		job = f.plane.jobs[len(f.plane.jobs)-1]
		job.Fence += 10
		job.LeaseUntil = f.plane.now().Add(time.Hour)
	})
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the work was not stopped")
	}
	f.plane.waitIdle(t, a)
	if after := mustRead(t, filepath.Join(dir, "cert.pem")) + mustRead(t, filepath.Join(dir, "key.pem")); after != before {
		t.Error("the pair is not what it was before")
	}
	if job.report != nil {
		t.Errorf("work that was taken away was reported: %+v", job.report)
	}
}

// waitIdle polls, for the end of work leaves no other trace.
func (p *plane) waitIdle(t testing.TB, a *agent.Agent) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for a.Status().Working > 0 {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the agent does not come to rest")
		}
	}
}

func TestAFencedReportDoesNotStopTheAgent(t *testing.T) {
	f := newFixture(t)
	f.target(t, f.t1, false)
	f.start(t)
	var once sync.Once
	f.plane.onReport = func(api.Report) error {
		once.Do(func() {
			f.plane.change(func() { f.plane.jobs[len(f.plane.jobs)-1].LeaseUntil = time.Time{} })
		})
		return nil
	}
	f.plane.issue("mc-web", 1, "", "localhost")
	r := f.plane.reported(t, "mc-web", f.t1, 1)
	if r.Fence != 2 || (r.Outcome != api.OutcomeUnchanged && r.Outcome != api.OutcomeDeployed) {
		t.Errorf("report = %+v, want the second claim's", r)
	}
	if f.plane.refusals == 0 {
		t.Error("no report was fenced; the test tells nothing")
	}
}

func TestGarbageIsReported(t *testing.T) {
	f := newFixture(t)
	dir := f.target(t, f.t1, false)
	f.start(t)
	f.plane.issue("mc-web", 1, "", "localhost")
	f.plane.reported(t, "mc-web", f.t1, 1)
	var good api.Work
	f.plane.look(func() { good = f.plane.jobs[len(f.plane.jobs)-1].Work })
	good.Fence, good.LeaseUntil = 0, time.Time{}
	stranger := newAuthority(t)
	outside := filepath.Join(filepath.Dir(f.dir), "evil")

	for name, change := range map[string]func(*api.Work){
		"unknown kind":               func(w *api.Work) { w.Kind = "dance" },
		"unknown target type":        func(w *api.Work) { w.TargetType = "teapot" },
		"configuration no JSON":      func(w *api.Work) { w.TargetConfig = []byte(`"` + configWord + `"`) },
		"configuration lacks":        func(w *api.Work) { w.TargetConfig = []byte(`{"password":"` + configWord + `"}`) },
		"unknown configuration key":  func(w *api.Work) { w.TargetConfig = []byte(`{"dir":"/","colour":"red"}`) },
		"no certificate":             func(w *api.Work) { w.CertPEM = "" },
		"broken certificate":         func(w *api.Work) { w.CertPEM = w.CertPEM[:len(w.CertPEM)/2] },
		"broken chain":               func(w *api.Work) { w.ChainPEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" },
		"broken roots":               func(w *api.Work) { w.RootsPEM = "nonsense" },
		"two certificates":           func(w *api.Work) { w.CertPEM += w.CertPEM },
		"somebody else's key":        func(w *api.Work) { w.CertPEM = certPEM(stranger.cert) },
		"certificate ID leads away":  func(w *api.Work) { w.CertificateID = "../../evil" },
		"certificate ID is hidden":   func(w *api.Work) { w.CertificateID = ".evil" },
		"target ID leads away":       func(w *api.Work) { w.TargetID = "../../evil" },
		"target ID is empty":         func(w *api.Work) { w.TargetID = "" },
		"CSR: ID leads away":         func(w *api.Work) { w.Kind, w.CertificateID = api.WorkCSR, "../../evil" },
		"CSR: ID with a folder":      func(w *api.Work) { w.Kind, w.CertificateID = api.WorkCSR, "a/b" },
		"CSR: ID with NUL":           func(w *api.Work) { w.Kind, w.CertificateID = api.WorkCSR, "a\x00b" },
		"CSR: no names":              func(w *api.Work) { w.Kind, w.CommonName, w.SANs = api.WorkCSR, "", nil },
		"CSR: name is not ASCII":     func(w *api.Work) { w.Kind, w.CommonName, w.SANs = api.WorkCSR, "x", []string{"müsli.example"} },
		"CSR: unknown key algorithm": func(w *api.Work) { w.Kind, w.CommonName, w.KeyAlgorithm, w.Generation = api.WorkCSR, "x", "DSA-512", 9 },
		"CSR: generation below 1":    func(w *api.Work) { w.Kind, w.CommonName, w.Generation = api.WorkCSR, "x", -1 },
	} {
		t.Run(name, func(t *testing.T) {
			w := good
			change(&w)
			w.JobID = "job-garbage-" + strings.ReplaceAll(name, " ", "-")
			r := f.plane.answer(t, f.plane.add(w))
			if r.Outcome != api.OutcomeNotStarted || r.Error == "" || !r.Final {
				t.Errorf("report = %+v, want a final refusal with its reason", r)
			}
			t.Log(r.Error)
		})
	}
	for _, path := range []string{outside, outside + ".key", outside + "@1.key", outside + ".json"} {
		if exists(path) {
			t.Errorf("%s was written", path)
		}
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")); err != nil {
		t.Errorf("what was served before is damaged: %v", err)
	}
}

func TestWithoutTheKeyItSaysWhatToDo(t *testing.T) {
	f := newFixture(t)
	f.target(t, f.t1, false)
	f.start(t)
	f.plane.change(func() { f.plane.deployment("mc-lost", f.t1, 4, f.plane.ca.cert) })
	r := f.plane.reported(t, "mc-lost", f.t1, 4)
	if r.Outcome != api.OutcomeNotStarted || !r.Final || !strings.Contains(r.Error, "not on this agent") || !strings.Contains(r.Error, "renew") {
		t.Errorf("report = %+v", r)
	}
}

func TestPanicsOfAConnectorAreReported(t *testing.T) {
	var nothing *placeConfig
	panics := map[string]func(context.Context, placeConfig) error{
		"its own words": func(context.Context, placeConfig) error { panic("the password is " + configWord) },
		"nil pointer":   func(context.Context, placeConfig) error { return errors.New(nothing.Dir) },
	}
	for name, panics := range panics {
		for _, step := range []string{"open", "stage", "swap"} {
			t.Run(step+" "+name, func(t *testing.T) {
				f := newFixture(t)
				dir := f.target(t, f.t1, false)
				f.start(t)
				f.plane.issue("mc-web", 1, "", "localhost")
				f.plane.reported(t, "mc-web", f.t1, 1)
				before := mustRead(t, filepath.Join(dir, "key.pem"))

				var fired atomic.Bool
				hook := func(ctx context.Context, c placeConfig) error {
					if fired.Swap(true) {
						return nil
					}
					return panics(ctx, c)
				}
				switch step {
				case "open":
					f.hooks.open = hook
				case "stage":
					f.hooks.stage = hook
				case "swap":
					f.hooks.swap = hook
				}
				f.plane.issue("mc-web", 2, "", "localhost")
				r := f.plane.reported(t, "mc-web", f.t1, 2)
				if r.Outcome == api.OutcomeDeployed || !strings.Contains(r.Error, "panicked") {
					t.Errorf("report = %+v, want one of a panic", r)
				}
				if step == "swap" && r.Outcome != api.OutcomeRolledBack {
					t.Errorf("outcome = %s, want rolled_back", r.Outcome)
				}
				if after := mustRead(t, filepath.Join(dir, "key.pem")); after != before {
					t.Error("the key that is served is not the one of before")
				}
				f.plane.issue("mc-web", 3, "", "localhost")
				if r := f.plane.reported(t, "mc-web", f.t1, 3); r.Outcome != api.OutcomeDeployed {
					t.Errorf("the agent did not recover: %+v", r)
				}
			})
		}
	}
}

func TestARefusalIsFinalAndAFailureIsNot(t *testing.T) {
	for _, final := range []bool{true, false} {
		f := newFixture(t)
		f.target(t, f.t1, false)
		f.hooks.stage = func(context.Context, placeConfig) error {
			if final {
				return errors.Join(target.ErrRefused, errors.New("the configuration is invalid"))
			}
			return errors.New("no space left")
		}
		f.start(t)
		f.plane.issue("mc-web", 1, "", "localhost")
		if r := f.plane.reported(t, "mc-web", f.t1, 1); r.Final != final || r.Outcome != api.OutcomeNotStarted {
			t.Errorf("report = %+v, want final %v", r, final)
		}
	}
}

func TestACommandThatPrintsTheKeyIsSilenced(t *testing.T) {
	f := newFixture(t)
	dir := f.target(t, f.t1, false)
	f.hooks.swap = func(context.Context, placeConfig) error {
		b, err := os.ReadFile(filepath.Join(dir, "key.pem"))
		if err != nil {
			return err
		}
		lines := strings.Split(string(b), "\n")
		return errors.New("reload failed: " + string(b) + " and " + lines[1])
	}
	f.start(t)
	f.plane.issue("mc-web", 1, "", "localhost")
	r := f.plane.reported(t, "mc-web", f.t1, 1)
	if r.Outcome != api.OutcomeRolledBack || !strings.Contains(r.Error, "reload failed") {
		t.Errorf("report = %+v", r)
	}
}

func TestOneProcessForEachFolder(t *testing.T) {
	f := newFixture(t)
	f.start(t)
	f.plane.wait(t, "the first heartbeat", func() bool { return len(f.plane.beats) > 0 || f.plane.claims > 0 })
	other, err := agent.New(f.options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Run(t.Context()); !errors.Is(err, agent.ErrInUse) {
		t.Errorf("Run = %v, want ErrInUse", err)
	}
}
