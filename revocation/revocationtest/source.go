// Package revocationtest has what tests of revocation need: a revocation.Source
// in memory, and certificate authorities with OCSP delegates.
package revocationtest

import (
	"context"
	"crypto/x509"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/certctl/certctl/revocation"
)

// Source is a revocation.Feed in memory. The zero value is ready, and knows no
// CA; it must not be copied.
type Source struct {
	// Shards is how many partitions serials are spread over as they are issued;
	// none when 0.
	Shards int

	mu       sync.Mutex
	cas      map[string]map[string]*entry // by key ID, by decimal serial
	sequence int64
	err      error
}

type entry struct {
	serial  *big.Int
	status  revocation.Status
	shard   int
	changed int64             // sequence of the last change of status; 0 when it was only issued
	carried map[int]time.Time // by shard of the list
}

var _ revocation.Feed = (*Source)(nil)

// Issue makes a serial Good. A zero notAfter keeps its revocation on CRLs for
// ever. Issue with no serial makes the CA known, without a certificate.
func (s *Source) Issue(ca *x509.Certificate, notAfter time.Time, serials ...*big.Int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cas == nil {
		s.cas = map[string]map[string]*entry{}
	}
	id := revocation.KeyID(ca)
	if s.cas[id] == nil {
		s.cas[id] = map[string]*entry{}
	}
	for _, n := range serials {
		s.cas[id][n.String()] = &entry{
			serial: new(big.Int).Set(n), status: revocation.Status{State: revocation.Good, NotAfter: notAfter},
			shard: revocation.ShardOf(n, s.Shards), carried: map[int]time.Time{},
		}
	}
}

// Revoke revokes a serial since at. A serial that was never issued is an error,
// and so is one that is revoked already, unless it was on hold.
func (s *Source) Revoke(ca *x509.Certificate, serial *big.Int, reason revocation.Reason, at time.Time) error {
	return s.change(ca, serial, func(st *revocation.Status) error {
		if st.State == revocation.Revoked && st.Reason != revocation.CertificateHold {
			return fmt.Errorf("revocationtest: serial %x is revoked already", serial)
		}
		st.State, st.Reason, st.At = revocation.Revoked, reason, at.UTC()
		return nil
	})
}

// SetInvalid sets the invalidity date of a revoked serial.
func (s *Source) SetInvalid(ca *x509.Certificate, serial *big.Int, since time.Time) error {
	return s.change(ca, serial, func(st *revocation.Status) error {
		st.Invalid = since
		return nil
	})
}

// Release makes a serial on hold Good again.
func (s *Source) Release(ca *x509.Certificate, serial *big.Int) error {
	return s.change(ca, serial, func(st *revocation.Status) error {
		if st.State != revocation.Revoked || st.Reason != revocation.CertificateHold {
			return fmt.Errorf("revocationtest: serial %x is not on hold", serial)
		}
		*st = revocation.Status{State: revocation.Good, NotAfter: st.NotAfter}
		return nil
	})
}

// Fail makes every question fail with err until it is called with nil.
func (s *Source) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Published says that a list of this shard (0: all) with this thisUpdate carried
// every entry; those of certificates that had expired by then leave.
func (s *Source) Published(ca *x509.Certificate, shard int, thisUpdate time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.cas[revocation.KeyID(ca)] {
		if e.status.State == revocation.Revoked && (shard == 0 || shard == e.shard) && thisUpdate.After(e.carried[shard]) {
			e.carried[shard] = thisUpdate
		}
	}
}

func (s *Source) change(ca *x509.Certificate, serial *big.Int, f func(*revocation.Status) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.cas[revocation.KeyID(ca)][serial.String()]
	if e == nil {
		return fmt.Errorf("revocationtest: serial %x was never issued", serial)
	}
	if err := f(&e.status); err != nil {
		return err
	}
	s.sequence++
	e.changed = s.sequence
	return nil
}

// Status implements revocation.Source.
func (s *Source) Status(ctx context.Context, issuerKeyID string, serial *big.Int) (revocation.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	serials, err := s.known(ctx, issuerKeyID)
	if err != nil {
		return revocation.Status{}, err
	}
	if e := serials[serial.String()]; e != nil {
		return e.status, nil
	}
	return revocation.Status{}, nil
}

// Revoked implements revocation.Source. yield may call the Source's methods.
func (s *Source) Revoked(ctx context.Context, sel revocation.Selection, yield func(*big.Int, revocation.Status) error) error {
	return s.each(ctx, sel.IssuerKeyID, func(e *entry) bool {
		switch {
		case sel.Shard > 0 && e.shard != sel.Shard:
			return false
		case sel.Delta:
			return e.changed > sel.Since
		default:
			return e.status.State == revocation.Revoked && !revocation.MayLeave(e.status.NotAfter, e.carried[sel.Shard])
		}
	}, func(e entry) error { return yield(e.serial, e.status) })
}

// Changes implements revocation.Feed.
func (s *Source) Changes(ctx context.Context, issuerKeyID string, since int64, yield func(*big.Int) error) (int64, error) {
	s.mu.Lock()
	now := s.sequence
	s.mu.Unlock()
	if now < since {
		return now, revocation.ErrAllChanged
	}
	err := s.each(ctx, issuerKeyID, func(e *entry) bool { return e.changed > since }, func(e entry) error { return yield(e.serial) })
	if err != nil {
		return since, err
	}
	return now, nil
}

// each calls yield with copies of the entries that want wants.
func (s *Source) each(ctx context.Context, issuerKeyID string, want func(*entry) bool, yield func(entry) error) error {
	s.mu.Lock()
	serials, err := s.known(ctx, issuerKeyID)
	var listed []entry
	for _, e := range serials {
		if want(e) {
			listed = append(listed, *e)
		}
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	for _, e := range listed {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

func (s *Source) known(ctx context.Context, issuerKeyID string) (map[string]*entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.err != nil {
		return nil, s.err
	}
	serials, ok := s.cas[issuerKeyID]
	if !ok {
		return nil, revocation.ErrUnknownIssuer
	}
	return serials, nil
}
