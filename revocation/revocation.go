// Package revocation is the vocabulary of certificate revocation: reasons,
// statuses, and the small [Source] that the signers read.
//
// revocation/crl builds and signs CRLs, revocation/ocsp answers OCSP requests,
// and revocation/responder serves both over HTTP. They need nothing else of
// this module: bring any Source, a CA certificate and a crypto.Signer.
package revocation

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// ErrUnknownIssuer is returned by a Source that does not answer for a CA key.
var ErrUnknownIssuer = errors.New("revocation: not an issuer of this source")

// Reason is a CRLReason of RFC 5280 section 5.3.1.
type Reason int

const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	CACompromise         Reason = 2
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	CertificateHold      Reason = 6
	RemoveFromCRL        Reason = 8 // delta CRLs only
	PrivilegeWithdrawn   Reason = 9
	AACompromise         Reason = 10
)

// reasonNames has no name for the code 7, which is not used.
var reasonNames = [...]string{
	Unspecified: "unspecified", KeyCompromise: "keyCompromise", CACompromise: "caCompromise",
	AffiliationChanged: "affiliationChanged", Superseded: "superseded",
	CessationOfOperation: "cessationOfOperation", CertificateHold: "certificateHold",
	RemoveFromCRL: "removeFromCRL", PrivilegeWithdrawn: "privilegeWithdrawn", AACompromise: "aACompromise",
}

// Reasons are the ones with which a certificate can be revoked by request, in
// the order of their codes.
var Reasons = []Reason{
	Unspecified, KeyCompromise, CACompromise, AffiliationChanged, Superseded,
	CessationOfOperation, CertificateHold, PrivilegeWithdrawn,
}

// String is the name of RFC 5280: "keyCompromise".
func (r Reason) String() string {
	if r.exists() {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason(%d)", int(r))
}

func (r Reason) exists() bool {
	return r >= 0 && int(r) < len(reasonNames) && reasonNames[r] != ""
}

// ParseReason reads a name of Reasons, exactly as String writes it.
func ParseReason(s string) (Reason, error) {
	for _, r := range Reasons {
		if r.String() == s {
			return r, nil
		}
	}
	return 0, fmt.Errorf("revocation reason %.40q is not one of unspecified, keyCompromise, caCompromise, "+
		"affiliationChanged, superseded, cessationOfOperation, certificateHold, privilegeWithdrawn", s)
}

// State is what is known of a serial.
type State int

const (
	// Unknown: the CA key never signed this serial, as far as the source knows.
	Unknown State = iota
	Good
	Revoked
)

func (s State) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Good:
		return "good"
	case Revoked:
		return "revoked"
	}
	return fmt.Sprintf("state(%d)", int(s))
}

// Status is the revocation status of one serial.
type Status struct {
	State    State
	Reason   Reason    // when Revoked
	At       time.Time // when Revoked: since when, UTC
	Invalid  time.Time // invalidity date (RFC 5280 section 5.3.2), if known
	NotAfter time.Time // of the certificate, if known
	Until    time.Time // to which the source vouches for it; zero when it has no bound
}

// Source is where signers learn what is revoked. Implementations are safe for
// concurrent use.
type Source interface {
	// Status returns the status of a serial. A serial that was never issued is
	// Unknown without an error; ErrUnknownIssuer when the source does not
	// answer for the key; any other error means that the status cannot be
	// known now, and nothing may be signed.
	Status(ctx context.Context, issuerKeyID string, serial *big.Int) (Status, error)
	// Revoked yields what a selection selects, each serial once, in any order,
	// until yield fails. yield must not keep the serial, which may change after
	// it returns.
	Revoked(ctx context.Context, sel Selection, yield func(serial *big.Int, s Status) error) error
}

// Selection says which entries a CRL wants.
type Selection struct {
	IssuerKeyID string
	// Shard is the partition (RFC 5280 section 5.2.5), 1, 2, …; 0 selects the
	// certificates of every partition, and those of none.
	Shard int
	// At is the thisUpdate of the list. An entry is left out only after a list
	// of the same Shard with a thisUpdate later than the certificate's expiry
	// carried it.
	At time.Time
	// Delta selects what changed after position Since of the source's Feed, for
	// a delta CRL: serials that are revoked, and Good ones that were on hold.
	Delta bool
	Since int64
}

// Feed is a Source that tells which statuses change, so that answers made from
// it can be kept until they do.
type Feed interface {
	Source
	// Changes yields the serials whose status changed after position since (0
	// is the beginning), and returns the position up to which it did, which is
	// never before since. A change that commits later has a later position.
	// ErrAllChanged, with the position, when it cannot tell which.
	Changes(ctx context.Context, issuerKeyID string, since int64, yield func(serial *big.Int) error) (int64, error)
}

// ErrAllChanged is returned by Feed.Changes when any status may have changed.
var ErrAllChanged = errors.New("revocation: any status may have changed")

// ShardOf chooses the partition of a new certificate, 1 to shards, by the random
// bits of its serial; 0 when shards is 0. What it chose is kept with the
// certificate, so that shards may change.
func ShardOf(serial *big.Int, shards int) int {
	if shards <= 0 {
		return 0
	}
	low := new(big.Int).And(serial, big.NewInt(1<<31-1))
	return 1 + int(low.Int64())%shards
}

// KeyID names a CA key: lower-case hex SHA-256 of its SubjectPublicKeyInfo.
// Two certificates for one key and name (a renewed CA) share it.
func KeyID(ca *x509.Certificate) string {
	sum := sha256.Sum256(ca.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}
