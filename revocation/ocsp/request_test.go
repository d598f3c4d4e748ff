package ocsp_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	xocsp "golang.org/x/crypto/ocsp"

	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/revocationtest"
)

// parts build an OCSPRequest freely, well or badly.
type parts struct {
	before, ids, after, trailing []byte // version and name; Requests; extensions; after all
	signature                    []byte
}

func (p parts) der() []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(p.before)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(p.ids) })
			b.AddBytes(p.after)
		})
		b.AddBytes(p.signature)
	})
	return append(b.BytesOrPanic(), p.trailing...)
}

func element(tag byte, content ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.Tag(tag), func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(content, nil)) })
	return b.BytesOrPanic()
}

var (
	sha1OID  = []byte{6, 5, 0x2b, 14, 3, 2, 26}
	nonceOID = []byte{6, 9, 0x2b, 6, 1, 5, 5, 7, 48, 1, 2}
	otherOID = []byte{6, 3, 0x55, 0x1d, 99}
	null     = []byte{5, 0}
	true1    = []byte{1, 1, 0xff}
	false1   = []byte{1, 1, 0}
)

// certID is a Request with one CertID.
func certID(algorithm, name, key, serial []byte, extensions ...[]byte) []byte {
	return element(0x30, append([][]byte{element(0x30, algorithm, element(4, name), element(4, key), element(2, serial))}, extensions...)...)
}

func plain(serial ...byte) []byte {
	return certID(element(0x30, sha1OID, null), bytes.Repeat([]byte{1}, 20), bytes.Repeat([]byte{2}, 20), serial)
}

func extensions(tag byte, list ...[]byte) []byte { return element(tag, element(0x30, list...)) }

func extension(oid, critical, value []byte) []byte {
	return element(0x30, oid, critical, element(4, value))
}

func nonce(n int) []byte {
	return extensions(0xa2, extension(nonceOID, nil, element(4, bytes.Repeat([]byte{9}, n))))
}

func TestRequestsThatAreRead(t *testing.T) {
	id := plain(5)
	for name, c := range map[string]struct {
		request []byte
		nonce   int
		serials []int64
	}{
		"plain":                     {parts{ids: id}.der(), 0, []int64{5}},
		"no NULL":                   {parts{ids: certID(element(0x30, sha1OID), make([]byte, 20), make([]byte, 20), []byte{5})}.der(), 0, []int64{5}},
		"three":                     {parts{ids: bytes.Join([][]byte{plain(5), plain(1, 0), plain(0, 0xff)}, nil)}.der(), 0, []int64{5, 256, 255}},
		"sixteen":                   {parts{ids: bytes.Repeat(id, 16)}.der(), 0, []int64{5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5}},
		"negative":                  {parts{ids: plain(0xff)}.der(), 0, []int64{-1}},
		"negative, longer":          {parts{ids: plain(0xfe, 0xff)}.der(), 0, []int64{-257}},
		"version 1, said":           {parts{before: element(0xa0, []byte{2, 1, 0}), ids: id}.der(), 0, []int64{5}},
		"requestor name":            {parts{before: element(0xa1, element(0x82, []byte("example.com"))), ids: id}.der(), 0, []int64{5}},
		"signature":                 {parts{ids: id, signature: element(0xa0, element(0x30, []byte{3, 2, 0, 1}))}.der(), 0, []int64{5}},
		"nonce of 1":                {parts{ids: id, after: nonce(1)}.der(), 1, []int64{5}},
		"nonce of 32":               {parts{ids: id, after: nonce(32)}.der(), 32, []int64{5}},
		"nonce of 128":              {parts{ids: id, after: nonce(128)}.der(), 128, []int64{5}},
		"critical nonce":            {parts{ids: id, after: extensions(0xa2, extension(nonceOID, true1, []byte{4, 1, 7}))}.der(), 1, []int64{5}},
		"other extension":           {parts{ids: id, after: extensions(0xa2, extension(otherOID, nil, []byte{7}))}.der(), 0, []int64{5}},
		"other, says not critical":  {parts{ids: id, after: extensions(0xa2, extension(otherOID, false1, nil))}.der(), 0, []int64{5}},
		"extension of a single one": {parts{ids: certID(element(0x30, sha1OID, null), make([]byte, 20), make([]byte, 20), []byte{5}, extensions(0xa0, extension(otherOID, nil, nil)))}.der(), 0, []int64{5}},
		"unknown algorithm":         {parts{ids: certID(element(0x30, otherOID), []byte{1}, []byte{2}, []byte{5})}.der(), 0, []int64{5}},
	} {
		req, err := ocsp.ParseRequest(c.request)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(req.IDs) != len(c.serials) || len(req.Nonce) != c.nonce {
			t.Errorf("%s: %d certificates, nonce of %d", name, len(req.IDs), len(req.Nonce))
			continue
		}
		for i, want := range c.serials {
			if got := req.IDs[i].SerialNumber(); got.Cmp(big.NewInt(want)) != 0 {
				t.Errorf("%s: serial %v, want %d", name, got, want)
			}
		}
	}
}

