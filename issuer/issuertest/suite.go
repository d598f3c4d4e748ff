// Package issuertest is the contract of issuer.Issuer as a suite, for the kinds
// of this module and for those of others. A kind runs it against its real CA, or
// a faithful fake, and declares what it does not support:
//
//	issuertest.Run(t, issuertest.Subject{Kind: acme.Kind(), Config: config, Env: env, …})
package issuertest

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/revocation"
)

// Feature is something that a kind may lack.
type Feature string

// Features that a subject can declare as unsupported. A kind that declares one
// and has it all the same fails, and so does one that lacks one silently.
const (
	Revocation  Feature = "revocation"  // issuer.Revoker
	Reasons     Feature = "reasons"     // the CA takes no reason, or not every one
	Finding     Feature = "finding"     // issuer.Finder
	Authorities Feature = "authorities" // issuer.Authority
	Checking    Feature = "checking"    // issuer.Checker
	Wildcards   Feature = "wildcards"   // names such as *.example.com
	Addresses   Feature = "addresses"   // IP addresses as names
	CommonNames Feature = "common-name" // a subject common name
	Restarting  Feature = "restarting"  // an order goes on in another process
	Repeating   Feature = "repeating"   // one name twice within the time of a test
)

// Subject is a kind of issuer with a CA to run against.
type Subject struct {
	Kind   connector.Kind[issuer.Issuer]
	Config json.RawMessage // works with the CA
	Env    connector.Env   // HTTP, Now and Vault as far as the kind needs them
	// Unsupported is what the kind or the CA cannot do.
	Unsupported []Feature
	// Secrets must be in no error and no log.
	Secrets []string
	// Name returns a new DNS name that the CA issues for; "t<n>.example.com"
	// when it is nil.
	Name func() string
	// BadConfigs are configurations with the fields that Check must name, all.
	BadConfigs map[string][]string
	// Down are configurations that are well-formed, and with which the CA
	// cannot be used: another secret, nobody listening.
	Down map[string]json.RawMessage
	// Hostile are configurations whose CA answers with what must not be
	// accepted, for kinds that do not speak HTTP.
	Hostile map[string]json.RawMessage
	// Revoked asks the CA itself whether it revoked a certificate, and why; nil
	// when nobody outside can tell.
	Revoked func(ctx context.Context, c *x509.Certificate) (revoked bool, reason revocation.Reason, err error)
	// Issued asks the CA itself what it issued; nil when nobody can tell.
	Issued func(ctx context.Context) ([]*big.Int, error)
	// Calls is how many HTTP requests of an issuance the suite breaks, one after
	// the other; all of them when 0.
	Calls int
	// Within is how long an issuance may take; 20 s when 0.
	Within time.Duration
}

// ListedBy makes a Subject's Revoked of the CA's own CRL, in DER.
func ListedBy(crl func(context.Context) ([]byte, error)) func(context.Context, *x509.Certificate) (bool, revocation.Reason, error) {
	return func(ctx context.Context, c *x509.Certificate) (bool, revocation.Reason, error) {
		der, err := crl(ctx)
		if err != nil {
			return false, 0, err
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return false, 0, err
		}
		for _, e := range list.RevokedCertificateEntries {
			if e.SerialNumber.Cmp(c.SerialNumber) == 0 {
				return true, revocation.Reason(e.ReasonCode), nil
			}
		}
		return false, 0, nil
	}
}

type suite struct {
	Subject
	mu sync.Mutex
	n  int
}

// Run runs the suite.
func Run(t *testing.T, sub Subject) {
	s := &suite{Subject: sub}
	if s.Within == 0 {
		s.Within = 20 * time.Second
	}
	t.Run("config", s.config)
	t.Run("declared", s.declared)
	t.Run("check", s.check)
	t.Run("issue", s.issue)
	t.Run("authority", s.authority)
	t.Run("renew", s.renew)
	t.Run("concurrent", s.concurrent)
	t.Run("restart", s.restart)
	t.Run("find", s.find)
	t.Run("revoke", s.revoke)
	t.Run("cancel", s.cancel)
	t.Run("hostile", s.hostile)
	t.Run("faults", s.faults)
}

