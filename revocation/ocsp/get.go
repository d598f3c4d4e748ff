package ocsp

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// urlSafe turns base64url and form encoding, which some clients send, into
// base64.
var urlSafe = strings.NewReplacer("-", "+", "_", "/", " ", "+")

// DecodeGET reads the form of RFC 6960 appendix A.1.1: what follows the
// responder's URL and a slash in the path of a GET, still percent-encoded or
// not. It also reads what clients send against the letter of it: no padding,
// and raw '/' and '+'. It returns the request's DER, which ParseRequest has
// yet to judge. Errors match ErrMalformed.
func DecodeGET(path string) ([]byte, error) {
	if len(path) > 4*MaxRequest { // every octet could come as three, and base64 adds a third
		return nil, malformed("a path of %d octets", len(path))
	}
	text, err := url.PathUnescape(path)
	if err != nil {
		return nil, malformed("the path is not percent-encoded as a URL's must be")
	}
	text = strings.TrimRight(strings.TrimLeft(urlSafe.Replace(text), "/"), "=")
	request, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil || len(request) == 0 {
		return nil, malformed("the path is not base64")
	}
	return request, nil
}
