package crl

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/internal/der"
)

// maxSerialBits keeps the length of an encoded serial in one octet. RFC 5280
// allows 160 bits; lists that other CAs began may hold more.
const maxSerialBits = 120 * 8

// maxEntry is more than an entry can take.
const maxEntry = 256

// chunkSize is how many octets of entries are written before the next piece of
// memory is taken: nobody knows how many come.
const chunkSize = 1 << 20

// Extension identifiers with their element headers.
var (
	oidReason  = []byte{der.Sequence, 10, 0x06, 3, 0x55, 0x1d, 21, der.OctetString, 3, der.Enumerated, 1} // + code
	oidInvalid = []byte{der.Sequence, 24, 0x06, 3, 0x55, 0x1d, 24, der.OctetString, 17}                   // + GeneralizedTime
)

// entries are revokedCertificates, each encoded once, in the order in which they
// came.
type entries struct {
	latest time.Time // no revocation date is later
	delta  bool      // Good ones are removed from the list
	chunks [][]byte  // the last one is written to
	count  int
	size   int    // octets of all
	last   []byte // content of the last serial
	mixed  bool   // not in rising order of serials
	date   dateWriter
}

// add encodes one entry; it is the yield function of a Source.
func (e *entries) add(serial *big.Int, s revocation.Status) error {
	switch {
	case e.delta && s.State == revocation.Good:
		s = revocation.Status{State: revocation.Revoked, Reason: revocation.RemoveFromCRL, At: e.latest}
	case s.State != revocation.Revoked || s.Reason == revocation.RemoveFromCRL:
		return fmt.Errorf("%w: a CRL cannot list serial %x, which is %v (%v)", revocation.ErrBadStatus, serial, s.State, s.Reason)
	}
	if err := s.Check(); err != nil {
		return fmt.Errorf("serial %x: %w", serial, err)
	}
	at := s.At
	if at.After(e.latest) {
		at = e.latest
	}
	if err := der.CheckTime(at); err != nil {
		return fmt.Errorf("serial %x: %w", serial, err)
	}
	if err := der.CheckTime(s.Invalid); err != nil {
		return fmt.Errorf("serial %x: %w", serial, err)
	}
	if serial.BitLen() > maxSerialBits {
		return fmt.Errorf("a serial number of %d bits is too long for a CRL", serial.BitLen())
	}
	if e.size > math.MaxUint32-chunkSize {
		return errors.New("the CRL would be larger than 4 GiB; partition it")
	}
	b := e.room()
	start := len(b)
	b = append(b, der.Sequence, 0)
	b = der.AppendInteger(b, serial)
	content := b[start+4:]
	b = e.date.append(b, at)
	b = appendEntryExtensions(b, s)
	if n := len(b) - start - 2; n < 0x80 {
		b[start+1] = byte(n)
	} else { // a serial that no conforming CA makes
		body := append([]byte(nil), b[start+2:]...)
		b = der.Append(b[:start], der.Sequence, body)
		_, content = split(b[start:])
	}
	e.chunks[len(e.chunks)-1] = b
	e.mixed = e.mixed || e.count > 0 && compareSerials(e.last, content) >= 0
	e.last = content
	e.count++
	e.size += len(b) - start
	return nil
}

// room is the chunk to write to, with space for an entry.
func (e *entries) room() []byte {
	if n := len(e.chunks); n > 0 && cap(e.chunks[n-1])-len(e.chunks[n-1]) >= maxEntry {
		return e.chunks[n-1]
	}
	var b []byte
	if len(e.chunks) == 0 {
		b = make([]byte, 0, 4096) // most lists are short
	} else {
		b = chunks.Get().(*[chunkSize]byte)[:0]
	}
	e.chunks = append(e.chunks, b)
	return b
}

// chunks are used again: a list of a million entries takes fifty.
var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// release gives the chunks back. Nothing may refer to them any more.
func (e *entries) release() {
	for _, b := range e.chunks {
		if cap(b) == chunkSize {
			chunks.Put((*[chunkSize]byte)(b[:chunkSize]))
		}
	}
	e.chunks = nil
}

// appendEntryExtensions appends the crlEntryExtensions of RFC 5280 section 5.3,
// if any. The reason "unspecified" is said by saying none.
func appendEntryExtensions(b []byte, s revocation.Status) []byte {
	n := 0
	if !s.Invalid.IsZero() {
		n += 26
	}
	if s.Reason != revocation.Unspecified {
		n += 12
	}
	if n == 0 {
		return b
	}
	b = append(b, der.Sequence, byte(n))
	if !s.Invalid.IsZero() {
		b = append(b, oidInvalid...)
		b = der.AppendGeneralizedTime(b, s.Invalid)
	}
	if s.Reason != revocation.Unspecified {
		b = append(b, oidReason...)
		b = append(b, byte(s.Reason))
	}
	return b
}

// dateWriter appends times, and remembers the day: the dates of a list repeat.
type dateWriter struct {
	day    int64
	prefix [8]byte // tag, length, YYMMDD
	known  bool
}

