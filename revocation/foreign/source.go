package foreign

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certctl/certctl/revocation"
)

// Options configure a Source. CA, CRL and Now are required.
type Options struct {
	CA *x509.Certificate
	// CRL is a file, or an http or https URL, of the CA's complete CRL in DER or
	// PEM.
	CRL string
	// Complete says that what is not on the CRL is good, though nobody knows
	// whether it was issued.
	Complete bool
	// Only says that the CRL is the CA's only one, though it names a distribution
	// point, as those of step-ca do. Complete says that too.
	Only bool
	// Index is a file of what was issued: OpenSSL's index.txt, or one serial in
	// hexadecimal a line. A serial that it marks as revoked is revoked even
	// before the CRL says so.
	Index string
	// HTTP fetches URLs, with limits of its own; required for them.
	HTTP   *http.Client
	Now    func() time.Time
	Logger *slog.Logger  // silent when nil
	MaxCRL int64         // octets; 256 MiB when 0
	Poll   time.Duration // how often files are looked at; 1 s when 0
	// Refetch is after how long a URL is fetched again at the latest; it is
	// fetched at half of the rest of the CRL's life too. 1 hour when 0.
	Refetch time.Duration
}

// Source is a revocation.Feed, made by Open.
type Source struct {
	o     Options
	keyID string
	log   *slog.Logger
	now   atomic.Pointer[state]

	mu     sync.Mutex // of what follows, and of changes of now
	crl    watched
	index  watched
	health Health
	opened bool
}

// state is what is known, at one position. It does not change.
type state struct {
	position int64
	crl      *parsed
	index    *index
	changed  []key // since the position before
	all      bool  // more than changed
}

var _ revocation.Feed = (*Source)(nil)

// ErrStale is returned by Status and Revoked while no CRL is at hand that holds.
var ErrStale = errors.New("foreign: there is no CRL that holds now")

// Open reads the CRL and the index. A file that cannot be used is an error; a
// URL that cannot be fetched now is tried again by Run.
func Open(ctx context.Context, o Options) (*Source, error) {
	if o.CA == nil || o.CRL == "" || o.Now == nil {
		return nil, errors.New("foreign: Options.CA, Options.CRL and Options.Now are required")
	}
	s := &Source{o: o, keyID: revocation.KeyID(o.CA), log: o.Logger}
	if s.remote() && o.HTTP == nil {
		return nil, errors.New("foreign: Options.HTTP is required to fetch a URL")
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.o.MaxCRL <= 0 {
		s.o.MaxCRL = 256 << 20
	}
	if s.o.Poll <= 0 {
		s.o.Poll = time.Second
	}
	if s.o.Refetch <= 0 {
		s.o.Refetch = time.Hour
	}
	s.health.Rejected = map[string]int{}
	s.now.Store(&state{position: 1})
	if err := s.Check(ctx); err != nil {
		var index *Rejected
		if !s.remote() || errors.As(err, &index) && index.Code == "index" {
			return nil, err
		}
	}
	s.opened = true
	return s, nil
}

func (s *Source) remote() bool {
	return strings.HasPrefix(s.o.CRL, "http://") || strings.HasPrefix(s.o.CRL, "https://")
}

// Status implements revocation.Source. The status holds until the CRL's
// nextUpdate.
func (s *Source) Status(_ context.Context, issuerKeyID string, serial *big.Int) (revocation.Status, error) {
	if issuerKeyID != s.keyID {
		return revocation.Status{}, revocation.ErrUnknownIssuer
	}
	at := s.now.Load()
	if at.crl == nil || !s.o.Now().Before(at.crl.NextUpdate) {
		return revocation.Status{}, ErrStale
	}
	out := revocation.Status{State: at.unlisted(serial, s.o.Complete)}
	if r, ok := at.crl.revoked.find(serial); ok {
		out = r.status()
	} else if at.index != nil {
		if r, ok := at.index.revoked.find(serial); ok {
			out = r.status()
		}
	}
	out.Until = at.crl.NextUpdate
	return out, nil
}

// unlisted is the state of a serial that nothing marks as revoked.
func (at *state) unlisted(serial *big.Int, complete bool) revocation.State {
	if complete {
		return revocation.Good
	}
	if k, ok := keyOf(serial); ok && at.index != nil {
		if _, found := slices.BinarySearchFunc(at.index.issued, k, func(x, y key) int { return bytes.Compare(x[:], y[:]) }); found {
			return revocation.Good
		}
	}
	return revocation.Unknown
}

// Revoked implements revocation.Source: the entries of the CRL. Partitions and
// deltas are the CA's to make.
func (s *Source) Revoked(_ context.Context, sel revocation.Selection, yield func(*big.Int, revocation.Status) error) error {
	at := s.now.Load()
	switch {
	case sel.IssuerKeyID != s.keyID:
		return revocation.ErrUnknownIssuer
	case sel.Shard != 0 || sel.Delta:
		return errors.New("foreign: the CRL of another CA has no shards and no deltas here")
	case at.crl == nil || !s.o.Now().Before(at.crl.NextUpdate):
		return ErrStale
	}
	return at.crl.revoked.each(func(n *big.Int, r record) error { return yield(n, r.status()) })
}

// Changes implements revocation.Feed.
func (s *Source) Changes(_ context.Context, issuerKeyID string, since int64, yield func(*big.Int) error) (int64, error) {
	if issuerKeyID != s.keyID {
		return since, revocation.ErrUnknownIssuer
	}
	at := s.now.Load()
	switch {
	case since == at.position:
		return since, nil
	case since != at.position-1 || at.all:
		return at.position, revocation.ErrAllChanged
	}
	n := new(big.Int)
	for i := range at.changed {
		if err := yield(n.SetBytes(at.changed[i][:])); err != nil {
			return since, err
		}
	}
	return at.position, nil
}

// List is the CRL that was accepted last; nil when there is none.
func (s *Source) List() *List {
	if at := s.now.Load(); at.crl != nil {
		return &at.crl.List
	}
	return nil
}

// Health is how a Source does.
type Health struct {
	Fresh    bool // the CRL holds
	List     *List
	Issued   int            // serials of the index
	Last     error          // why the CRL or index could not be taken last; nil when all is well
	LastAt   time.Time      // when that was
	Rejected map[string]int // how many were kept out so far, by Rejected.Code
}

// Health reports what an operator should know.
func (s *Source) Health() Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.health
	out.Rejected = make(map[string]int, len(s.health.Rejected))
	for code, n := range s.health.Rejected {
		out.Rejected[code] = n
	}
	at := s.now.Load()
	out.List = s.List()
	out.Fresh = out.List != nil && s.o.Now().Before(out.List.NextUpdate)
	if at.index != nil {
		out.Issued = len(at.index.issued)
	}
	return out
}

