package ocsp

import (
	"bytes"
	"crypto/x509"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certctl/certctl/revocation"
)

// maxCerts bounds the certificates that are read from a response.
const maxCerts = 8

// basicResponse is a BasicOCSPResponse that was read but not judged.
type basicResponse struct {
	tbs, algorithm, signature []byte
	certs                     []*x509.Certificate
	producedAt                time.Time
	ids                       []CertID
	answers                   []Answer
	nonce                     []byte
}

// parseResponse reads an OCSPResponse (RFC 6960 section 4.2.1).
func parseResponse(response []byte) (*basicResponse, error) {
	in := cryptobyte.String(response)
	var outer, wrapped, body, oid, octets cryptobyte.String
	var status int
	if len(response) > maxResponse || !in.ReadASN1(&outer, asn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1Enum(&status) {
		return nil, untrusted("it is not an OCSPResponse")
	}
	if ResponseStatus(status) != Successful {
		return nil, &ResponseError{ResponseStatus(status)}
	}
	if !outer.ReadASN1(&wrapped, tag0) || !outer.Empty() || !wrapped.ReadASN1(&body, asn1.SEQUENCE) || !wrapped.Empty() ||
		!body.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) || !bytes.Equal(oid, oidBasic) ||
		!body.ReadASN1(&octets, asn1.OCTET_STRING) || !body.Empty() {
		return nil, untrusted("it is not a basic response")
	}
	b := &basicResponse{}
	if err := b.readBasic(octets); err != nil {
		return nil, err
	}
	return b, b.readData(b.tbs)
}

func (b *basicResponse) readBasic(in cryptobyte.String) error {
	var basic, tbs, algorithm, certs, list cryptobyte.String
	var present bool
	if !in.ReadASN1(&basic, asn1.SEQUENCE) || !in.Empty() || !basic.ReadASN1Element(&tbs, asn1.SEQUENCE) ||
		!basic.ReadASN1Element(&algorithm, asn1.SEQUENCE) || !basic.ReadASN1BitStringAsBytes(&b.signature) ||
		!basic.ReadOptionalASN1(&certs, &present, tag0) || !basic.Empty() {
		return untrusted("its basic response cannot be read")
	}
	b.tbs, b.algorithm = tbs, algorithm
	if !present {
		return nil
	}
	if !certs.ReadASN1(&list, asn1.SEQUENCE) || !certs.Empty() {
		return untrusted("its certificates cannot be read")
	}
	for !list.Empty() && len(b.certs) < maxCerts {
		var raw cryptobyte.String
		if !list.ReadASN1Element(&raw, asn1.SEQUENCE) {
			return untrusted("its certificates cannot be read")
		}
		cert, err := x509.ParseCertificate(raw)
		if err != nil {
			return untrusted("a certificate in it cannot be read: %w", err)
		}
		b.certs = append(b.certs, cert)
	}
	return nil
}

func (b *basicResponse) readData(in cryptobyte.String) error {
	var data, list, responderID cryptobyte.String
	var tag asn1.Tag
	if !in.ReadASN1(&data, asn1.SEQUENCE) || readVersion(&data) != nil || !data.ReadAnyASN1(&responderID, &tag) ||
		!data.ReadASN1GeneralizedTime(&b.producedAt) || !data.ReadASN1(&list, asn1.SEQUENCE) {
		return untrusted("its response data cannot be read")
	}
	for !list.Empty() {
		var single cryptobyte.String
		if !list.ReadASN1(&single, asn1.SEQUENCE) {
			return untrusted("an answer in it cannot be read")
		}
		if err := b.readSingle(single); err != nil {
			return err
		}
	}
	req := Request{}
	if err := readExtensions(&data, tag1, req.readNonce); err != nil {
		return untrusted("its extensions: %w", err)
	}
	b.nonce = req.Nonce
	if !data.Empty() {
		return untrusted("octets follow its response data")
	}
	return nil
}

func (b *basicResponse) readSingle(in cryptobyte.String) error {
	id, err := readCertID(&in)
	if err != nil {
		return untrusted("an answer in it: %w", err)
	}
	a := Answer{Serial: id.SerialNumber()}
	var content, next cryptobyte.String
	var tag asn1.Tag
	var present bool
	if !in.ReadAnyASN1(&content, &tag) || !readStatus(content, tag, &a.Status) || !in.ReadASN1GeneralizedTime(&a.ThisUpdate) ||
		!in.ReadOptionalASN1(&next, &present, tag0) || present && (!next.ReadASN1GeneralizedTime(&a.NextUpdate) || !next.Empty()) {
		return untrusted("the answer about serial %x cannot be read", a.Serial)
	}
	if err := readExtensions(&in, tag1, nil); err != nil || !in.Empty() {
		return untrusted("the answer about serial %x has extensions that cannot be read, or must not be ignored", a.Serial)
	}
	b.ids, b.answers = append(b.ids, id), append(b.answers, a)
	return nil
}

// readStatus reads the content of a CertStatus.
func readStatus(in cryptobyte.String, tag asn1.Tag, s *revocation.Status) bool {
	switch tag {
	case asn1.Tag(0x80):
		s.State = revocation.Good
		return in.Empty()
	case asn1.Tag(0x82):
		s.State = revocation.Unknown
		return in.Empty()
	case asn1.Tag(0xa1):
		var reason cryptobyte.String
		var present bool
		var code int
		s.State = revocation.Revoked
		ok := in.ReadASN1GeneralizedTime(&s.At) && in.ReadOptionalASN1(&reason, &present, tag0) && in.Empty() &&
			(!present || reason.ReadASN1Enum(&code) && reason.Empty())
		s.Reason = revocation.Reason(code)
		return ok
	}
	return false
}