func TestRequestsThatAreMalformed(t *testing.T) {
	id := plain(5)
	twenty := make([]byte, 20)
	sha1 := element(0x30, sha1OID, null)
	for name, request := range map[string][]byte{
		"nothing":                  nil,
		"text":                     []byte("GET / HTTP/1.1"),
		"trailing octet":           parts{ids: id, trailing: []byte{0}}.der(),
		"nobody":                   parts{}.der(),
		"seventeen":                parts{ids: bytes.Repeat(id, 17)}.der(),
		"ten thousand (too large)": parts{ids: bytes.Repeat(id, 10_000)}.der(),
		"version 2":                parts{before: element(0xa0, []byte{2, 1, 1}), ids: id}.der(),
		"empty serial":             parts{ids: plain()}.der(),
		"serial, not minimal":      parts{ids: plain(0, 5)}.der(),
		"negative, not minimal":    parts{ids: plain(0xff, 0x85)}.der(),
		"serial of 65 octets":      parts{ids: plain(bytes.Repeat([]byte{1}, 65)...)}.der(),
		"short name hash":          parts{ids: certID(sha1, twenty[1:], twenty, []byte{5})}.der(),
		"long key hash":            parts{ids: certID(sha1, twenty, make([]byte, 32), []byte{5})}.der(),
		"odd parameters":           parts{ids: certID(element(0x30, sha1OID, []byte{2, 1, 5}), twenty, twenty, []byte{5})}.der(),
		"octets in a Request":      parts{ids: certID(sha1, twenty, twenty, []byte{5}, []byte{5, 0})}.der(),
		"octets after the list":    parts{ids: id, after: null}.der(),
		"octets after signature":   parts{ids: id, signature: []byte{0xa0, 0, 5, 0}}.der(),
		"nonce of 0":               parts{ids: id, after: nonce(0)}.der(),
		"nonce of 129":             parts{ids: id, after: nonce(129)}.der(),
		"nonce, not wrapped":       parts{ids: id, after: extensions(0xa2, extension(nonceOID, nil, []byte("raw nonce")))}.der(),
		"nonce with a tail":        parts{ids: id, after: extensions(0xa2, extension(nonceOID, nil, []byte{4, 1, 1, 0}))}.der(),
		"two nonces":               parts{ids: id, after: extensions(0xa2, extension(nonceOID, nil, []byte{4, 1, 1}), extension(nonceOID, nil, []byte{4, 1, 1}))}.der(),
		"critical, unknown":        parts{ids: id, after: extensions(0xa2, extension(otherOID, true1, nil))}.der(),
		"critical, of a single":    parts{ids: certID(sha1, twenty, twenty, []byte{5}, extensions(0xa0, extension(otherOID, true1, nil)))}.der(),
		"extension, no value":      parts{ids: id, after: extensions(0xa2, element(0x30, otherOID))}.der(),
		"BER length":               append([]byte{0x30, 0x81, byte(len(parts{ids: id}.der()) - 2)}, parts{ids: id}.der()[2:]...),
		"indefinite length":        append(append([]byte{0x30, 0x80}, parts{ids: id}.der()[2:]...), 0, 0),
	} {
		req, err := ocsp.ParseRequest(request)
		if !errors.Is(err, ocsp.ErrMalformed) || req != nil {
			t.Errorf("%s: %v, %v", name, req, err)
		}
	}
	// A signature may take any space, up to the limit and not past it.
	padded := func(total int) []byte {
		rest := total - len(parts{ids: id, signature: element(0xa0, make([]byte, ocsp.MaxRequest-1000))}.der())
		return parts{ids: id, signature: element(0xa0, make([]byte, ocsp.MaxRequest-1000+rest))}.der()
	}
	for size, ok := range map[int]bool{ocsp.MaxRequest: true, ocsp.MaxRequest + 1: false} {
		request := padded(size)
		if _, err := ocsp.ParseRequest(request); len(request) != size || (err == nil) != ok {
			t.Errorf("%d octets of %d: %v", len(request), size, err)
		}
	}
	sound := parts{ids: id, after: nonce(16)}.der()
	for n := range sound {
		if _, err := ocsp.ParseRequest(sound[:n]); !errors.Is(err, ocsp.ErrMalformed) {
			t.Errorf("cut to %d octets: %v", n, err)
		}
	}
}