// append writes t as der.AppendTime does.
func (d *dateWriter) append(b []byte, t time.Time) []byte {
	seconds := t.Unix()
	day := seconds / 86400
	if seconds < 0 || !d.known || day != d.day {
		start := len(b)
		b = der.AppendTime(b, t)
		if d.known = seconds >= 0 && b[start] == der.UTCTime; d.known {
			d.day = day
			copy(d.prefix[:], b[start:])
		}
		return b
	}
	rest := int(seconds - day*86400)
	two := func(n int) (byte, byte) { return byte('0' + n/10), byte('0' + n%10) }
	h1, h2 := two(rest / 3600)
	m1, m2 := two(rest / 60 % 60)
	s1, s2 := two(rest % 60)
	b = append(b, d.prefix[:]...)
	return append(b, h1, h2, m1, m2, s1, s2, 'Z')
}

// split is the entry at the beginning of b, and within it the content of its
// serial number. Entries are short: their length has one or two octets.
func split(b []byte) (entry, serial []byte) {
	header, size := 2, int(b[1])
	if size >= 0x80 {
		octets := size - 0x80
		header, size = 2+octets, 0
		for _, o := range b[2 : 2+octets] {
			size = size<<8 | int(o)
		}
	}
	first := header + 2
	return b[:header+size], b[first : first+int(b[header+1])]
}

// content is what comes into a list: pieces of encoded entries, or places of
// entries in chunks, which take less memory.
type content struct {
	pieces      [][]byte
	places      []place
	from        *entries
	count, size int // of entries, and their octets
}

// each yields the octets in their order.
func (c *content) each(yield func([]byte)) {
	for _, p := range c.pieces {
		yield(p)
	}
	for _, at := range c.places {
		yield(c.from.entry(at))
	}
}

// first is the content of the first n entries.
func (c *content) first(n int) *content {
	out := &content{}
	c.each(func(b []byte) {
		for len(b) > 0 && out.count < n {
			entry, _ := split(b)
			out.pieces, out.count, out.size = append(out.pieces, entry), out.count+1, out.size+len(entry)
			b = b[len(entry):]
		}
	})
	return out
}

func (e *entries) entry(at place) []byte {
	entry, _ := split(e.chunks[at.chunk()][at.offset():])
	return entry
}

// sorted is the content in the order of the serials, each serial once.
func (e *entries) sorted() *content {
	if !e.mixed {
		return &content{pieces: e.chunks, count: e.count, size: e.size}
	}
	c := &content{from: e}
	var last []byte
	order := e.order()
	c.places = order[:0]
	for _, at := range order {
		entry, serial := split(e.chunks[at.chunk()][at.offset():])
		if last != nil && bytes.Equal(last, serial) {
			continue
		}
		last = serial
		c.places = append(c.places, at)
		c.size += len(entry)
	}
	c.count = len(c.places)
	return c
}

// place is where an entry begins: a chunk, and an offset in it.
type place uint32

const offsetBits = 20

func (p place) chunk() int  { return int(p >> offsetBits) }
func (p place) offset() int { return int(p & (1<<offsetBits - 1)) }

// order sorts by serial, then by content. It compares eight octets in place of
// two entries, which lie anywhere in memory, wherever those tell.
func (e *entries) order() []place {
	type item struct {
		key uint32
		at  place
	}
	items := make([]item, 0, e.count)
	for c, b := range e.chunks {
		for i := 0; i < len(b); {
			entry, serial := split(b[i:])
			items = append(items, item{sortKey(serial), place(c<<offsetBits | i)})
			i += len(entry)
		}
	}
	slices.SortFunc(items, func(x, y item) int {
		if c := cmp.Compare(x.key, y.key); c != 0 {
			return c
		}
		ex, sx := split(e.chunks[x.at.chunk()][x.at.offset():])
		ey, sy := split(e.chunks[y.at.chunk()][y.at.offset():])
		return cmp.Or(compareSerials(sx, sy), bytes.Compare(ex, ey))
	})
	out := make([]place, len(items))
	for i := range items {
		out[i] = items[i].at
	}
	return out
}

// sortKey orders as compareSerials does, as far as it tells: length, then the
// first 25 bits.
func sortKey(serial []byte) uint32 {
	if serial[0] >= 0x80 {
		return 0
	}
	key := uint32(len(serial)) << 25
	for i := range min(4, len(serial)) {
		shift := 17 - 8*i
		if shift >= 0 {
			key |= uint32(serial[i]) << shift
		} else {
			key |= uint32(serial[i]) >> -shift
		}
	}
	return key
}

// compareSerials orders the contents of two INTEGERs by value; two negative
// ones, which no conforming CA issues, by their octets.
func compareSerials(x, y []byte) int {
	if (x[0]^y[0])&0x80 != 0 {
		return cmp.Compare(y[0], x[0])
	}
	if len(x) != len(y) {
		return cmp.Compare(len(x), len(y))
	}
	return bytes.Compare(x, y)
}
