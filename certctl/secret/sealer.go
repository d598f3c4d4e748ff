package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrSealed is matched by every failure to open a sealed value: another key,
// another row, or bytes that were changed.
var ErrSealed = errors.New("secret: the value cannot be opened")

// Key is a 256-bit AES key. Its ID, the first 8 octets of its SHA-256 in hex,
// is in the header of what it sealed, so that keys can be rotated.
type Key struct {
	ID    string
	bytes [32]byte
}

func newKey(b [32]byte) Key {
	sum := sha256.Sum256(b[:])
	return Key{ID: hex.EncodeToString(sum[:8]), bytes: b}
}

// NewKey makes a random key.
func NewKey() Key {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return newKey(b)
}

// Sealer seals with one key and opens with it and older ones: AES-256-GCM with
// a random nonce. Safe for concurrent use.
type Sealer struct {
	primary string
	aeads   map[string]cipher.AEAD
}

// Header: version, key ID. It is authenticated together with the context.
const (
	sealVersion = 1
	headerSize  = 1 + 8
)

// NewSealer makes a sealer. Older keys only open.
func NewSealer(primary Key, older ...Key) (*Sealer, error) {
	s := &Sealer{primary: primary.ID, aeads: map[string]cipher.AEAD{}}
	for _, k := range append([]Key{primary}, older...) {
		block, err := aes.NewCipher(k.bytes[:])
		if err != nil {
			return nil, err
		}
		if s.aeads[k.ID], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Seal encrypts plain for one place, named by context ("issuers/config/iss-1"):
// the result opens nowhere else.
func (s *Sealer) Seal(context string, plain []byte) ([]byte, error) {
	header := make([]byte, headerSize, headerSize+len(plain)+28)
	header[0] = sealVersion
	if _, err := hex.Decode(header[1:], []byte(s.primary)); err != nil {
		return nil, err
	}
	return s.aeads[s.primary].Seal(header, nil, plain, associated(header, context)), nil
}

// Open decrypts what Seal made for the same context.
func (s *Sealer) Open(context string, sealed []byte) ([]byte, error) {
	if len(sealed) < headerSize || sealed[0] != sealVersion {
		return nil, fmt.Errorf("%w: it was not sealed by this version", ErrSealed)
	}
	id := hex.EncodeToString(sealed[1:headerSize])
	aead, ok := s.aeads[id]
	if !ok {
		return nil, fmt.Errorf("%w: it was sealed with key %s, which is not among the keys given", ErrSealed, id)
	}
	plain, err := aead.Open(nil, nil, sealed[headerSize:], associated(sealed[:headerSize], context))
	if err != nil {
		return nil, fmt.Errorf("%w: it was changed, or belongs to another row", ErrSealed)
	}
	return plain, nil
}

// Reseal returns the value sealed with the primary key, and whether that
// changed it.
func (s *Sealer) Reseal(context string, sealed []byte) ([]byte, bool, error) {
	plain, err := s.Open(context, sealed)
	if err != nil {
		return nil, false, err
	}
	if hex.EncodeToString(sealed[1:headerSize]) == s.primary {
		return sealed, false, nil
	}
	out, err := s.Seal(context, plain)
	return out, err == nil, err
}

func associated(header []byte, context string) []byte {
	return append(append([]byte{}, header...), context...)
}
