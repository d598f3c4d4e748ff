package engine_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/issuer/local"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/store"
	"pgregory.net/rapid"
)

// modelSteps is how many operations TestRevocationModel does at least; raise it
// with -revocation.steps.
var modelSteps = flag.Int("revocation.steps", 20_000, "operations of TestRevocationModel")

const modelShards = 3

// fact is what the model knows of one serial.
type fact struct {
	certificate string
	notAfter    time.Time
	revoked     bool
	reason      revocation.Reason
	at          time.Time
}

// replica is an engine and an OCSP responder with its cache, over one database.
type replica struct {
	*engine.Engine
	answers *ocsp.Responder
	changed chan struct{}
}

// world is two replicas and the truth about what they were told.
type world struct {
	t        *rapid.T
	dir      string
	clock    *clock
	store    *store.Store
	replicas []*replica
	stop     func()
	ca       *x509.Certificate

	facts  map[string]*fact // by serial
	serial []string         // in the order of issuance
	next   int
	// numbers are the highest that were seen, by scope; restoring a backup does
	// not lower them.
	numbers map[engine.Scope]*big.Int

	backup       bool
	backedFacts  map[string]*fact
	backedSerial []string
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Fatalf("%+v", err)
	}
}

// open starts both replicas.
func (w *world) open() {
	ctx := context.Background()
	var err error
	w.store, err = store.Open(ctx, store.Options{DSN: filepath.Join(w.dir, "certctl.db"), Now: w.clock.Now})
	w.must(err)
	key, err := secret.ParseKey(testKey)
	w.must(err)
	sealer, err := secret.NewSealer(key)
	w.must(err)
	kinds, err := connector.NewRegistry(local.Kind())
	w.must(err)
	run, cancel := context.WithCancel(ctx)
	done := make(chan struct{}, 2)
	w.replicas = nil
	for i := range 2 {
		e, err := engine.New(engine.Options{Store: w.store, Revocations: w.store, Issuers: kinds, Sealer: sealer, Now: w.clock.Now, Replica: fmt.Sprint("r", i)})
		w.must(err)
		w.must(e.EnsureDefaults(ctx))
		r := &replica{Engine: e, changed: make(chan struct{})}
		r.answers, err = ocsp.New(ocsp.Options{
			Source: w.store, Now: w.clock.Now, CacheSize: 1, Changed: r.changed, Poll: time.Hour, Archive: true,
			Issuers: func(ctx context.Context) ([]*ocsp.Issuer, error) {
				i, err := e.OCSPIssuer(ctx, "iss-local")
				return []*ocsp.Issuer{i}, err
			},
		})
		w.must(err)
		go func() { _ = r.answers.Follow(run); done <- struct{}{} }()
		w.replicas = append(w.replicas, r)
	}
	w.stop = func() {
		cancel()
		<-done
		<-done
		_ = w.store.Close() // what it holds is written
	}
}

func newWorld(t *rapid.T, dir string) *world {
	w := &world{t: t, dir: dir, clock: &clock{}, facts: map[string]*fact{}, numbers: map[engine.Scope]*big.Int{}}
	w.open()
	_, err := w.replicas[0].CreateIssuer(context.Background(), engine.ConnectorInput{
		ID: "iss-local", Name: "local", Type: "local", Config: fmt.Appendf(nil, `{"crl_shards":%d,"delta_crl":true,"crl_distribution_point_urls":["http://crl.test/l"]}`, modelShards),
	})
	w.must(err)
	text, err := w.replicas[0].IssuerCertificates(context.Background(), "iss-local")
	w.must(err)
	certs, err := chain.Certificates([]byte(text))
	w.must(err)
	w.ca = certs[0]
	return w
}

func (w *world) one() *replica { return w.replicas[rapid.IntRange(0, 1).Draw(w.t, "replica")] }

// some is a serial that was issued.
func (w *world) some() (string, *fact) {
	if len(w.serial) == 0 {
		w.t.Skip("nothing was issued")
	}
	s := w.serial[rapid.IntRange(0, len(w.serial)-1).Draw(w.t, "serial")]
	return s, w.facts[s]
}

