package foreign

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certctl/certctl/revocation"
)

// Rejected is why a CRL or an index is kept out. The one before is used on.
type Rejected struct {
	// Code is one word, for counting: unreadable, size, issuer, signature,
	// algorithm, future, expired, older, delta, partition, critical, index.
	Code string
	Err  error
}

func (r *Rejected) Error() string { return r.Err.Error() }
func (r *Rejected) Unwrap() error { return r.Err }

func reject(code, format string, args ...any) error {
	return &Rejected{code, fmt.Errorf("foreign: "+format, args...)}
}

// List is a CRL that was accepted.
type List struct {
	DER                    []byte // not to be changed
	Number                 *big.Int
	ThisUpdate, NextUpdate time.Time
	Entries                int
}

// parsed is a CRL that was read, and whose signature was checked.
type parsed struct {
	List
	revoked table
	only    bool
}

// algorithms are the signatures that are accepted; SHA-1 is not.
var algorithms = map[string]x509.SignatureAlgorithm{
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b": x509.SHA256WithRSA, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c": x509.SHA384WithRSA,
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d": x509.SHA512WithRSA, "\x2a\x86\x48\xce\x3d\x04\x03\x02": x509.ECDSAWithSHA256,
	"\x2a\x86\x48\xce\x3d\x04\x03\x03": x509.ECDSAWithSHA384, "\x2a\x86\x48\xce\x3d\x04\x03\x04": x509.ECDSAWithSHA512, "\x2b\x65\x70": x509.PureEd25519,
}

// Identifiers of extensions (RFC 5280 section 5.2 and 5.3), as content octets.
const (
	idCRLNumber = "\x55\x1d\x14"
	idReason    = "\x55\x1d\x15"
	idInvalid   = "\x55\x1d\x18"
	idDelta     = "\x55\x1d\x1b"
	idPoint     = "\x55\x1d\x1c"
	idIssuer    = "\x55\x1d\x1d" // of an entry: certificateIssuer, of indirect CRLs
	idAuthority = "\x55\x1d\x23"
)

// parse reads a CRL in DER or PEM, and checks that the CA signed it. It reads a
// million entries without an object for each. only says that there is no other
// CRL of the CA, whatever distribution point this one names.
func parse(ca *x509.Certificate, text []byte, only bool) (*parsed, error) {
	der, err := decode(text)
	if err != nil {
		return nil, err
	}
	in := cryptobyte.String(der)
	var outer, tbs, algorithm, oid cryptobyte.String
	var signature []byte
	if !in.ReadASN1(&outer, asn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1Element(&tbs, asn1.SEQUENCE) ||
		!outer.ReadASN1(&algorithm, asn1.SEQUENCE) || !outer.ReadASN1BitStringAsBytes(&signature) || !outer.Empty() {
		return nil, reject("unreadable", "this is no CRL; it begins with %.40q", text)
	}
	p := &parsed{List: List{DER: der}, only: only}
	inner, err := p.readFields(ca, tbs)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(inner, algorithm) || !algorithm.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) {
		return nil, reject("unreadable", "the CRL names two signature algorithms")
	}
	kind, ok := algorithms[string(oid)]
	if !ok {
		return nil, reject("algorithm", "the CRL is signed with an algorithm that is not accepted (%x); use SHA-256 or better with RSA or ECDSA, or Ed25519", []byte(oid))
	}
	if err := ca.CheckSignature(kind, tbs, signature); err != nil {
		return nil, reject("signature", "the CRL was not signed by the key of %s: %w", ca.Subject, err)
	}
	p.revoked.sort()
	p.Entries = p.revoked.len()
	return p, nil
}

