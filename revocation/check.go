package revocation

import (
	"errors"
	"fmt"
	"time"
)

// ErrBadStatus is matched by the errors of Status.Check.
var ErrBadStatus = errors.New("revocation: a status that must not be signed")

// Check reports why a status that a Source returned must not be signed: a
// state or reason that does not exist, or a revocation without a time. It
// matches ErrBadStatus.
func (s Status) Check() error {
	switch s.State {
	case Unknown, Good:
		return nil
	case Revoked:
	default:
		return fmt.Errorf("%w: %v does not exist", ErrBadStatus, s.State)
	}
	if !s.Reason.exists() {
		return fmt.Errorf("%w: %v is not a CRLReason of RFC 5280 section 5.3.1", ErrBadStatus, s.Reason)
	}
	if s.At.IsZero() {
		return fmt.Errorf("%w: revoked, but not since when", ErrBadStatus)
	}
	return nil
}

// MayLeave reports whether the entry of a certificate that expires at notAfter
// may be left out of CRLs (RFC 5280 section 3.3): some CRL with a thisUpdate
// later than that carried it. carried is the latest thisUpdate of the CRLs
// that did; zero when none has. An unknown expiry (zero) never lets it leave.
func MayLeave(notAfter, carried time.Time) bool {
	return !notAfter.IsZero() && carried.After(notAfter)
}
