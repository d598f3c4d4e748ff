package ocsp

import (
	"fmt"
	"math/big"
	"time"

	"github.com/certctl/certctl/revocation"
)

// ResponseStatus is an OCSPResponseStatus (RFC 6960 section 4.2.1).
type ResponseStatus int

const (
	Successful       ResponseStatus = 0
	MalformedRequest ResponseStatus = 1
	InternalError    ResponseStatus = 2
	TryLater         ResponseStatus = 3
	SigRequired      ResponseStatus = 5
	Unauthorized     ResponseStatus = 6
)

// String is the name of RFC 6960: "tryLater".
func (s ResponseStatus) String() string {
	switch s {
	case Successful:
		return "successful"
	case MalformedRequest:
		return "malformedRequest"
	case InternalError:
		return "internalError"
	case TryLater:
		return "tryLater"
	case SigRequired:
		return "sigRequired"
	case Unauthorized:
		return "unauthorized"
	}
	return fmt.Sprintf("status(%d)", int(s))
}

// Response is the answer to one request. It may be shared: nobody changes it.
type Response struct {
	DER    []byte // what to send; never empty
	Status ResponseStatus
	Err    error // why Status is not Successful; for the operator, not for who asked

	// The rest is set when Status is Successful.
	Answers                            []Answer // one for each CertID, in their order
	ProducedAt, ThisUpdate, NextUpdate time.Time
	// Cacheable: the same octets answer this question until NextUpdate. False
	// when the answer carries a nonce, and when it says "unknown": the serial
	// may be issued in the next second.
	Cacheable bool
}

// Answer is what a response says of one certificate.
type Answer struct {
	Serial *big.Int
	Status revocation.Status
	// ThisUpdate and NextUpdate bound the time for which it holds. NextUpdate
	// is zero when the responder always has newer information.
	ThisUpdate, NextUpdate time.Time
}

// Failure is the unsigned response that says a status other than Successful
// (RFC 6960 section 2.3): what an adapter answers when it cannot hand a request
// to Respond.
func Failure(status ResponseStatus, err error) *Response {
	if status == Successful {
		status = InternalError
	}
	return &Response{DER: []byte{0x30, 3, 0x0a, 1, byte(status)}, Status: status, Err: err}
}