func TestNewRequestIsReadHereAndElsewhere(t *testing.T) {
	ca := revocationtest.NewCA(t, "p256", "OCSP CA", now)
	serial := new(big.Int).Lsh(big.NewInt(0xfedc), 100)
	leaf := ca.Issue(t, serial, now)
	for hash, size := range map[crypto.Hash]int{crypto.SHA1: 20, crypto.SHA256: 32, crypto.SHA384: 48, crypto.SHA512: 64} {
		mine, err := ocsp.NewRequest(ca.Cert, hash, nil, serial)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := xocsp.CreateRequest(leaf, ca.Cert, &xocsp.RequestOptions{Hash: hash})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(mine, theirs) {
			t.Errorf("%v: %x, golang.org/x/crypto/ocsp makes %x", hash, mine, theirs)
		}
		req, err := ocsp.ParseRequest(mine)
		if err != nil || req.IDs[0].Hash != hash || len(req.IDs[0].NameHash) != size || req.IDs[0].SerialNumber().Cmp(serial) != 0 {
			t.Errorf("%v: %+v, %v", hash, req, err)
		}
	}
	sent := bytes.Repeat([]byte{7}, 32)
	both, err := ocsp.NewRequest(ca.Cert, crypto.SHA256, sent, serial, big.NewInt(1))
	if err != nil {
		t.Fatal(err)
	}
	req, err := ocsp.ParseRequest(both)
	if err != nil || len(req.IDs) != 2 || !bytes.Equal(req.Nonce, sent) {
		t.Errorf("%+v, %v", req, err)
	}
	for name, fails := range map[string]func() ([]byte, error){
		"MD5":          func() ([]byte, error) { return ocsp.NewRequest(ca.Cert, crypto.MD5, nil, serial) },
		"nobody":       func() ([]byte, error) { return ocsp.NewRequest(ca.Cert, crypto.SHA1, nil) },
		"empty nonce":  func() ([]byte, error) { return ocsp.NewRequest(ca.Cert, crypto.SHA1, []byte{}, serial) },
		"nonce of 129": func() ([]byte, error) { return ocsp.NewRequest(ca.Cert, crypto.SHA1, make([]byte, 129), serial) },
	} {
		if b, err := fails(); err == nil {
			t.Errorf("%s: %x", name, b)
		}
	}
}

