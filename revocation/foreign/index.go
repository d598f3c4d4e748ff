package foreign

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/certctl/certctl/revocation"
)

// index is what a CA says that it issued.
type index struct {
	issued  []key // sorted
	revoked table // of OpenSSL's index.txt: what is marked "R"
}

// maxLine is longer than a line of an index may be.
const maxLine = 64 << 10

// parseIndex reads OpenSSL's index.txt, or one serial in hexadecimal a line.
// Empty lines, and lines that begin with "#", say nothing. One line that cannot
// be read spoils the file: what it should have said is not known.
func parseIndex(in io.Reader) (*index, error) {
	out := &index{}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	number := 0
	for lines.Scan() {
		number++
		line := bytes.TrimRight(lines.Bytes(), "\r ")
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if err := out.line(line); err != "" {
			return nil, reject("index", "line %d of the index: %s", number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, reject("index", "after line %d of the index: %w", number, err)
	}
	slices.SortFunc(out.issued, func(x, y key) int { return bytes.Compare(x[:], y[:]) })
	out.issued = slices.Compact(out.issued)
	out.revoked.sort()
	return out, nil
}

// line reads one line; it returns what is wrong with it.
func (x *index) line(line []byte) string {
	fields := bytes.Split(line, []byte("\t"))
	if len(fields) == 1 {
		return x.serial(bytes.TrimSpace(line), nil)
	}
	if len(fields) != 6 {
		return "it has neither one field nor the six of OpenSSL, separated by tabs"
	}
	switch string(fields[0]) {
	case "V", "E":
		return x.serial(fields[3], nil)
	case "R":
		r, why := revokedField(string(fields[2]))
		if why != "" {
			return why
		}
		return x.serial(fields[3], &r)
	}
	return "its status is not V, R or E"
}

func (x *index) serial(text []byte, revoked *record) string {
	text = bytes.TrimPrefix(bytes.TrimPrefix(text, []byte("0x")), []byte("0X"))
	if len(text)%2 == 1 {
		text = append([]byte("0"), text...)
	}
	octets := make([]byte, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(octets, text); err != nil || len(octets) == 0 {
		return "the serial number is not hexadecimal"
	}
	octets = bytes.TrimLeft(octets, "\x00")
	var k key
	if len(octets) > len(k) {
		return "the serial number has more than 20 octets"
	}
	copy(k[len(k)-len(octets):], octets)
	x.issued = append(x.issued, k)
	if revoked != nil {
		x.revoked.rows = append(x.revoked.rows, row{k, *revoked})
	}
	return ""
}

// revokedField reads OpenSSL's "date[,reason[,more]]".
func revokedField(text string) (record, string) {
	date, rest, _ := strings.Cut(text, ",")
	at, err := time.Parse("060102150405Z", date)
	if err != nil {
		if at, err = time.Parse("20060102150405Z", date); err != nil {
			return record{}, "the revocation date cannot be read"
		}
	}
	r := record{at: at.Unix(), invalid: never}
	reason, more, _ := strings.Cut(rest, ",")
	switch strings.ToLower(reason) {
	case "":
	case "keytime": // OpenSSL's words for an invalidity date
		r.reason = uint8(revocation.KeyCompromise)
	case "cakeytime":
		r.reason = uint8(revocation.CACompromise)
	case "holdinstruction":
		r.reason = uint8(revocation.CertificateHold)
	default:
		found := false
		for _, known := range append(slices.Clone(revocation.Reasons), revocation.AACompromise) {
			if strings.EqualFold(known.String(), reason) {
				r.reason, found = uint8(known), true
			}
		}
		if !found {
			return record{}, "the revocation reason is none of RFC 5280"
		}
	}
	if strings.HasSuffix(strings.ToLower(reason), "keytime") {
		if since, err := time.Parse("20060102150405Z", more); err == nil {
			r.invalid = since.Unix()
		}
	}
	return r, ""
}
