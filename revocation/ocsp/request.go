package ocsp

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of what is read.
const (
	MaxRequest = 64 << 10 // octets of a request
	MaxCertIDs = 16       // in one request
	MaxNonce   = 128      // octets (RFC 9654 section 2.1)
	maxSerial  = 64       // octets; RFC 5280 section 4.1.2.2 has 20
)

// RequestType is the media type of a request (RFC 6960 appendix C.1).
const RequestType = "application/ocsp-request"

// ErrMalformed is matched by the errors of ParseRequest and DecodeGET.
var ErrMalformed = errors.New("ocsp: malformed request")

// CertID names the certificate that is asked about (RFC 6960 section 4.1.1).
// Its slices are parts of the request.
type CertID struct {
	Raw      []byte      // DER of the CertID
	Hash     crypto.Hash // 0: an algorithm that is not understood here
	NameHash []byte      // of the issuer's distinguished name
	KeyHash  []byte      // of the issuer's public key, without tag and length
	Serial   []byte      // content octets of the INTEGER
}

// SerialNumber is the serial as a number.
func (c *CertID) SerialNumber() *big.Int { return integer(c.Serial) }

// integer reads the content octets of an INTEGER.
func integer(content []byte) *big.Int {
	n := new(big.Int).SetBytes(content)
	if content[0]&0x80 != 0 { // two's complement
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(content))*8))
	}
	return n
}

// Request is an OCSP request. It shares memory with the octets it was read
// from.
type Request struct {
	IDs   []CertID // 1 to MaxCertIDs
	Nonce []byte   // 1 to MaxNonce octets; nil when there is none
}

// Context-specific tags of RFC 6960 appendix B.
const (
	tag0 = asn1.Tag(0xa0)
	tag1 = asn1.Tag(0xa1)
	tag2 = asn1.Tag(0xa2)
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// ParseRequest reads the DER of an OCSPRequest. A signature is skipped, not
// checked: everybody may ask. Errors match ErrMalformed: broken DER, trailing
// octets, none or more than MaxCertIDs certificates, a nonce of 0 or more than
// MaxNonce octets, more than MaxRequest octets in all, and critical extensions
// that are not known.
func ParseRequest(request []byte) (*Request, error) {
	if len(request) > MaxRequest {
		return nil, malformed("%d octets, and at most %d are read", len(request), MaxRequest)
	}
	in := cryptobyte.String(request)
	var outer, tbs cryptobyte.String
	if !in.ReadASN1(&outer, asn1.SEQUENCE) || !in.Empty() ||
		!outer.ReadASN1(&tbs, asn1.SEQUENCE) || !outer.SkipOptionalASN1(tag0) || !outer.Empty() {
		return nil, malformed("not an OCSPRequest")
	}
	if err := readVersion(&tbs); err != nil {
		return nil, err
	}
	var list cryptobyte.String
	if !tbs.SkipOptionalASN1(tag1) || !tbs.ReadASN1(&list, asn1.SEQUENCE) {
		return nil, malformed("no request list")
	}
	r := &Request{}
	if err := r.readList(list); err != nil {
		return nil, err
	}
	err := readExtensions(&tbs, tag2, r.readNonce)
	if err != nil {
		return nil, err
	}
	if !tbs.Empty() {
		return nil, malformed("octets after the request list")
	}
	return r, nil
}

func readVersion(tbs *cryptobyte.String) error {
	var version cryptobyte.String
	var present bool
	if !tbs.ReadOptionalASN1(&version, &present, tag0) {
		return malformed("unreadable version")
	}
	if !present {
		return nil
	}
	var n int
	if !version.ReadASN1Integer(&n) || !version.Empty() || n != 0 {
		return malformed("not version 1")
	}
	return nil
}

func (r *Request) readList(list cryptobyte.String) error {
	for !list.Empty() {
		if len(r.IDs) == MaxCertIDs {
			return malformed("more than %d certificates", MaxCertIDs)
		}
		var one cryptobyte.String
		if !list.ReadASN1(&one, asn1.SEQUENCE) {
			return malformed("unreadable request list")
		}
		id, err := readCertID(&one)
		if err != nil {
			return err
		}
		if err := readExtensions(&one, tag0, nil); err != nil {
			return err
		}
		if !one.Empty() {
			return malformed("octets after a CertID")
		}
		r.IDs = append(r.IDs, id)
	}
	if len(r.IDs) == 0 {
		return malformed("no certificate is asked about")
	}
	return nil
}

// readCertID reads a CertID, whose octets may be put into a response as they
// are.
func readCertID(in *cryptobyte.String) (CertID, error) {
	var id CertID
	var raw, body, algorithm, oid, name, key, serial cryptobyte.String
	if !in.ReadASN1Element(&raw, asn1.SEQUENCE) {
		return id, malformed("no CertID")
	}
	id.Raw = raw
	if !raw.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadASN1(&algorithm, asn1.SEQUENCE) ||
		!algorithm.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) || !nullOrAbsent(algorithm) ||
		!body.ReadASN1(&name, asn1.OCTET_STRING) || !body.ReadASN1(&key, asn1.OCTET_STRING) ||
		!body.ReadASN1(&serial, asn1.INTEGER) || !body.Empty() {
		return id, malformed("unreadable CertID")
	}
	if len(serial) == 0 || len(serial) > maxSerial || len(serial) > 1 && (serial[0] == 0 && serial[1] < 0x80 || serial[0] == 0xff && serial[1] >= 0x80) {
		return id, malformed("a serial number that is not DER, or longer than %d octets", maxSerial)
	}
	id.Hash, id.NameHash, id.KeyHash, id.Serial = hashOf(oid), name, key, serial
	if id.Hash != 0 && (len(name) != id.Hash.Size() || len(key) != id.Hash.Size()) {
		return id, malformed("hashes of a length that their algorithm does not make")
	}
	return id, nil
}