func (s *suite) lacks(f Feature) bool {
	for _, u := range s.Unsupported {
		if u == f {
			return true
		}
	}
	return false
}

// config: strict, and all mistakes at once.
func (s *suite) config(t *testing.T) {
	if err := s.Kind.Check(s.Config); err != nil {
		t.Fatalf("the subject's own configuration: %v", err)
	}
	var schema struct {
		Required   []string
		Properties map[string]json.RawMessage
	}
	if err := json.Unmarshal(s.Kind.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	bad := map[string][]string{`{}`: schema.Required, `{"no_such_field":1}`: append([]string{"no_such_field"}, schema.Required...)}
	for text, fields := range s.BadConfigs {
		bad[text] = fields
	}
	for text, fields := range bad {
		err := s.Kind.Check(json.RawMessage(text))
		if len(fields) == 0 {
			continue
		}
		var e *connector.ConfigError
		if !errors.As(err, &e) {
			t.Errorf("%s: %v, want a *connector.ConfigError", text, err)
			continue
		}
		for _, f := range fields {
			found := false
			for _, p := range e.Problems {
				found = found || p.Field == f || strings.HasPrefix(p.Field, f+".") || strings.HasPrefix(p.Field, f+"[")
			}
			if !found {
				t.Errorf("%s: says nothing of %s: %v", text, f, err)
			}
		}
	}
	masked, err := s.Kind.Mask(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	s.silent(t, "the masked configuration", string(masked))
	merged, err := s.Kind.Merge(s.Config, masked)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Kind.Check(merged); err != nil {
		t.Errorf("masked and sent back: %v", err)
	}
	if _, err := s.Kind.Open(t.Context(), merged, s.Env); err != nil {
		t.Errorf("masked and sent back: %v", err)
	}
}

// declared: what a kind has is what it says.
func (s *suite) declared(t *testing.T) {
	i := s.open(t)
	for f, has := range map[Feature]bool{
		Revocation: has[issuer.Revoker](i) || has[issuer.SigningAuthority](i), Finding: has[issuer.Finder](i),
		Authorities: has[issuer.Authority](i), Checking: has[issuer.Checker](i),
	} {
		if has == s.lacks(f) {
			t.Errorf("%s: has it: %v, declared as unsupported: %v", f, has, s.lacks(f))
		}
	}
}

func has[T any](i issuer.Issuer) bool { _, ok := issuer.As[T](i); return ok }

// check: it works, or says that it does not.
func (s *suite) check(t *testing.T) {
	check := func(config json.RawMessage) error {
		ctx, cancel := context.WithTimeout(t.Context(), s.Within)
		defer cancel()
		i, err := s.Kind.Open(ctx, config, s.Env)
		if err != nil {
			return err
		}
		c, ok := issuer.As[issuer.Checker](i)
		if !ok {
			t.Skip("no checker, as declared")
		}
		return c.Check(ctx)
	}
	if err := check(s.Config); err != nil {
		t.Errorf("a CA that can be used: %v", err)
	}
	for name, config := range s.Down {
		err := check(config)
		if err == nil {
			t.Errorf("%s: nothing to complain about", name)
			continue
		}
		s.silent(t, name, err.Error())
	}
}

// issue: exactly the names and the key that were asked for, with the chain.
func (s *suite) issue(t *testing.T) {
	i := s.open(t)
	for what, change := range map[string]func(*asked){
		"one name":  func(*asked) {},
		"two names": func(a *asked) { a.DNSNames = append(a.DNSNames, s.name()) },
		"rsa":       func(a *asked) { a.algorithm = "RSA-2048" },
		"wildcard": func(a *asked) {
			if !s.lacks(Wildcards) {
				a.DNSNames = append(a.DNSNames, "*."+s.name())
			}
		},
		"address": func(a *asked) {
			if !s.lacks(Addresses) {
				a.IPs = []string{"127.0.0.1"}
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			req := s.request(t, change)
			got := s.drive(t, i, req)
			s.good(t, i, req, got)
			if !s.lacks(CommonNames) && got.Leaf.Subject.CommonName != req.CommonName {
				t.Errorf("common name %q, want %q", got.Leaf.Subject.CommonName, req.CommonName)
			}
		})
	}
}

// good is what every accepted certificate is.
func (s *suite) good(t testing.TB, i issuer.Issuer, req *issuer.Request, got *issuer.Issued) {
	t.Helper()
	var above []*x509.Certificate
	if a, ok := issuer.As[issuer.Authority](i); ok {
		var err error
		if above, err = a.Certificates(t.Context()); err != nil {
			t.Errorf("the CA's certificates: %v", err)
		}
	}
	if err := issuer.Judge(req, got, above, s.now()); err != nil {
		t.Errorf("not what was asked for: %v", err)
		return
	}
	for n, c := range got.Chain { // each signed the one before it
		below := got.Leaf
		if n > 0 {
			below = got.Chain[n-1]
		}
		if err := below.CheckSignatureFrom(c); err != nil {
			t.Errorf("the chain is out of order at %d: %v", n, err)
		}
	}
	if len(got.Chain) > 0 && chain.SelfSigned(got.Chain[0]) && len(got.Chain) > 1 {
		t.Error("the root is in the middle of the chain")
	}
	if !req.NotAfter.IsZero() && got.Leaf.NotAfter.After(req.NotAfter.Add(time.Minute)) {
		t.Errorf("valid until %v, asked for %v", got.Leaf.NotAfter, req.NotAfter)
	}
}

// authority: the chain ends at what the CA says it is.
func (s *suite) authority(t *testing.T) {
	if s.lacks(Authorities) {
		t.Skip("no authority, as declared")
	}
	i := s.open(t)
	req := s.request(t)
	got := s.drive(t, i, req)
	a, _ := issuer.As[issuer.Authority](i)
	certs, err := a.Certificates(t.Context())
	if err != nil || len(certs) == 0 {
		t.Fatalf("%d certificates, %v", len(certs), err)
	}
	if issuer.SignerOf(got.Leaf, certs) == nil {
		t.Error("none of the CA's certificates signed the leaf")
	}
	if root := certs[len(certs)-1]; chain.SelfSigned(root) {
		if err := chain.Verify(got.Leaf, append(got.Chain, certs...), []*x509.Certificate{root}, req.DNSNames, s.now()); err != nil {
			t.Errorf("the chain does not reach the root: %v", err)
		}
	}
}

// renew: the same names again, another serial.
func (s *suite) renew(t *testing.T) {
	if s.lacks(Repeating) {
		t.Skip("one name is issued once, as declared")
	}
	i := s.open(t)
	first := s.request(t)
	old := s.drive(t, i, first)
	for _, sameKey := range []bool{false, true} {
		next := s.request(t, func(a *asked) {
			a.CommonName, a.DNSNames, a.Replaces = first.CommonName, first.DNSNames, old.Leaf
			if sameKey {
				a.csr = first.CSR
			}
		})
		got := s.drive(t, i, next)
		s.good(t, i, next, got)
		if got.Leaf.SerialNumber.Cmp(old.Leaf.SerialNumber) == 0 {
			t.Error("the serial of the certificate that it replaces")
		}
		old = got
	}
}

// concurrent: many at once, each its own.
func (s *suite) concurrent(t *testing.T) {
	i := s.open(t)
	const n = 8
	reqs, got, errs := make([]*issuer.Request, n), make([]*issuer.Issued, n), make([]error, n)
	for k := range n {
		reqs[k] = s.request(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*s.Within)
	defer cancel()
	var wg sync.WaitGroup
	for k := range n {
		wg.Go(func() { got[k], errs[k] = s.issueWith(ctx, i, reqs[k], nil) })
	}
	wg.Wait()
	seen := map[string]bool{}
	for k := range n {
		if errs[k] != nil {
			t.Errorf("%d: %v", k, errs[k])
			continue
		}
		s.good(t, i, reqs[k], got[k])
		if serial := got[k].Leaf.SerialNumber.String(); seen[serial] {
			t.Errorf("serial %s twice", serial)
		} else {
			seen[serial] = true
		}
	}
}

// restart: an order goes on from its stored state in another process.
func (s *suite) restart(t *testing.T) {
	if s.lacks(Restarting) {
		t.Skip("orders do not outlive the process, as declared")
	}
	ctx, cancel := context.WithTimeout(t.Context(), s.Within)
	defer cancel()
	req := s.request(t)
	got, err := s.issueWith(ctx, s.open(t), req, func() issuer.Issuer { return s.open(t) })
	if err != nil {
		t.Fatal(err)
	}
	s.good(t, s.open(t), req, got)
}

// find: what was issued is found after a crash, and nothing else.
func (s *suite) find(t *testing.T) {
	i := s.open(t)
	f, ok := issuer.As[issuer.Finder](i)
	if !ok {
		t.Skip("no finder, as declared")
	}
	req := s.request(t)
	if got, err := f.Find(t.Context(), req); err != nil || got != nil {
		t.Errorf("before anything was issued: %v, %v", got, err)
	}
	issued := s.drive(t, i, req)
	again, _ := issuer.As[issuer.Finder](s.open(t))
	got, err := again.Find(t.Context(), req)
	if err != nil || got == nil || !got.Leaf.Equal(issued.Leaf) {
		t.Fatalf("what was issued is not found: %+v, %v", got, err)
	}
	s.good(t, i, req, got)
}

// revoke with each reason, twice, and seen by the CA itself.
func (s *suite) revoke(t *testing.T) {
	i := s.open(t)
	r, ok := issuer.As[issuer.Revoker](i)
	if !ok {
		t.Skip("no revoker: the list is our own, or it is declared")
	}
	reasons := []revocation.Reason{
		revocation.Unspecified, revocation.KeyCompromise, revocation.AffiliationChanged, revocation.Superseded,
		revocation.CessationOfOperation,
	}
	for _, reason := range reasons {
		got := s.drive(t, i, s.request(t))
		for n := range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), s.Within)
			err := r.Revoke(ctx, got.Leaf, reason, got.State)
			cancel()
			if err != nil {
				if s.lacks(Reasons) && errors.Is(err, issuer.ErrRefused) {
					break
				}
				t.Errorf("%v, time %d: %v", reason, n+1, err)
			}
		}
		if s.Revoked == nil {
			continue
		}
		revoked, why, err := s.Revoked(t.Context(), got.Leaf)
		if err != nil || !revoked || (why != reason && !s.lacks(Reasons)) {
			t.Errorf("%v: the CA says revoked: %v, with %v (%v)", reason, revoked, why, err)
		}
	}
}

