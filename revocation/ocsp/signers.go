package ocsp

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// issuerList is what Options.Issuers returned last.
type issuerList struct {
	list []*Issuer
	at   time.Time
}

// issuersFor is how long a list is used.
const issuersFor = time.Second

// errForeign: the request names a CA that is not served.
var errForeign = errors.New("ocsp: the request names a CA that is not served here")

func statusOf(err error) ResponseStatus {
	if errors.Is(err, errForeign) {
		return Unauthorized
	}
	return TryLater
}

// known returns the issuers, asking again when the last list is old. One asks;
// the others use the old list meanwhile, if there is one.
func (r *Responder) known(ctx context.Context, now time.Time) ([]*Issuer, error) {
	last := r.issuers.Load()
	if last != nil && now.Sub(last.at).Abs() < issuersFor {
		return last.list, nil
	}
	if last == nil {
		r.issuersMu.Lock()
	} else if !r.issuersMu.TryLock() {
		return last.list, nil
	}
	defer r.issuersMu.Unlock()
	if again := r.issuers.Load(); again != last {
		return again.list, nil
	}
	list, err := r.o.Issuers(ctx)
	if err != nil {
		err = fmt.Errorf("ocsp: the issuers cannot be told now: %w", err)
		if last == nil {
			return nil, err
		}
		r.health.note(now, err)
		list = last.list
	}
	r.issuers.Store(&issuerList{list, now})
	return list, nil
}

// signer returns who signs for the CA of the first CertID that names one which
// is served, and until when they may. Errors: errForeign, or one that time may
// mend.
func (r *Responder) signer(ctx context.Context, now time.Time, ids []CertID) (*Issuer, time.Time, error) {
	issuers, err := r.known(ctx, now)
	if err != nil {
		return nil, time.Time{}, err
	}
	ca := find(issuers, ids)
	if ca == nil {
		return nil, time.Time{}, errForeign
	}
	signer, until := choose(issuers, ca, now)
	if signer == nil {
		return nil, time.Time{}, fmt.Errorf("ocsp: no certificate that may sign for %s is valid at %s", ca.ca.Subject, now.UTC().Format(time.RFC3339))
	}
	return signer, until, nil
}

// find returns an Issuer of the first CA that a CertID names.
func find(issuers []*Issuer, ids []CertID) *Issuer {
	for n := range ids {
		for _, i := range issuers {
			if i.matches(&ids[n]) {
				return i
			}
		}
	}
	return nil
}

// choose returns who signs for a CA at now, and until when they may.
func choose(issuers []*Issuer, ca *Issuer, now time.Time) (*Issuer, time.Time) {
	var best *Issuer
	var until time.Time
	for _, i := range issuers {
		end := i.until(now)
		if end.IsZero() || !i.sameCA(ca) {
			continue
		}
		if best == nil || i.cert.NotBefore.After(best.cert.NotBefore) {
			best, until = i, end
		}
	}
	return best, until
}
