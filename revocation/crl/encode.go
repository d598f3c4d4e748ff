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
	oidAuthorityID = []byte{0x06, 3, 0x55, 0x1d, 35}
	oidCRLNumber   = []byte{0x06, 3, 0x55, 0x1d, 20}
)

// encode writes and signs a CertificateList. The to-be-signed part is written
// once, in its final place: the outer header, whose size depends on the
// signature's, is put before it afterwards.
func encode(o *Options, e *entries, algorithm signing.Algorithm) ([]byte, error) {
	head := appendHead(nil, o, algorithm)
	tail := appendExtensions(nil, o)
	revoked := e.size()
	size := len(head) + len(tail)
	if revoked > 0 {
		size += der.HeaderSize(revoked) + revoked
	}
	b := make([]byte, outerHeader, outerHeader+der.HeaderSize(size)+size+len(algorithm.ID)+signatureRoom(o))
	b = der.AppendHeader(b, der.Sequence, size)
	b = append(b, head...)
	if revoked > 0 { // an empty revokedCertificates is forbidden (section 5.1.2.6)
		b = der.AppendHeader(b, der.Sequence, revoked)
		for _, start := range e.order {
			entry, _ := e.at(start)
			b = append(b, entry...)
		}
	}
	b = append(b, tail...)

	tbs := b[outerHeader:]
	signature, err := algorithm.SignSame(o.Signer, tbs)
	if err != nil {
		return nil, fmt.Errorf("crl: signing number %s of %s: %w", o.Number, o.CA.Subject, err)
	}
	if err := o.CA.CheckSignature(algorithm.X509, tbs, signature); err != nil {
		return nil, fmt.Errorf("crl: the signature that the key of %s made is wrong, and the list is not published: %w", o.CA.Subject, err)
	}
	b = append(b, algorithm.ID...)
	b = der.AppendBitString(b, signature)
	n := len(b) - outerHeader
	start := outerHeader - der.HeaderSize(n)
	der.AppendHeader(b[:start], der.Sequence, n)
	return b[start:], nil
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
	b = appendExtension(b, oidAuthorityID, der.Append(nil, der.Sequence, authority))
	b = appendExtension(b, oidCRLNumber, der.AppendInteger(nil, o.Number.n))
	b = der.Wrap(b, start, der.Sequence)
	return der.Wrap(b, start, der.Context(0))
}

func appendExtension(b, oid, value []byte) []byte {
	start := len(b)
	b = append(b, oid...)
	b = der.Append(b, der.OctetString, value)
	return der.Wrap(b, start, der.Sequence)
}
