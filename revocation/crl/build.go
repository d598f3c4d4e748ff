package crl

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/internal/der"
	"github.com/certctl/certctl/revocation/internal/signing"
)

// Options say which list to build. All but Lint are required.
type Options struct {
	CA     *x509.Certificate // with the cRLSign key usage and a subject key identifier
	Signer crypto.Signer     // the key of CA
	Number Number
	// ThisUpdate is the time of the facts in the list, NextUpdate when the next
	// one will be there at the latest. They are written in whole seconds.
	ThisUpdate, NextUpdate time.Time
	// Lint, if set, judges the signed list; if it fails, so does Build.
	Lint func(der []byte) error
}

// List is a signed CRL.
type List struct {
	DER                    []byte // not to be changed
	Number                 Number
	ThisUpdate, NextUpdate time.Time // UTC, whole seconds
	Count                  int       // of entries
}

// Build makes and signs the full CRL of a CA key: every entry that the source
// yields at ThisUpdate, sorted by serial. Equal inputs give equal lists if the
// key signs deterministically, as RSA, Ed25519 and in-memory ECDSA keys do.
//
// A serial that the source yields twice is listed once, with its earliest
// date. A revocation date after ThisUpdate, as clocks of replicas that differ
// make them, is written as ThisUpdate.
//
// It fails, and returns nothing, when the options are unfit, when the source
// fails (its error is wrapped) or yields what must not be signed
// (revocation.ErrBadStatus), when the signer fails, and when Lint objects.
func Build(ctx context.Context, src revocation.Source, o Options) (*List, error) {
	o.ThisUpdate, o.NextUpdate = o.ThisUpdate.UTC().Truncate(time.Second), o.NextUpdate.UTC().Truncate(time.Second)
	if err := o.check(); err != nil {
		return nil, err
	}
	algorithm, err := signing.ForKey(o.CA.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("crl: %w", err)
	}
	entries := entries{latest: o.ThisUpdate}
	err = src.Revoked(ctx, revocation.Selection{IssuerKeyID: revocation.KeyID(o.CA), At: o.ThisUpdate}, entries.add)
	if err == nil {
		err = ctx.Err() // a source that ignores ctx may have stopped half-way
	}
	if err != nil {
		return nil, fmt.Errorf("crl: reading what %s revoked: %w", o.CA.Subject, err)
	}
	entries.sort()
	list, err := encode(&o, &entries, algorithm)
	if err != nil {
		return nil, err
	}
	if o.Lint != nil {
		if err := o.Lint(list); err != nil {
			return nil, fmt.Errorf("crl: number %s of %s does not pass the lint and is not published: %w", o.Number, o.CA.Subject, err)
		}
	}
	return &List{DER: list, Number: o.Number, ThisUpdate: o.ThisUpdate, NextUpdate: o.NextUpdate, Count: len(entries.order)}, nil
}

func (o *Options) check() error {
	switch {
	case o.CA == nil || o.Signer == nil:
		return errors.New("crl: Options.CA and Options.Signer are required")
	case o.Number.n == nil:
		return errors.New("crl: Options.Number is required; NextNumber makes it")
	case o.CA.KeyUsage&x509.KeyUsageCRLSign == 0:
		return fmt.Errorf("crl: the certificate of %s lacks the key usage cRLSign (RFC 5280 section 4.2.1.3)", o.CA.Subject)
	case len(o.CA.SubjectKeyId) == 0:
		return fmt.Errorf("crl: the certificate of %s has no subject key identifier, to which a CRL must refer (RFC 5280 section 5.2.1)", o.CA.Subject)
	case !o.NextUpdate.After(o.ThisUpdate):
		return fmt.Errorf("crl: NextUpdate %s is not after ThisUpdate %s", o.NextUpdate.Format(time.RFC3339), o.ThisUpdate.Format(time.RFC3339))
	}
	if err := errors.Join(der.CheckTime(o.ThisUpdate), der.CheckTime(o.NextUpdate)); err != nil {
		return fmt.Errorf("crl: %w", err)
	}
	if err := signing.Belongs(o.CA, o.Signer); err != nil {
		return fmt.Errorf("crl: %w", err)
	}
	return nil
}