func TestDecodeGET(t *testing.T) {
	// Octets whose base64 has '+', '/' and padding.
	request := append(parts{ids: plain(0x3f, 0xff, 0xfb, 0xef, 0xbe)}.der(), 0xfb, 0xff, 0xbf, 0xfe)
	text := base64.StdEncoding.EncodeToString(request)
	if !strings.Contains(text, "//") || !strings.Contains(text, "+") || !strings.HasSuffix(text, "==") {
		t.Fatalf("%s does not try what it should", text)
	}
	for name, path := range map[string]string{
		"raw":              text,
		"escaped":          strings.NewReplacer("/", "%2F", "+", "%2B", "=", "%3D").Replace(text),
		"lower escapes":    strings.NewReplacer("/", "%2f", "+", "%2b", "=", "%3d").Replace(text),
		"no padding":       strings.TrimRight(text, "="),
		"URL alphabet":     strings.NewReplacer("/", "_", "+", "-", "=", "").Replace(text),
		"plus as a space":  strings.ReplaceAll(text, "+", "%20"),
		"leading slashes":  "//" + text,
		"half escaped":     strings.Replace(text, "/", "%2F", 1),
		"with line breaks": text[:64] + "%0A" + text[64:],
	} {
		got, err := ocsp.DecodeGET(path)
		if err != nil || !bytes.Equal(got, request) {
			t.Errorf("%s: %x, %v, want %x", name, got, err, request)
		}
	}
	for name, path := range map[string]string{
		"nothing": "", "slashes": "///", "broken escape": "MEMw%2", "bad escape": "MEMw%zz", "not base64": "MEMw*A", "odd length": "MEMwQ",
		"padding inside": "ME=wQTA", "bits left over": "MEMwQX", "huge": strings.Repeat("M", 1<<20),
	} {
		if got, err := ocsp.DecodeGET(path); !errors.Is(err, ocsp.ErrMalformed) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(parts{ids: plain(5), after: nonce(16)}.der())
	f.Add(parts{before: element(0xa0, []byte{2, 1, 0}), ids: bytes.Repeat(plain(0, 0x80), 16), signature: []byte{0xa0, 0}}.der())
	f.Fuzz(func(t *testing.T, data []byte) {
		req, err := ocsp.ParseRequest(data)
		if err != nil {
			if !errors.Is(err, ocsp.ErrMalformed) {
				t.Fatalf("%v does not match ErrMalformed", err)
			}
			return
		}
		if n := len(req.IDs); n < 1 || n > ocsp.MaxCertIDs || len(req.Nonce) > ocsp.MaxNonce {
			t.Fatalf("%d certificates, nonce of %d", n, len(req.Nonce))
		}
		for i := range req.IDs {
			id := req.IDs[i]
			// What is echoed into a response is a CertID, and all of one.
			again, err := ocsp.ParseRequest(parts{ids: element(0x30, id.Raw)}.der())
			if err != nil || len(again.IDs) != 1 || again.IDs[0].SerialNumber().Cmp(id.SerialNumber()) != 0 || !bytes.Equal(again.IDs[0].Raw, id.Raw) {
				t.Fatalf("CertID %x reads differently alone: %v", id.Raw, err)
			}
		}
	})
}

func FuzzDecodeGET(f *testing.F) {
	f.Add("MEMwQTA/MD0wOzAJBgUrDgMCGgUABBQB%2BwEB%3D")
	f.Add("//+-_ ==%0A")
	f.Fuzz(func(t *testing.T, path string) {
		request, err := ocsp.DecodeGET(path)
		if err != nil && !errors.Is(err, ocsp.ErrMalformed) {
			t.Fatalf("%v does not match ErrMalformed", err)
		}
		if err == nil && (len(request) == 0 || len(request) > len(path)) {
			t.Fatalf("%q gives %d octets", path, len(request))
		}
	})
}

func BenchmarkParseRequest(b *testing.B) {
	ca := revocationtest.NewCA(b, "p256", "OCSP CA", now)
	request, err := ocsp.NewRequest(ca.Cert, crypto.SHA1, nil, new(big.Int).Lsh(big.NewInt(0xfedc), 100))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ocsp.ParseRequest(request); err != nil {
			b.Fatal(err)
		}
	}
}
