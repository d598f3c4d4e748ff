package issuer

import (
	"crypto/rand"
	"math/big"
)

// NewSerial returns a serial number of 127 random bits: positive, not zero,
// and at most 16 octets long (RFC 5280 section 4.1.2.2; CA/B Forum BR 7.1 asks
// for 64 bits from a CSPRNG).
func NewSerial() *big.Int {
	for {
		var b [16]byte
		rand.Read(b[:]) // never fails: crypto/rand ends the process instead
		b[0] &= 0x7f
		// Of the rare short ones none is used, so that the length tells nothing.
		if n := new(big.Int).SetBytes(b[:]); n.BitLen() > 64 {
			return n
		}
	}
}
