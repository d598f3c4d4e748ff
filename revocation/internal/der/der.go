// Package der appends DER (ITU-T X.690) to byte slices: the few elements of
// which CRLs and OCSP responses consist, without an object for each.
package der

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"math/bits"
	"time"
)

// Tags of the elements that are written.
const (
	Boolean         = 0x01
	Integer         = 0x02
	BitString       = 0x03
	OctetString     = 0x04
	Enumerated      = 0x0a
	UTCTime         = 0x17
	GeneralizedTime = 0x18
	Sequence        = 0x30
)

// Context is the tag [n] of a constructed, context-specific element.
func Context(n byte) byte { return 0xa0 | n }

// HeaderSize is how many octets tag and length of n content octets take.
func HeaderSize(n int) int {
	size := 2
	if n >= 0x80 {
		for ; n > 0; n >>= 8 {
			size++
		}
	}
	return size
}

// AppendHeader appends tag and length of n content octets.
func AppendHeader(b []byte, tag byte, n int) []byte {
	if n < 0x80 {
		return append(b, tag, byte(n))
	}
	octets := HeaderSize(n) - 2
	b = append(b, tag, 0x80|byte(octets))
	for i := octets - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i)))
	}
	return b
}

// Append appends an element with the given content.
func Append(b []byte, tag byte, content []byte) []byte {
	return append(AppendHeader(b, tag, len(content)), content...)
}

// Wrap makes b[start:] the content of an element. It moves those octets, so
// it is for small ones.
func Wrap(b []byte, start int, tag byte) []byte {
	n := len(b) - start
	var header [10]byte
	h := AppendHeader(header[:0], tag, n)
	b = append(b, h...)
	copy(b[start+len(h):], b[start:start+n])
	copy(b[start:], h)
	return b
}

// AppendInteger appends an INTEGER.
func AppendInteger(b []byte, n *big.Int) []byte {
	if n.Sign() < 0 {
		return appendNegative(b, n)
	}
	size := n.BitLen()/8 + 1 // room for a leading zero bit
	b = AppendHeader(b, Integer, size)
	if words := n.Bits(); len(words) > 0 && bits.UintSize == 64 {
		return appendWords(b, words, size)
	}
	start := len(b)
	b = append(b, make([]byte, size)...)
	n.FillBytes(b[start:])
	return b
}

// appendWords appends size octets of a number: its words, the least first.
func appendWords(b []byte, words []big.Word, size int) []byte {
	top := size - 8*(len(words)-1) // octets of the first word: 1 to 9
	if top == 9 {
		b, top = append(b, 0), 8
	}
	first := uint64(words[len(words)-1])
	for i := top - 1; i >= 0; i-- {
		b = append(b, byte(first>>(8*i)))
	}
	for i := len(words) - 2; i >= 0; i-- {
		b = binary.BigEndian.AppendUint64(b, uint64(words[i]))
	}
	return b
}

// appendNegative writes two's complement: 2^(8*size) + n.
func appendNegative(b []byte, n *big.Int) []byte {
	size := new(big.Int).Not(n).BitLen()/8 + 1
	complement := new(big.Int).Lsh(big.NewInt(1), uint(size)*8)
	complement.Add(complement, n)
	b = AppendHeader(b, Integer, size)
	start := len(b)
	b = append(b, make([]byte, size)...)
	complement.FillBytes(b[start:])
	return b
}

// AppendBitString appends a BIT STRING of whole octets.
func AppendBitString(b, octets []byte) []byte {
	b = append(AppendHeader(b, BitString, len(octets)+1), 0)
	return append(b, octets...)
}

// AppendGeneralizedTime appends t in UTC and whole seconds (RFC 5280 section
// 4.1.2.5.2). The year must be one of CheckTime.
func AppendGeneralizedTime(b []byte, t time.Time) []byte {
	b = append(b, GeneralizedTime, 15)
	return t.UTC().AppendFormat(b, "20060102150405Z")
}

// AppendTime appends t as RFC 5280 section 4.1.2.5 wants it: UTCTime from 1950
// to 2049, GeneralizedTime otherwise.
func AppendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	if y := t.Year(); y < 1950 || y > 2049 {
		return AppendGeneralizedTime(b, t)
	}
	b = append(b, UTCTime, 13)
	return t.AppendFormat(b, "060102150405Z")
}

// CheckTime reports whether t can be written at all: years 0 to 9999.
func CheckTime(t time.Time) error {
	if s := t.Unix(); s >= -62167219200 && s < 253402300800 {
		return nil
	}
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return fmt.Errorf("year %d cannot be written in a certificate structure", y)
	}
	return nil
}
