package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Key encrypts what is stored. Its ID is written into everything it seals, so
// that after a rotation the right key is found; it reveals nothing of the key.
type Key struct {
	ID    string
	Bytes [32]byte
}

// String names the key without showing it.
func (k Key) String() string { return "key " + k.ID }

// GoString is String: %#v does not show the key either.
func (k Key) GoString() string { return k.String() }

// NewKey makes a random key.
func NewKey() Key {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return keyOf(b)
}

func keyOf(b [32]byte) Key {
	sum := sha256.Sum256(append([]byte("certctl encryption key id\x00"), b[:]...))
	return Key{ID: hex.EncodeToString(sum[:6]), Bytes: b}
}

// passphraseSalt is fixed, since there is no place to keep another one before
// the first value can be unsealed: two installations with one passphrase have
// one key. That is why random keys are the recommendation.
const passphraseSalt = "certctl/secret/passphrase/v1"

// ParseKey reads 32 bytes in hexadecimal or base64 (standard or URL alphabet,
// padded or not). Any other text of at least 16 characters is a passphrase,
// from which Argon2id (RFC 9106 section 4, second recommendation: 3 passes over
// 64 MiB, 4 lanes) derives the key.
func ParseKey(text string) (Key, error) {
	text = strings.TrimSpace(text)
	if k, ok := parseExact(text); ok {
		return k, nil
	}
	if len([]rune(text)) < 16 {
		return Key{}, errors.New("an encryption key is 32 bytes in hexadecimal or base64, or a passphrase of at least 16 characters; make one with: openssl rand -hex 32")
	}
	return keyOf([32]byte(argon2.IDKey([]byte(text), []byte(passphraseSalt), 3, 64*1024, 4, 32))), nil
}

func parseExact(text string) (Key, bool) {
	if b, err := hex.DecodeString(text); err == nil && len(b) == 32 {
		return keyOf([32]byte(b)), true
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := e.DecodeString(text); err == nil && len(b) == 32 {
			return keyOf([32]byte(b)), true
		}
	}
	return Key{}, false
}

// LoadOrCreateKeyFile reads the key in a file, or makes both when there is
// none. The file must be readable by its owner alone. It holds the key in
// hexadecimal; losing it is losing everything that was sealed with it. A file
// that holds anything else is an error, never replaced.
func LoadOrCreateKeyFile(path string) (Key, error) {
	text, err := ReadFile(path, 4096)
	if errors.Is(err, fs.ErrNotExist) {
		k := NewKey()
		err = CreateFile(path, []byte(hex.EncodeToString(k.Bytes[:])+"\n"))
		if err == nil {
			return k, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return Key{}, fmt.Errorf("make encryption key file: %w", err)
		}
		text, err = ReadFile(path, 4096) // somebody else was first
	}
	if err != nil {
		return Key{}, fmt.Errorf("encryption key file: %w", err)
	}
	k, ok := parseExact(strings.TrimSpace(string(text)))
	if !ok {
		return Key{}, fmt.Errorf("encryption key file %s does not hold 32 bytes in hexadecimal or base64; restore it from a backup, since what it sealed cannot be read with another key", path)
	}
	return k, nil
}
