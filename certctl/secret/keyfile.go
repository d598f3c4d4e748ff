package secret

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// passphraseRounds of PBKDF2-SHA256. Passphrases are stretched; real keys are
// not.
const passphraseRounds = 600_000

// ParseKey reads a key: 32 octets as hex or base64, or a passphrase of at
// least 16 characters, stretched with PBKDF2-SHA256 under a fixed salt (all
// servers of one database must come to the same key).
func ParseKey(text string) (Key, error) {
	text = strings.TrimSpace(text)
	var b [32]byte
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == 32 {
		copy(b[:], raw)
		return newKey(b), nil
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if raw, err := enc.DecodeString(text); err == nil && len(raw) == 32 {
			copy(b[:], raw)
			return newKey(b), nil
		}
	}
	if len(text) < 16 {
		return Key{}, errors.New("the key is too short: give 32 octets as hex or base64 (openssl rand -hex 32), or a passphrase of at least 16 characters")
	}
	raw, err := pbkdf2.Key(sha256.New, text, []byte("certctl config encryption v1"), passphraseRounds, 32)
	if err != nil {
		return Key{}, err
	}
	copy(b[:], raw)
	return newKey(b), nil
}

// LoadOrCreateKeyFile reads a key from a file that only its owner can read, or
// makes one there. An existing file is never overwritten.
func LoadOrCreateKeyFile(path string) (Key, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createKeyFile(path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("the key file cannot be read: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Key{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return Key{}, fmt.Errorf("the key file %s can be read by others (mode %04o); run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return Key{}, err
	}
	k, err := ParseKey(string(text))
	if err != nil {
		return Key{}, fmt.Errorf("the key file %s: %w", path, err)
	}
	return k, nil
}

func createKeyFile(path string) (Key, error) {
	k := NewKey()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Key{}, fmt.Errorf("the key file cannot be made: %w", err)
	}
	_, err = f.WriteString(hex.EncodeToString(k.bytes[:]) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		os.Remove(path)
		return Key{}, fmt.Errorf("the key file cannot be written: %w", err)
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil { // a key that seals must not be lost to a power cut
		err = errors.Join(dir.Sync(), dir.Close())
		if err != nil {
			return Key{}, err
		}
	}
	return k, nil
}
