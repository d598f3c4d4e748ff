package crl

import (
	"errors"
	"math/big"
	"time"
)

// Number is a CRL number (RFC 5280 section 5.2.3). Only NextNumber makes new
// ones, so that numbers rise by construction; NumberOf names one that was used.
type Number struct{ n *big.Int }

// maxNumber is the largest number of 20 octets: 2^159 - 1.
var maxNumber = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 159), big.NewInt(1))

// NextNumber is the larger of previous+1 and now in microseconds since 1970. Time
// is in it so that numbers rise even if previous was lost, or came from a
// backup: no list is made in a microsecond, so that numbers never run ahead of
// the clock. previous, the largest number known to be used (nil for none), is in
// it so that they rise when the clock does not.
//
// It fails when previous is negative, or no number of 20 octets is larger.
func NextNumber(previous *big.Int, now time.Time) (Number, error) {
	next := big.NewInt(max(now.UnixMicro(), 1))
	if previous == nil {
		return Number{next}, nil
	}
	if previous.Sign() < 0 {
		return Number{}, errors.New("crl: the previous CRL number is negative, which RFC 5280 section 5.2.3 does not allow")
	}
	if after := new(big.Int).Add(previous, big.NewInt(1)); after.Cmp(next) > 0 {
		next = after
	}
	if next.Cmp(maxNumber) > 0 {
		return Number{}, errors.New("crl: the previous CRL number is the last one of 20 octets (RFC 5280 section 5.2.3); the CA needs a new key")
	}
	return Number{next}, nil
}

// NumberOf is the number of a list that exists, for Options.Base.
func NumberOf(used *big.Int) (Number, error) {
	if used == nil || used.Sign() < 0 || used.Cmp(maxNumber) > 0 {
		return Number{}, errors.New("crl: that is no CRL number (RFC 5280 section 5.2.3)")
	}
	return Number{new(big.Int).Set(used)}, nil
}

// Int is the number; nil for the zero Number.
func (n Number) Int() *big.Int {
	if n.n == nil {
		return nil
	}
	return new(big.Int).Set(n.n)
}

// String is the number in decimal.
func (n Number) String() string {
	if n.n == nil {
		return "none"
	}
	return n.n.String()
}
