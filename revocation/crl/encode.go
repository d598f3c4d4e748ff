package crl

import (
	"fmt"

	"github.com/certctl/certctl/revocation/internal/der"
	"github.com/certctl/certctl/revocation/internal/signing"
)

// outerHeader is the most that the header of a CertificateList takes.
const outerHeader = 10

var (
	version2       = []byte{der.Integer, 1, 1}
	critical       = []byte{der.Boolean, 1, 0xff}
	oidAuthorityID = []byte{0x06, 3, 0x55, 0x1d, 35}
	oidCRLNumber   = []byte{0x06, 3, 0x55, 0x1d, 20}
	oidDelta       = []byte{0x06, 3, 0x55, 0x1d, 27}
	oidPoint       = []byte{0x06, 3, 0x55, 0x1d, 28}
	oidFreshest    = []byte{0x06, 3, 0x55, 0x1d, 46}
)

// encode writes and signs a CertificateList. The to-be-signed part is written
// once, in its final place: the outer header, whose size depends on the
// signature's, is put before it afterwards.
func encode(o *Options, pieces [][]byte, revoked int, algorithm signing.Algorithm) ([]byte, error) {
	b := unsigned(o, pieces, revoked, algorithm)
	tbs := b[outerHeader:]
	signature, err := algorithm.SignSame(o.Signer, tbs)
	if err != nil {
		return nil, fmt.Errorf("crl: signing number %s of %s: %w", o.Number, o.CA.Subject, err)
	}
	return complete(b, signature, algorithm), nil
}

// unsigned is the TBSCertList, with room before it for the outer header, and
// after it for the signature. Its entries take revoked octets.
func unsigned(o *Options, pieces [][]byte, revoked int, algorithm signing.Algorithm) []byte {
	head := appendHead(nil, o, algorithm)
	tail := appendExtensions(nil, o)
	size := len(head) + len(tail)
	if revoked > 0 {
		size += der.HeaderSize(revoked) + revoked
	}
	b := make([]byte, outerHeader, outerHeader+der.HeaderSize(size)+size+len(algorithm.ID)+signatureRoom(o))
	b = der.AppendHeader(b, der.Sequence, size)
	b = append(b, head...)
	if revoked > 0 { // an empty revokedCertificates is forbidden (section 5.1.2.6)
		b = der.AppendHeader(b, der.Sequence, revoked)
		for _, p := range pieces {
			b = append(b, p...)
		}
	}
	return append(b, tail...)
}

// complete makes a CertificateList of what unsigned returned.
func complete(b, signature []byte, algorithm signing.Algorithm) []byte {
	b = append(b, algorithm.ID...)
	b = der.AppendBitString(b, signature)
	n := len(b) - outerHeader
	start := outerHeader - der.HeaderSize(n)
	der.AppendHeader(b[:start], der.Sequence, n)
	return b[start:]
}

// signatureRoom is a little more than what a signature takes.
func signatureRoom(o *Options) int {
	if k, ok := o.CA.PublicKey.(interface{ Size() int }); ok { // RSA
		return k.Size() + 32
	}
	return 192
}

// appendHead appends version to nextUpdate of a TBSCertList.
func appendHead(b []byte, o *Options, algorithm signing.Algorithm) []byte {
	b = append(b, version2...)
	b = append(b, algorithm.ID...)
	b = append(b, o.CA.RawSubject...)
	b = der.AppendTime(b, o.ThisUpdate)
	return der.AppendTime(b, o.NextUpdate)
}

// appendExtensions appends the crlExtensions (RFC 5280 section 5.2).
func appendExtensions(b []byte, o *Options) []byte {
	start := len(b)
	authority := der.Append(nil, 0x80, o.CA.SubjectKeyId) // keyIdentifier [0] IMPLICIT
	b = appendExtension(b, oidAuthorityID, nil, der.Append(nil, der.Sequence, authority))
	b = appendExtension(b, oidCRLNumber, nil, der.AppendInteger(nil, o.Number.n))
	if len(o.Points) > 0 {
		b = appendExtension(b, oidPoint, critical, der.Append(nil, der.Sequence, pointName(o.Points)))
	}
	if o.Base.n != nil {
		b = appendExtension(b, oidDelta, critical, der.AppendInteger(nil, o.Base.n))
	}
	if len(o.Freshest) > 0 {
		point := der.Append(nil, der.Sequence, pointName(o.Freshest))
		b = appendExtension(b, oidFreshest, nil, der.Append(nil, der.Sequence, point))
	}
	b = der.Wrap(b, start, der.Sequence)
	return der.Wrap(b, start, der.Context(0))
}

// pointName is a distributionPoint [0] whose fullName [0] is URIs.
func pointName(urls []string) []byte {
	var b []byte
	for _, u := range urls {
		b = der.Append(b, 0x86, []byte(u)) // uniformResourceIdentifier [6]
	}
	b = der.Wrap(b, 0, der.Context(0))
	return der.Wrap(b, 0, der.Context(0))
}

func appendExtension(b, oid, critical, value []byte) []byte {
	start := len(b)
	b = append(b, oid...)
	b = append(b, critical...)
	b = der.Append(b, der.OctetString, value)
	return der.Wrap(b, start, der.Sequence)
}