// issue writes a certificate as the engine does when a CA has signed it; a
// renewal is another version of one.
func (w *world) issue(*rapid.T) { w.write(fmt.Sprintf("mc-%06d", w.next), 1) }

func (w *world) renew(*rapid.T) {
	_, f := w.some()
	if f.revoked {
		w.t.Skip("revoked")
	}
	generation := int64(1)
	for _, o := range w.facts {
		if o.certificate == f.certificate {
			generation++
			if o.revoked {
				w.t.Skip("revoked")
			}
		}
	}
	w.write(f.certificate, generation)
}

func (w *world) write(id string, generation int64) {
	serial := issuer.NewSerial()
	text := certctl.SerialText(serial)
	life := time.Duration(rapid.IntRange(2, 72).Draw(w.t, "hours")) * time.Hour
	w.next++
	w.must(w.store.Update(context.Background(), func(ctx context.Context, tx certctl.Tx) error {
		now := tx.Now()
		v := &certctl.CertificateVersion{
			ID: "cv-" + text, CertificateID: id, Generation: generation, OrderID: "ord-" + text, IssuerID: "iss-local", IssuerKeyID: revocation.KeyID(w.ca),
			Serial: text, Fingerprint: text, NotBefore: now, NotAfter: now.Add(life), CreatedAt: now, CRLShard: revocation.ShardOf(serial, modelShards),
		}
		order := &certctl.Order{ID: v.OrderID, CertificateID: id, JobID: "j", IssuerID: "iss-local", State: certctl.OrderIssued, NotBefore: now}
		if generation == 1 {
			c := &certctl.Certificate{
				ID: id, Name: id, CommonName: id, SANs: []string{id}, IssuerID: "iss-local", RenewalPolicyID: engine.DefaultRenewalPolicy, KeyAlgorithm: "ECDSA-P256", Source: "API",
				Status: certctl.CertificateActive, Generation: 1, CurrentVersionID: v.ID, Serial: text, NotBefore: now, ExpiresAt: v.NotAfter,
			}
			if err := tx.Certificates().Insert(ctx, c); err != nil {
				return err
			}
		} else {
			c, err := tx.Certificates().Get(ctx, id)
			if err != nil {
				return err
			}
			c.Generation, c.CurrentVersionID, c.Serial, c.ExpiresAt = generation, v.ID, text, v.NotAfter
			if err := tx.Certificates().Update(ctx, c); err != nil {
				return err
			}
		}
		w.facts[text] = &fact{certificate: id, notAfter: v.NotAfter}
		return errors.Join(tx.Orders().Insert(ctx, order), tx.Versions().Insert(ctx, v))
	}))
	w.serial = append(w.serial, text)
}

// told takes over what the engine says it did.
func (w *world) told(rows []*certctl.Revocation, err error) {
	var illegal *certctl.TransitionError
	if errors.As(err, &illegal) || errors.Is(err, certctl.ErrConflict) || errors.Is(err, certctl.ErrIllegalTransition) {
		return // there was nothing to do; the reads prove that nothing was done
	}
	w.must(err)
	for _, r := range rows {
		f := w.facts[r.Serial]
		if f.revoked && f.reason != revocation.CertificateHold {
			w.t.Fatalf("%s was revoked already (%v), and is told to be revoked again", r.Serial, f.reason)
		}
		f.revoked, f.reason, f.at = r.ReleasedAt.IsZero(), revocation.Reason(r.Reason), r.RevokedAt
	}
}

func (w *world) revoke(*rapid.T) {
	serial, f := w.some()
	reason := rapid.SampledFrom(revocation.Reasons).Draw(w.t, "reason")
	o := engine.RevokeOptions{Reason: reason}
	if rapid.Bool().Draw(w.t, "one version") {
		o.Serial = serial
	}
	w.told(w.one().Revoke(context.Background(), f.certificate, o))
}

