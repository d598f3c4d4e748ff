package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// NewToken returns prefix + "_" + 43 characters that hold 256 random bits, and
// the hash under which it is kept. The token is not guessable, so its plain
// SHA-256 is enough.
func NewToken(prefix string) (token, hash string) {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	token = prefix + "_" + base64.RawURLEncoding.EncodeToString(b[:])
	return token, HashToken(token)
}

// HashToken is the lower-case hex SHA-256 of a token.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
