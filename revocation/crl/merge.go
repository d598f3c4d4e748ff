package crl

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certctl/certctl/revocation"
)

// errUnsorted: a list that Build did not make.
var errUnsorted = errors.New("crl: the previous list is not in the order of its serials; it was not made here")

// merge is the previous list's entries with the changes, as pieces of both. A change to removeFromCRL leaves the entry out.
func merge(previous []byte, changes *entries) (*content, error) {
	old, err := revokedCertificates(previous)
	if err != nil {
		return nil, err
	}
	out := &content{}
	next := iterate(changes.sorted())
	change, serial := next()
	kept := 0 // where the piece of old begins that is not in pieces yet
	take := func(piece []byte) {
		if len(piece) > 0 {
			out.pieces, out.size = append(out.pieces, piece), out.size+len(piece)
		}
	}
	insert := func() {
		if !removes(change) {
			take(change)
			out.count++
		}
		change, serial = next()
	}
	var last []byte
	for i := 0; i < len(old); {
		entry, has := split(old[i:])
		if last != nil && compareSerials(last, has) >= 0 {
			return nil, errUnsorted
		}
		last = has
		for change != nil && compareSerials(serial, has) < 0 {
			take(old[kept:i])
			kept = i
			insert()
		}
		if change != nil && bytes.Equal(serial, has) {
			take(old[kept:i])
			kept = i + len(entry)
			insert()
		} else {
			out.count++
		}
		i += len(entry)
	}
	take(old[kept:])
	for change != nil {
		insert()
	}
	return out, nil
}

// iterate walks over the entries of a content; nil at the end.
func iterate(c *content) func() (entry, serial []byte) {
	var all [][]byte
	c.each(func(b []byte) {
		for len(b) > 0 {
			entry, _ := split(b)
			all = append(all, entry)
			b = b[len(entry):]
		}
	})
	return func() ([]byte, []byte) {
		if len(all) == 0 {
			return nil, nil
		}
		entry, serial := split(all[0])
		all = all[1:]
		return entry, serial
	}
}

// removes reports whether an entry of ours says removeFromCRL, as the last of
// its octets.
func removes(entry []byte) bool {
	n := len(oidReason) + 1
	return len(entry) > n && entry[len(entry)-1] == byte(revocation.RemoveFromCRL) && bytes.Equal(entry[len(entry)-n:len(entry)-1], oidReason)
}

// revokedCertificates are the entries of a list.
func revokedCertificates(list []byte) ([]byte, error) {
	in := cryptobyte.String(list)
	var outer, tbs, revoked cryptobyte.String
	var present bool
	if !in.ReadASN1(&outer, asn1.SEQUENCE) || !outer.ReadASN1(&tbs, asn1.SEQUENCE) ||
		!tbs.SkipOptionalASN1(asn1.INTEGER) || !tbs.SkipASN1(asn1.SEQUENCE) || !tbs.SkipASN1(asn1.SEQUENCE) ||
		!skipTime(&tbs) || !skipTime(&tbs) || !tbs.ReadOptionalASN1(&revoked, &present, asn1.SEQUENCE) {
		return nil, fmt.Errorf("crl: the previous list cannot be read")
	}
	return revoked, nil
}

func skipTime(in *cryptobyte.String) bool {
	return in.SkipOptionalASN1(asn1.UTCTime) && in.SkipOptionalASN1(asn1.GeneralizedTime)
}
