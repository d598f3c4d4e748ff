package crl

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/internal/der"
)

// maxSerialBits keeps the length of an encoded serial in one octet. RFC 5280
// allows 160 bits; lists that other CAs began may hold more.
const maxSerialBits = 120 * 8

// Extension identifiers with their element headers.
var (
	oidReason  = []byte{der.Sequence, 10, 0x06, 3, 0x55, 0x1d, 21, der.OctetString, 3, der.Enumerated, 1} // + code
	oidInvalid = []byte{der.Sequence, 24, 0x06, 3, 0x55, 0x1d, 24, der.OctetString, 17}                   // + GeneralizedTime
)

// entries are the revokedCertificates, each encoded once into one buffer.
type entries struct {
	latest time.Time // no revocation date is later
	buf    []byte
	order  []uint32 // where each entry begins in buf
}

// add encodes one entry; it is the yield function of a Source.
func (e *entries) add(serial *big.Int, s revocation.Status) error {
	if s.State != revocation.Revoked || s.Reason == revocation.RemoveFromCRL {
		return fmt.Errorf("%w: a full CRL cannot list serial %x, which is %v (%v)", revocation.ErrBadStatus, serial, s.State, s.Reason)
	}
	if err := s.Check(); err != nil {
		return fmt.Errorf("serial %x: %w", serial, err)
	}
	at := s.At.UTC()
	if at.After(e.latest) {
		at = e.latest
	}
	if err := errors.Join(der.CheckTime(at), der.CheckTime(s.Invalid)); err != nil {
		return fmt.Errorf("serial %x: %w", serial, err)
	}
	if serial.BitLen() > maxSerialBits {
		return fmt.Errorf("a serial number of %d bits is too long for a CRL", serial.BitLen())
	}
	if len(e.buf) > math.MaxUint32-1024 {
		return errors.New("the CRL would be larger than 4 GiB; partition it")
	}
	start := len(e.buf)
	e.order = append(e.order, uint32(start))
	e.buf = der.AppendInteger(e.buf, serial)
	e.buf = der.AppendTime(e.buf, at)
	e.appendExtensions(s)
	e.buf = der.Wrap(e.buf, start, der.Sequence)
	return nil
}

// appendExtensions appends the crlEntryExtensions of RFC 5280 section 5.3, if
// any. The reason "unspecified" is said by saying none.
func (e *entries) appendExtensions(s revocation.Status) {
	start := len(e.buf)
	if !s.Invalid.IsZero() {
		e.buf = append(e.buf, oidInvalid...)
		e.buf = der.AppendGeneralizedTime(e.buf, s.Invalid)
	}
	if s.Reason != revocation.Unspecified {
		e.buf = append(e.buf, oidReason...)
		e.buf = append(e.buf, byte(s.Reason))
	}
	if len(e.buf) > start {
		e.buf = der.Wrap(e.buf, start, der.Sequence)
	}
}

// at is the entry that begins at start, and within it the content of its
// serial number.
func (e *entries) at(start uint32) (entry, serial []byte) {
	b := e.buf[start:]
	header, size := 2, int(b[1])
	if size >= 0x80 { // one or two octets of length: entries are short
		octets := size - 0x80
		header, size = 2+octets, 0
		for _, o := range b[2 : 2+octets] {
			size = size<<8 | int(o)
		}
	}
	first := header + 2
	return b[:header+size], b[first : first+int(b[header+1])]
}

// sort puts the entries into the order of their serials, each once.
func (e *entries) sort() {
	slices.SortFunc(e.order, func(x, y uint32) int {
		ex, sx := e.at(x)
		ey, sy := e.at(y)
		return cmp.Or(compareSerials(sx, sy), bytes.Compare(ex, ey))
	})
	e.order = slices.CompactFunc(e.order, func(x, y uint32) bool {
		_, sx := e.at(x)
		_, sy := e.at(y)
		return bytes.Equal(sx, sy)
	})
}

// compareSerials orders the contents of two INTEGERs by value; two negative
// ones, which no conforming CA issues, by their octets.
func compareSerials(x, y []byte) int {
	return cmp.Or(cmp.Compare(^x[0]>>7, ^y[0]>>7), cmp.Compare(len(x), len(y)), bytes.Compare(x, y))
}

// size is how many octets the entries in order take.
func (e *entries) size() int {
	n := 0
	for _, start := range e.order {
		entry, _ := e.at(start)
		n += len(entry)
	}
	return n
}
