package ocsp

import "bytes"

// quick finds the CertID (its whole element) and the nonce of the request that
// nearly every client sends: one certificate, no version, name or signature,
// and no extension but perhaps a nonce. It looks at no more than the framing:
// who finds the CertID in the cache knows the rest, everybody else has to call
// ParseRequest, which accepts all that quick does when the CertID is sound.
func quick(request []byte) (certID, nonce []byte, ok bool) {
	outer, rest := element(request, 0x30)
	if outer == nil || len(rest) != 0 || len(request) > MaxRequest {
		return nil, nil, false
	}
	tbs, rest := element(outer, 0x30)
	if tbs == nil || len(rest) != 0 {
		return nil, nil, false
	}
	list, extensions := element(tbs, 0x30)
	single, rest := element(list, 0x30)
	if single == nil || len(rest) != 0 {
		return nil, nil, false
	}
	if body, rest := element(single, 0x30); body == nil || len(rest) != 0 {
		return nil, nil, false
	}
	if len(extensions) == 0 {
		return single, nil, true
	}
	nonce = onlyNonce(extensions)
	return single, nonce, nonce != nil
}

// onlyNonce returns the nonce of requestExtensions that hold nothing else.
func onlyNonce(in []byte) []byte {
	wrapped, rest := element(in, 0xa2)
	if wrapped == nil || len(rest) != 0 {
		return nil
	}
	list, rest := element(wrapped, 0x30)
	if list == nil || len(rest) != 0 {
		return nil
	}
	one, rest := element(list, 0x30)
	if one == nil || len(rest) != 0 {
		return nil
	}
	oid, rest := element(one, 0x06)
	if !bytes.Equal(oid, oidNonce) {
		return nil
	}
	value, rest := element(rest, 0x04)
	if value == nil || len(rest) != 0 {
		return nil
	}
	nonce, rest := element(value, 0x04)
	if len(rest) != 0 || len(nonce) == 0 || len(nonce) > MaxNonce {
		return nil
	}
	return nonce
}

// element splits off the content of the first element, if it has this tag and a
// length in DER of at most two octets; nil otherwise.
func element(b []byte, tag byte) (content, rest []byte) {
	if len(b) < 2 || b[0] != tag {
		return nil, nil
	}
	start, n := 2, int(b[1])
	switch {
	case n < 0x80:
	case n == 0x81 && len(b) > 2 && b[2] >= 0x80:
		start, n = 3, int(b[2])
	case n == 0x82 && len(b) > 3 && b[2] != 0:
		start, n = 4, int(b[2])<<8|int(b[3])
	default:
		return nil, nil
	}
	if len(b)-start < n {
		return nil, nil
	}
	return b[start : start+n : start+n], b[start+n:]
}