func decode(text []byte) ([]byte, error) {
	if len(text) > 0 && text[0] == 0x30 {
		return text, nil
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "X509 CRL" {
		return nil, reject("unreadable", "this is no CRL in DER or PEM; it begins with %.40q", text)
	}
	return block.Bytes, nil
}

// readFields reads a TBSCertList; it returns the signature algorithm in it.
func (p *parsed) readFields(ca *x509.Certificate, element cryptobyte.String) (algorithm []byte, err error) {
	var tbs, inner, name, revoked cryptobyte.String
	var version int
	var present bool
	if !element.ReadASN1(&tbs, asn1.SEQUENCE) {
		return nil, reject("unreadable", "the CRL cannot be read")
	}
	if tbs.PeekASN1Tag(asn1.INTEGER) && (!tbs.ReadASN1Integer(&version) || version != 1) {
		return nil, reject("unreadable", "the CRL has a version that does not exist")
	}
	if !tbs.ReadASN1(&inner, asn1.SEQUENCE) || !tbs.ReadASN1Element(&name, asn1.SEQUENCE) {
		return nil, reject("unreadable", "the CRL cannot be read")
	}
	if !bytes.Equal(name, ca.RawSubject) {
		return nil, reject("issuer", "the CRL is of another CA than %s", ca.Subject)
	}
	var ok bool
	if p.ThisUpdate, ok = readTime(&tbs); !ok {
		return nil, reject("unreadable", "the CRL's thisUpdate cannot be read")
	}
	if tbs.PeekASN1Tag(asn1.UTCTime) || tbs.PeekASN1Tag(asn1.GeneralizedTime) {
		if p.NextUpdate, ok = readTime(&tbs); !ok {
			return nil, reject("unreadable", "the CRL's nextUpdate cannot be read")
		}
	}
	if p.NextUpdate.IsZero() {
		return nil, reject("unreadable", "the CRL has no nextUpdate (RFC 5280 section 5.1.2.5), so that nobody knows how long it holds")
	}
	if !tbs.ReadOptionalASN1(&revoked, &present, asn1.SEQUENCE) {
		return nil, reject("unreadable", "the CRL's entries cannot be read")
	}
	if err := p.readEntries(revoked); err != nil {
		return nil, err
	}
	err = readExtensions(&tbs, true, func(id string, critical bool, value cryptobyte.String) error { return p.extension(id, critical, value) })
	if err == nil && !tbs.Empty() {
		err = reject("unreadable", "octets follow the CRL's extensions")
	}
	return inner, err
}

func (p *parsed) extension(id string, critical bool, value cryptobyte.String) error {
	switch id {
	case idCRLNumber:
		p.Number = new(big.Int)
		if !value.ReadASN1Integer(p.Number) || !value.Empty() || p.Number.Sign() < 0 {
			return reject("unreadable", "the CRL's number cannot be read")
		}
	case idDelta:
		return reject("delta", "this is a delta CRL; give the complete one")
	case idPoint:
		return checkPoint(value, p.only)
	case idAuthority: // the signature tells
	default:
		if critical {
			return reject("critical", "the CRL has a critical extension that is not known here (%x)", id)
		}
	}
	return nil
}

// checkPoint accepts an issuing distribution point that narrows nothing: it may
// say that the list is of end-entity certificates, and, if it is the only list,
// where that is.
func checkPoint(value cryptobyte.String, only bool) error {
	var point, field cryptobyte.String
	if !value.ReadASN1(&point, asn1.SEQUENCE) || !value.Empty() {
		return reject("unreadable", "the CRL's issuing distribution point cannot be read")
	}
	for !point.Empty() {
		var tag asn1.Tag
		if !point.ReadAnyASN1(&field, &tag) {
			return reject("unreadable", "the CRL's issuing distribution point cannot be read")
		}
		if tag != 0x81 && tag != 0xa0 { // onlyContainsUserCerts, distributionPoint
			return reject("partition", "the CRL covers only a part of what the CA revoked (RFC 5280 section 5.2.5); give the complete one")
		}
		if tag == 0xa0 && !only {
			return reject("partition", "the CRL is of one distribution point (RFC 5280 section 5.2.5), perhaps one of several; give the complete one, or say that it is the only one")
		}
	}
	return nil
}

func (p *parsed) readEntries(in cryptobyte.String) error {
	for !in.Empty() {
		var entry cryptobyte.String
		var serial cryptobyte.String
		if !in.ReadASN1(&entry, asn1.SEQUENCE) || !entry.ReadASN1(&serial, asn1.INTEGER) || len(serial) == 0 {
			return reject("unreadable", "entry %d of the CRL cannot be read", p.revoked.len()+1)
		}
		at, ok := readTime(&entry)
		if !ok {
			return reject("unreadable", "the date of serial %x on the CRL cannot be read", []byte(serial))
		}
		r := record{at: at.Unix(), invalid: never}
		if !entry.Empty() {
			if err := r.readExtensions(&entry, serial); err != nil {
				return err
			}
		}
		if err := p.revoked.add(serial, r); err != nil {
			return err
		}
	}
	return nil
}

func (r *record) readExtensions(entry *cryptobyte.String, serial []byte) error {
	err := readExtensions(entry, false, func(id string, critical bool, value cryptobyte.String) error {
		switch {
		case id == idReason:
			var code int
			if !value.ReadASN1Enum(&code) || !value.Empty() || code < 0 || code > 10 || code == 7 || revocation.Reason(code) == revocation.RemoveFromCRL {
				return reject("unreadable", "the reason of serial %x on the CRL cannot be", serial)
			}
			r.reason = uint8(code)
		case id == idInvalid:
			var t time.Time
			if !value.ReadASN1GeneralizedTime(&t) || !value.Empty() {
				return reject("unreadable", "the invalidity date of serial %x on the CRL cannot be read", serial)
			}
			r.invalid = t.Unix()
		case id == idIssuer:
			return reject("partition", "the CRL has entries of other CAs (an indirect CRL, RFC 5280 section 5.3.3)")
		case critical:
			return reject("critical", "serial %x on the CRL has a critical extension that is not known here (%x)", serial, id)
		}
		return nil
	})
	if err == nil && !entry.Empty() {
		err = reject("unreadable", "octets follow serial %x on the CRL", serial)
	}
	return err
}

func readExtensions(in *cryptobyte.String, wrapped bool, each func(id string, critical bool, value cryptobyte.String) error) error {
	unreadable := reject("unreadable", "an extension of the CRL cannot be read")
	if in.Empty() {
		return nil
	}
	if wrapped {
		var inner cryptobyte.String
		if !in.ReadASN1(&inner, asn1.Tag(0xa0)) {
			return unreadable
		}
		if err := readExtensions(&inner, false, each); err != nil || inner.Empty() {
			return err
		}
		return unreadable
	}
	var list cryptobyte.String
	if !in.ReadASN1(&list, asn1.SEQUENCE) {
		return unreadable
	}
	for !list.Empty() {
		var one, oid, value cryptobyte.String
		var critical bool
		if !list.ReadASN1(&one, asn1.SEQUENCE) || !one.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
			one.PeekASN1Tag(asn1.BOOLEAN) && !one.ReadASN1Boolean(&critical) || !one.ReadASN1(&value, asn1.OCTET_STRING) || !one.Empty() {
			return unreadable
		}
		if err := each(string(oid), critical, value); err != nil {
			return err
		}
	}
	return nil
}

func readTime(in *cryptobyte.String) (t time.Time, ok bool) {
	if in.PeekASN1Tag(asn1.UTCTime) {
		ok = in.ReadASN1UTCTime(&t)
	} else {
		ok = in.ReadASN1GeneralizedTime(&t)
	}
	return t.UTC(), ok
}

var errLong = errors.New("a serial number of more than 64 octets")
