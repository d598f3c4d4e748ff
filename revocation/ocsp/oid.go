package ocsp

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // CertIDs of RFC 5019 clients
	_ "crypto/sha256"
	_ "crypto/sha512"
)

// Object identifiers, as the content octets of their DER.
var (
	oidBasic   = []byte{0x2b, 6, 1, 5, 5, 7, 48, 1, 1}
	oidNonce   = []byte{0x2b, 6, 1, 5, 5, 7, 48, 1, 2}
	oidArchive = []byte{0x2b, 6, 1, 5, 5, 7, 48, 1, 6}
	oidSHA1    = []byte{0x2b, 14, 3, 2, 26}
	oidSHA256  = []byte{0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1}
	oidSHA384  = []byte{0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2}
	oidSHA512  = []byte{0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3}
)

// hashes are the algorithms of CertIDs that are understood.
var hashes = [...]struct {
	hash crypto.Hash
	oid  []byte
}{
	{crypto.SHA1, oidSHA1}, {crypto.SHA256, oidSHA256}, {crypto.SHA384, oidSHA384}, {crypto.SHA512, oidSHA512},
}

// hashOf is the algorithm with an identifier, 0 when it is not understood.
func hashOf(oid []byte) crypto.Hash {
	for i := range hashes {
		if bytes.Equal(hashes[i].oid, oid) {
			return hashes[i].hash
		}
	}
	return 0
}

func sum(h crypto.Hash, data []byte) []byte {
	w := h.New()
	w.Write(data)
	return w.Sum(nil)
}