func (w *world) hold(*rapid.T) {
	_, f := w.some()
	w.told(w.one().Hold(context.Background(), f.certificate, ""))
}

func (w *world) release(*rapid.T) {
	_, f := w.some()
	w.told(w.one().Release(context.Background(), f.certificate, ""))
}

func (w *world) pass(*rapid.T) {
	w.clock.Forward(time.Duration(rapid.IntRange(1, 600).Draw(w.t, "minutes")) * time.Minute)
}

func (w *world) restart(*rapid.T) {
	w.stop()
	w.open()
}

func (w *world) copy(from, to string) {
	in, err := os.Open(filepath.Join(w.dir, from))
	w.must(err)
	defer in.Close()
	out, err := os.Create(filepath.Join(w.dir, to))
	w.must(err)
	_, err = io.Copy(out, in)
	w.must(errors.Join(err, out.Close()))
}

func cloneFacts(m map[string]*fact) map[string]*fact {
	out := maps.Clone(m)
	for k, v := range out {
		f := *v
		out[k] = &f
	}
	return out
}

func (w *world) save(*rapid.T) {
	w.stop()
	w.copy("certctl.db", "backup.db")
	w.backup, w.backedFacts, w.backedSerial = true, cloneFacts(w.facts), slices.Clone(w.serial)
	w.open()
}

// restore brings an older database back: what it did not know is lost, and no
// number may come again.
func (w *world) restore(*rapid.T) {
	if !w.backup {
		w.t.Skip("there is no backup")
	}
	w.stop()
	for _, side := range []string{"-wal", "-shm"} {
		if err := os.Remove(filepath.Join(w.dir, "certctl.db"+side)); err != nil && !os.IsNotExist(err) {
			w.must(err)
		}
	}
	w.copy("backup.db", "certctl.db")
	w.facts, w.serial = cloneFacts(w.backedFacts), slices.Clone(w.backedSerial)
	w.open()
}

// askOCSP: after at most a second, which is one look at the feed, every replica
// says the truth.
func (w *world) askOCSP(*rapid.T) {
	r := w.one()
	r.changed <- struct{}{}
	r.changed <- struct{}{} // the first was dealt with
	serial, f := certctl.SerialText(big.NewInt(4711)), (*fact)(nil)
	if len(w.serial) > 0 && rapid.IntRange(0, 9).Draw(w.t, "unknown") > 0 {
		serial, f = w.some()
	}
	n, err := certctl.ParseSerial(serial)
	w.must(err)
	var nonce []byte
	if rapid.Bool().Draw(w.t, "nonce") {
		nonce = []byte("sixteen octets..")
	}
	request, err := ocsp.NewRequest(w.ca, rapid.SampledFrom([]crypto.Hash{crypto.SHA1, crypto.SHA256}).Draw(w.t, "hash"), nonce, n)
	w.must(err)
	response := r.answers.Respond(context.Background(), request)
	v, err := ocsp.Verify(response.DER, ocsp.VerifyOptions{CA: w.ca, Now: w.clock.Now(), Nonce: nonce})
	if err != nil {
		w.t.Fatalf("%v: %v, %v", response.Status, response.Err, err)
	}
	got, _ := v.Answer(n)
	switch {
	case f == nil:
		if got.Status.State != revocation.Unknown {
			w.t.Fatalf("a serial that was never issued is %v", got.Status.State)
		}
	case f.revoked != (got.Status.State == revocation.Revoked) || got.Status.State == revocation.Unknown:
		w.t.Fatalf("%s is %v, and the model says revoked: %v", serial, got.Status.State, f.revoked)
	case f.revoked && (got.Status.Reason != f.reason || !got.Status.At.Equal(f.at.Truncate(time.Second))):
		w.t.Fatalf("%s: %v since %v, the model says %v since %v", serial, got.Status.Reason, got.Status.At, f.reason, f.at)
	}
}

