package ocsp

import (
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/internal/der"
)

// prefix begins every successful response: the status, and the type of what
// follows.
var prefix = append([]byte{der.Enumerated, 1, byte(Successful), 0x06, byte(len(oidBasic))}, oidBasic...)

// statusLength is where the response's status ends in prefix.
const statusLength = 3

// encode writes and signs a response with the times of r, for the CertIDs of
// req and the answers in r, and puts it into r.
func (i *Issuer) encode(r *Response, req *Request, archive bool) error {
	b := make([]byte, 0, i.room+192*len(req.IDs))
	b = append(b, prefix...)
	basic := len(b)

	b = append(b, i.responderID...)
	b = der.AppendGeneralizedTime(b, r.ProducedAt)
	list := len(b)
	for n := range req.IDs {
		b = appendSingle(b, req.IDs[n].Raw, &r.Answers[n], i.cutoff(archive, &r.Answers[n]))
	}
	b = der.Wrap(b, list, der.Sequence)
	if req.Nonce != nil {
		b = appendNonce(b, req.Nonce, der.Context(1))
	}
	b = der.Wrap(b, basic, der.Sequence) // ResponseData

	signature, err := i.algorithm.Sign(i.signer, b[basic:])
	if err != nil {
		return err
	}
	b = append(b, i.algorithm.ID...)
	b = der.AppendBitString(b, signature)
	b = append(b, i.certs...)
	b = der.Wrap(b, basic, der.Sequence)    // BasicOCSPResponse
	b = der.Wrap(b, basic, der.OctetString) // response
	b = der.Wrap(b, statusLength, der.Sequence)
	b = der.Wrap(b, statusLength, der.Context(0)) // responseBytes
	r.DER = der.Wrap(b, 0, der.Sequence)
	return nil
}

// cutoff is the singleExtensions of an answer: the archive cutoff for expired
// certificates, so that clients know that "good" is not for want of memory.
func (i *Issuer) cutoff(archive bool, a *Answer) []byte {
	if archive && !a.Status.NotAfter.IsZero() && a.Status.NotAfter.Before(a.ThisUpdate) {
		return i.archive
	}
	return nil
}

// appendArchive appends Extensions with an archive cutoff (RFC 6960 section
// 4.4.4).
func appendArchive(b []byte, since time.Time) []byte {
	start := len(b)
	b = der.Append(b, 0x06, oidArchive)
	b = der.Append(b, der.OctetString, der.AppendGeneralizedTime(nil, since))
	b = der.Wrap(b, start, der.Sequence)
	b = der.Wrap(b, start, der.Sequence)
	return der.Wrap(b, start, der.Context(1))
}

// appendSingle appends a SingleResponse.
func appendSingle(b, certID []byte, a *Answer, extensions []byte) []byte {
	start := len(b)
	b = append(b, certID...)
	b = appendStatus(b, a.Status, a.ThisUpdate)
	b = der.AppendGeneralizedTime(b, a.ThisUpdate)
	next := len(b)
	b = der.AppendGeneralizedTime(b, a.NextUpdate)
	b = der.Wrap(b, next, der.Context(0))
	b = append(b, extensions...)
	return der.Wrap(b, start, der.Sequence)
}

// appendStatus appends a CertStatus. The reason "unspecified" is said by
// saying none. A revocation that is dated after the answer, as clocks of
// replicas that differ make them, is dated as the answer.
func appendStatus(b []byte, s revocation.Status, thisUpdate time.Time) []byte {
	switch s.State {
	case revocation.Good:
		return append(b, 0x80, 0)
	case revocation.Revoked:
	default:
		return append(b, 0x82, 0)
	}
	at := s.At
	if at.After(thisUpdate) {
		at = thisUpdate
	}
	start := len(b)
	b = der.AppendGeneralizedTime(b, at)
	if s.Reason != revocation.Unspecified {
		b = append(b, der.Context(0), 3, der.Enumerated, 1, byte(s.Reason))
	}
	return der.Wrap(b, start, der.Context(1))
}
