package crl

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/internal/der"
	"github.com/certctl/certctl/revocation/internal/signing"
)

// Options say which list to build. CA, Signer, Number, ThisUpdate and NextUpdate
// are required.
type Options struct {
	CA     *x509.Certificate // with the cRLSign key usage and a subject key identifier
	Signer crypto.Signer     // the key of CA
	Number Number
	// ThisUpdate is the time of the facts in the list, NextUpdate when the next
	// one will be there at the latest. They are written in whole seconds.
	ThisUpdate, NextUpdate time.Time

	// Shard makes the list of one partition (RFC 5280 section 5.2.5): what the
	// source selects for it. Points are its URLs then, as the certificates of the
	// partition name them; they go into an issuing distribution point, which is
	// critical. The list of everything has neither.
	Shard  int
	Points []string
	// Freshest are the URLs of the delta of this list (section 5.2.6).
	Freshest []string
	// Base makes a delta CRL (section 5.2.4) of what changed after position Since
	// of the source: the position up to which the list with number Base knew.
	Base  Number
	Since int64
	// Previous, if set, is a list of the same CA and Shard that Build made, not a
	// delta, which knew up to position Since: only what changed is read from the
	// source. What may leave stays until a list is built without it.
	Previous []byte

	// Lint, if set, judges the list before it is signed for good: the list, or
	// where it is long one with as many entries as are worth a look, and the same
	// signature. If it fails, so does Build.
	Lint func(der []byte) error
}

// List is a signed CRL.
type List struct {
	DER                    []byte // not to be changed
	Number                 Number
	ThisUpdate, NextUpdate time.Time // UTC, whole seconds
	Count                  int       // of entries
}

// linted is how many entries Options.Lint sees at most. All are written by the
// same code, and a linter takes longer than all the rest.
const linted = 10_000

// Build makes and signs a CRL of a CA key: the entries that the source yields
// at ThisUpdate, sorted by serial. Equal inputs give equal lists if the key
// signs deterministically, as RSA, Ed25519 and in-memory ECDSA keys do.
//
// Entries are encoded as they come, about 50 octets each, and copied once. A
// serial that the source yields twice is listed once, with its earliest date. A
// revocation date after ThisUpdate, as clocks of replicas that differ make them,
// is written as ThisUpdate.
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
	changes := o.Base.n != nil || o.Previous != nil
	read := &entries{latest: o.ThisUpdate, delta: changes}
	defer read.release()
	err = src.Revoked(ctx, revocation.Selection{
		IssuerKeyID: revocation.KeyID(o.CA), Shard: o.Shard, At: o.ThisUpdate, Delta: changes, Since: o.Since,
	}, read.add)
	if err == nil {
		err = ctx.Err() // a source that ignores ctx may have stopped half-way
	}
	if err != nil {
		return nil, fmt.Errorf("crl: reading what %s revoked: %w", o.CA.Subject, err)
	}
	var c *content
	if o.Previous == nil {
		c = read.sorted()
	} else if c, err = merge(o.Previous, read); err != nil {
		return nil, err
	}
	list, err := encode(&o, c, algorithm)
	if err != nil {
		return nil, err
	}
	if err := o.lint(list, c, algorithm); err != nil {
		return nil, fmt.Errorf("crl: number %s of %s does not pass the lint and is not published: %w", o.Number, o.CA.Subject, err)
	}
	return &List{DER: list, Number: o.Number, ThisUpdate: o.ThisUpdate, NextUpdate: o.NextUpdate, Count: c.count}, nil
}

// lint shows the list to Options.Lint, or its beginning as a list.
func (o *Options) lint(list []byte, c *content, algorithm signing.Algorithm) error {
	if o.Lint == nil {
		return nil
	}
	if c.count <= linted {
		return o.Lint(list)
	}
	some := c.first(linted)
	head, tail := around(o, some, algorithm)
	// No linter checks the signature; one of the same form will do.
	return o.Lint(complete(assemble(o, head, some, tail, algorithm), make([]byte, 64), algorithm))
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
	if err := o.checkScope(); err != nil {
		return fmt.Errorf("crl: %w", err)
	}
	if err := signing.Belongs(o.CA, o.Signer); err != nil {
		return fmt.Errorf("crl: %w", err)
	}
	return nil
}

func (o *Options) checkScope() error {
	switch {
	case o.Shard < 0:
		return fmt.Errorf("there is no shard %d; they count from 1", o.Shard)
	case o.Shard > 0 && len(o.Points) == 0:
		return errors.New("the list of a shard needs Options.Points, its URLs: without an issuing distribution point it would pass for the whole list")
	case o.Base.n != nil && o.Previous != nil:
		return errors.New("Options.Base makes a delta, Options.Previous a whole list; set one")
	case o.Base.n != nil && len(o.Freshest) > 0:
		return errors.New("a delta has no freshest CRL (RFC 5280 section 5.2.6)")
	case o.Base.n != nil && o.Base.n.Cmp(o.Number.n) > 0:
		return fmt.Errorf("the base, number %s, is newer than its delta, number %s", o.Base, o.Number)
	}
	for _, text := range append(append([]string(nil), o.Points...), o.Freshest...) {
		if u, err := url.Parse(text); err != nil || u.Scheme == "" || u.Host == "" {
			return fmt.Errorf("%.200q is no absolute URL", text)
		}
		for _, c := range []byte(text) {
			if c <= 0x20 || c > 0x7e {
				return fmt.Errorf("the URL %.200q is not ASCII", text)
			}
		}
	}
	return nil
}