// swap makes the next state. The caller holds mu.
func (s *Source) swap(crl *parsed, x *index) {
	old := s.now.Load()
	next := &state{position: old.position + 1, crl: crl, index: x, all: true}
	if old.crl != nil && old.index == x {
		// The same entries on a newer list let answers hold for longer: those that
		// are kept may end with the old list, and are made again then.
		if changed, told := diff(&old.crl.revoked, &crl.revoked); told {
			next.changed, next.all = changed, false
		}
	}
	s.now.Store(next)
}

// accept judges a CRL against the clock and the one before.
func (s *Source) accept(p *parsed) error {
	now := s.o.Now()
	switch {
	case p.ThisUpdate.After(now.Add(clockSkew)):
		return reject("future", "the CRL begins at %s, which is to come; is the clock right?", stamp(p.ThisUpdate))
	case !now.Before(p.NextUpdate):
		return reject("expired", "the CRL ended at %s (nextUpdate)", stamp(p.NextUpdate))
	}
	old := s.now.Load().crl
	if old == nil {
		return nil
	}
	if p.Number != nil && old.Number != nil {
		if c := p.Number.Cmp(old.Number); c < 0 || c == 0 && !bytes.Equal(p.DER, old.DER) {
			return reject("older", "the CRL has number %v, and number %v was here before", p.Number, old.Number)
		}
	}
	if p.ThisUpdate.Before(old.ThisUpdate) {
		return reject("older", "the CRL is of %s, and one of %s was here before", stamp(p.ThisUpdate), stamp(old.ThisUpdate))
	}
	return nil
}

// clockSkew is how far the CA's clock may be ahead.
const clockSkew = 5 * time.Minute

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// note remembers a failure.
func (s *Source) note(ctx context.Context, what, where string, err error) error {
	err = fmt.Errorf("%s: %w", where, err)
	s.health.Last, s.health.LastAt = err, s.o.Now()
	var r *Rejected
	if errors.As(err, &r) {
		s.health.Rejected[r.Code]++
	}
	if s.opened || s.remote() { // otherwise Open returns it
		s.log.WarnContext(ctx, "not taken; what was here before is used on", "what", what, "error", err)
	}
	return err
}