// nullOrAbsent: RFC 5754 section 2 wants the parameters of SHA-2 absent, and
// both forms accepted.
func nullOrAbsent(parameters cryptobyte.String) bool {
	if parameters.Empty() {
		return true
	}
	var null cryptobyte.String
	return parameters.ReadASN1(&null, asn1.NULL) && null.Empty() && parameters.Empty()
}

// readExtensions reads optional Extensions with a tag. known is told of each
// and says whether it understood it.
func readExtensions(in *cryptobyte.String, tag asn1.Tag, known func(oid, value []byte) (bool, error)) error {
	var wrapped, list cryptobyte.String
	var present bool
	if !in.ReadOptionalASN1(&wrapped, &present, tag) {
		return malformed("unreadable extensions")
	}
	if !present {
		return nil
	}
	if !wrapped.ReadASN1(&list, asn1.SEQUENCE) || !wrapped.Empty() {
		return malformed("unreadable extensions")
	}
	for !list.Empty() {
		var one, oid, value cryptobyte.String
		var critical, understood bool
		if !list.ReadASN1(&one, asn1.SEQUENCE) || !one.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
			one.PeekASN1Tag(asn1.BOOLEAN) && !one.ReadASN1Boolean(&critical) ||
			!one.ReadASN1(&value, asn1.OCTET_STRING) || !one.Empty() {
			return malformed("unreadable extension")
		}
		if known != nil {
			var err error
			if understood, err = known(oid, value); err != nil {
				return err
			}
		}
		if critical && !understood {
			return malformed("a critical extension that is not known here")
		}
	}
	return nil
}

func (r *Request) readNonce(oid, value []byte) (bool, error) {
	if !bytes.Equal(oid, oidNonce) {
		return false, nil
	}
	in := cryptobyte.String(value)
	var nonce cryptobyte.String
	if r.Nonce != nil || !in.ReadASN1(&nonce, asn1.OCTET_STRING) || !in.Empty() || len(nonce) == 0 || len(nonce) > MaxNonce {
		return false, malformed("a nonce that is not one OCTET STRING of 1 to %d octets (RFC 9654)", MaxNonce)
	}
	r.Nonce = nonce
	return true, nil
}