// hostile: what the CA should not have returned is not accepted.
func (s *suite) hostile(t *testing.T) {
	for name, config := range s.Hostile {
		t.Run(name, func(t *testing.T) {
			i, err := s.Kind.Open(t.Context(), config, s.Env)
			if err != nil {
				t.Fatal(err)
			}
			s.refused(t, i, s.request(t))
		})
	}
}

// refused: an error that tells and hides what it should, in time; or a
// certificate that the judge refuses.
func (s *suite) refused(t testing.TB, i issuer.Issuer, req *issuer.Request) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), s.Within)
	defer cancel()
	got, err := s.issueWith(ctx, i, req, nil)
	if err == nil {
		if issuer.Judge(req, got, nil, s.now()) == nil {
			t.Errorf("accepted: %+v", got.Leaf.Subject)
		}
		return
	}
	s.silent(t, "the error", err.Error())
}

func (s *suite) silent(t testing.TB, what, text string) {
	t.Helper()
	for _, secret := range s.Secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows a secret: %.300s", what, text)
		}
	}
}

func (s *suite) name() string {
	if s.Name != nil {
		return s.Name()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return fmt.Sprintf("t%d.example.com", s.n)
}

func (s *suite) now() time.Time {
	if s.Env.Now != nil {
		return s.Env.Now()
	}
	return time.Now()
}
