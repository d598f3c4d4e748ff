package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
)

// ErrSealed matches every failure to open a sealed value: another key, another
// context, or bytes that were changed.
var ErrSealed = errors.New("sealed value cannot be opened")

// Sealed values are
//
//	version (1) | length of key ID (1) | key ID | nonce (12) | AES-256-GCM output
//
// and everything before the nonce, with the context, is authenticated.
const (
	sealVersion = 1
	nonceSize   = 12
)

// Sealer seals values at rest with AES-256-GCM. Safe for concurrent use.
type Sealer struct {
	primary string
	keys    map[string]cipher.AEAD
}

// NewSealer seals with primary, and opens what primary or one of older sealed.
func NewSealer(primary Key, older ...Key) (*Sealer, error) {
	s := &Sealer{primary: primary.ID, keys: map[string]cipher.AEAD{}}
	for _, k := range append([]Key{primary}, older...) {
		if k.ID == "" || len(k.ID) > 255 {
			return nil, errors.New("the ID of an encryption key must have 1 to 255 characters")
		}
		if k.Bytes == ([32]byte{}) {
			return nil, fmt.Errorf("encryption key %s is all zeros; make one with NewKey or ParseKey", k.ID)
		}
		if _, ok := s.keys[k.ID]; ok {
			return nil, fmt.Errorf("encryption key %s is given twice", k.ID)
		}
		block, err := aes.NewCipher(k.Bytes[:])
		if err != nil {
			return nil, err
		}
		if s.keys[k.ID], err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Seal encrypts plain. The context says where the value belongs, such as
// "issuers/config/iss-local"; it is not stored, and only the same one opens the
// value, so that rows cannot be exchanged.
func (s *Sealer) Seal(context string, plain []byte) ([]byte, error) {
	header := append([]byte{sealVersion, byte(len(s.primary))}, s.primary...)
	nonce := make([]byte, nonceSize)
	rand.Read(nonce) // never fails: crypto/rand ends the process instead
	out := append(append(make([]byte, 0, len(header)+nonceSize+len(plain)+16), header...), nonce...)
	return s.keys[s.primary].Seal(out, nonce, plain, append(header, context...)), nil
}

// Open decrypts what Seal returned for the same context. Every failure matches
// ErrSealed.
func (s *Sealer) Open(context string, sealed []byte) ([]byte, error) {
	plain, _, err := s.open(context, sealed)
	return plain, err
}

func (s *Sealer) open(context string, sealed []byte) (plain []byte, id string, err error) {
	if len(sealed) < 2 || sealed[0] != sealVersion || len(sealed) < 2+int(sealed[1])+nonceSize {
		return nil, "", fmt.Errorf("%w: it is not in the form of this version", ErrSealed)
	}
	header, rest := sealed[:2+int(sealed[1])], sealed[2+int(sealed[1]):]
	id = string(header[2:])
	aead, ok := s.keys[id]
	if !ok {
		return nil, id, fmt.Errorf("%w: it was sealed with key %.32q, which is not among the configured keys", ErrSealed, id)
	}
	aad := append(append(make([]byte, 0, len(header)+len(context)), header...), context...)
	plain, err = aead.Open(nil, rest[:nonceSize], rest[nonceSize:], aad)
	if err != nil {
		return nil, id, fmt.Errorf("%w: it was changed, or belongs elsewhere", ErrSealed)
	}
	return plain, id, nil
}

// Reseal seals a value anew with the primary key if an older one sealed it,
// and reports whether it did.
func (s *Sealer) Reseal(context string, sealed []byte) ([]byte, bool, error) {
	plain, id, err := s.open(context, sealed)
	if err != nil || id == s.primary {
		return sealed, false, err
	}
	out, err := s.Seal(context, plain)
	return out, err == nil, err
}
