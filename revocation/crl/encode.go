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

// encode writes and signs a CertificateList. The octets are copied once, while
// they are hashed.
func encode(o *Options, c *content, algorithm signing.Algorithm) ([]byte, error) {
	head, tail := around(o, c, algorithm)
	copied := make(chan []byte, 1)
	go func() { copied <- assemble(o, head, c, tail, algorithm) }()
	message := algorithm.Message()
	if message != nil {
		message.Write(head)
		c.each(func(b []byte) { message.Write(b) })
		message.Write(tail)
	}
	b := <-copied // what c refers to is not ours for longer
	signature, err := algorithm.SignSame(o.Signer, message, b[outerHeader:])
	if err != nil {
		return nil, fmt.Errorf("crl: signing number %s of %s: %w", o.Number, o.CA.Subject, err)
	}
	return complete(b, signature, algorithm), nil
}

// around are the octets of the TBSCertList before and after its entries.
func around(o *Options, c *content, algorithm signing.Algorithm) (head, tail []byte) {
	fields := appendHead(nil, o, algorithm)
	tail = appendExtensions(nil, o)
	if c.size > 0 { // an empty revokedCertificates is forbidden (section 5.1.2.6)
		fields = der.AppendHeader(fields, der.Sequence, c.size)
	}
	head = der.AppendHeader(nil, der.Sequence, len(fields)+c.size+len(tail))
	return append(head, fields...), tail
}

// assemble joins them, with room before for the outer header, which depends on
// the signature's size, and after for the signature.
func assemble(o *Options, head []byte, c *content, tail []byte, algorithm signing.Algorithm) []byte {
	b := make([]byte, outerHeader, outerHeader+len(head)+c.size+len(tail)+len(algorithm.ID)+signatureRoom(o))
	b = append(b, head...)
	c.each(func(piece []byte) { b = append(b, piece...) })
	return append(b, tail...)
}

// complete makes a CertificateList of what assemble returned.
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