// readCRL: every revoked serial that has not expired is on its lists, with its
// reason and date; none that is good; and numbers only rise.
func (w *world) readCRL(*rapid.T) {
	scope := engine.Scope{Shard: rapid.IntRange(0, modelShards).Draw(w.t, "shard"), Delta: rapid.IntRange(0, 3).Draw(w.t, "delta") == 0}
	r := w.one()
	row, err := r.CRLOf(context.Background(), "iss-local", scope)
	w.must(err)
	list, err := x509.ParseRevocationList(row.DER)
	w.must(err)
	w.must(list.CheckSignatureFrom(w.ca))
	now := w.clock.Now()
	if !now.Before(list.NextUpdate) || list.ThisUpdate.After(now) {
		w.t.Fatalf("the list holds from %v to %v, and it is %v", list.ThisUpdate, list.NextUpdate, now)
	}
	if last := w.numbers[scope]; last != nil && list.Number.Cmp(last) < 0 {
		w.t.Fatalf("number %v after %v", list.Number, last)
	}
	w.numbers[scope] = list.Number
	listed := map[string]x509.RevocationListEntry{}
	for _, e := range list.RevokedCertificateEntries {
		listed[certctl.SerialText(e.SerialNumber)] = e
	}
	for serial, f := range w.facts {
		n, err := certctl.ParseSerial(serial)
		w.must(err)
		e, on := listed[serial]
		delete(listed, serial)
		mine := scope.Shard == 0 || revocation.ShardOf(n, modelShards) == scope.Shard
		removed := on && e.ReasonCode == int(revocation.RemoveFromCRL)
		switch {
		case on && !mine:
			w.t.Fatalf("%s is on the list of shard %d", serial, scope.Shard)
		case on && !removed && !f.revoked, removed && (f.revoked || !scope.Delta):
			w.t.Fatalf("%s is on the list (reason %d), and the model says revoked: %v", serial, e.ReasonCode, f.revoked)
		case on && !removed && (e.ReasonCode != int(f.reason) || !e.RevocationTime.Equal(f.at.Truncate(time.Second))):
			w.t.Fatalf("%s: reason %d at %v, the model says %v at %v", serial, e.ReasonCode, e.RevocationTime, f.reason, f.at)
		case !on && mine && f.revoked && f.notAfter.After(now) && !scope.Delta:
			w.t.Fatalf("%s is revoked (%v), has not expired, and is not on the list of shard %d", serial, f.reason, scope.Shard)
		}
	}
	if len(listed) > 0 {
		w.t.Fatalf("%d entries of nobody", len(listed))
	}
}

// TestRevocationModel does random things to two replicas, and compares what they
// say with a model that is a map.
func TestRevocationModel(t *testing.T) {
	const each = 400
	checks := max(1, *modelSteps/each)
	for name, value := range map[string]string{"rapid.checks": fmt.Sprint(checks), "rapid.steps": fmt.Sprint(each), "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	world, done := 0, 0
	count := func(f func(*rapid.T)) func(*rapid.T) { return func(t *rapid.T) { f(t); done++ } }
	rapid.Check(t, func(rt *rapid.T) {
		world++
		dir := filepath.Join(t.TempDir(), fmt.Sprint(world))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			rt.Fatal(err)
		}
		w := newWorld(rt, dir)
		defer func() { w.stop() }()
		actions := map[string]func(*rapid.T){}
		// The more often a name is there, the more often it is drawn.
		for name, f := range map[string]struct {
			times int
			do    func(*rapid.T)
		}{
			"issue": {4, w.issue}, "renew": {1, w.renew}, "revoke": {4, w.revoke}, "hold": {2, w.hold}, "release": {2, w.release}, "pass": {2, w.pass},
			"ocsp": {8, w.askOCSP}, "crl": {6, w.readCRL}, "restart": {1, w.restart}, "save": {1, w.save}, "restore": {1, w.restore},
		} {
			for i := range f.times {
				actions[fmt.Sprint(name, i)] = count(f.do)
			}
		}
		rt.Repeat(actions)
	})
	t.Logf("%d operations in %d worlds", done, world)
}
