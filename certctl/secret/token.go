package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// NewToken makes a credential of 256 random bits, "prefix_…" in the URL-safe
// base64 alphabet, and the hash to keep of it. The prefix lets scanners find
// leaked tokens.
func NewToken(prefix string) (token, hash string) {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	token = prefix + "_" + base64.RawURLEncoding.EncodeToString(b[:])
	return token, HashToken(token)
}

// HashToken is the lower-case hexadecimal SHA-256 of a token. A plain hash is
// enough for a random value; never use it for passwords.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
