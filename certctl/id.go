package certctl

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"math/big"
	"regexp"
	"time"
)

// ID prefixes. An ID is its prefix, a hyphen and a text: readable ones chosen
// by people ("mc-api-prod"), or the ones that NewID makes.
const (
	PrefixCertificate   = "mc"
	PrefixVersion       = "cv"
	PrefixBinding       = "bnd"
	PrefixIssuer        = "iss"
	PrefixTarget        = "tgt"
	PrefixAgent         = "ag"
	PrefixJoinToken     = "jt"
	PrefixJob           = "job"
	PrefixOrder         = "ord"
	PrefixProfile       = "prof"
	PrefixRenewalPolicy = "rp"
	PrefixOwner         = "o"
	PrefixTeam          = "t"
	PrefixAPIKey        = "ak"
	PrefixRevocation    = "rev"
	PrefixResponder     = "ocsp"
	PrefixBulk          = "bulk"
	PrefixAudit         = "aud"
	PrefixEvent         = "ev"
)

var (
	idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
	idPattern  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
)

// NewID returns prefix + "-" + 26 characters: 48 bits of milliseconds and 80
// random bits, so that IDs sort by the time of their making.
func NewID(prefix string, now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	rand.Read(b[6:]) // never fails: crypto/rand ends the process instead
	return prefix + "-" + idEncoding.EncodeToString(b[:])
}

// ValidID reports whether s may be used as an ID: 1 to 128 letters, digits,
// dots, underscores and hyphens, not starting with a punctuation mark.
func ValidID(s string) bool { return idPattern.MatchString(s) }

// SerialText is the one textual form of a serial number: lower-case
// hexadecimal without leading zeros. It is what the database holds, what URLs
// and answers carry.
func SerialText(n *big.Int) string { return n.Text(16) }

// ParseSerial reads SerialText's form, and also what people paste: upper case,
// leading zeros, colons between octets. ErrInvalid otherwise.
func ParseSerial(s string) (*big.Int, error) {
	clean := make([]byte, 0, len(s))
	for _, c := range []byte(s) {
		if c != ':' {
			clean = append(clean, c)
		}
	}
	if len(clean) == 0 || len(clean) > 64 {
		return nil, Errorf(ErrInvalid, "serial number %.80q is not 1 to 64 hexadecimal digits", s)
	}
	for _, c := range clean {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return nil, Errorf(ErrInvalid, "serial number %.80q is not hexadecimal", s)
		}
	}
	n, _ := new(big.Int).SetString(string(clean), 16)
	return n, nil
}
