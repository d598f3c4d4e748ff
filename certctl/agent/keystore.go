package agent

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"

	"github.com/certctl/certctl/certctl/keys"
)

// DefaultKeyAlgorithm is what work without one gets.
const DefaultKeyAlgorithm = keys.ECDSAP256

// keyStore keeps the private keys of certificates, one PEM file each:
//
//	<certificate>.key               of the certificate in use
//	<certificate>@<generation>.key  made for a generation not deployed yet
//	<certificate>@prev.key          of the one before, for targets that still serve it
//
// "@" cannot be in an ID, so no two certificates ever share a name.
type keyStore struct {
	mu sync.Mutex
	*folder
}

func currentKey(id string) string  { return id + ".key" }
func previousKey(id string) string { return id + "@prev.key" }
func pendingKey(id string, generation int64) string {
	return fmt.Sprintf("%s@%d.key", id, generation)
}

// pendingGeneration tells the generation of a pending key's file name.
func pendingGeneration(id, name string) (int64, bool) {
	text, ok := strings.CutPrefix(name, id+"@")
	if !ok {
		return 0, false
	}
	text, ok = strings.CutSuffix(text, ".key")
	g, err := strconv.ParseInt(text, 10, 64)
	return g, ok && err == nil
}

// prepare returns the key for a generation, which is safely on disk before
// anybody hears of it. One that was made before a crash is used again, unless
// another algorithm is wanted by now.
func (k *keyStore) prepare(id string, generation int64, algorithm string) (crypto.Signer, error) {
	if err := checkID("certificate", id); err != nil {
		return nil, err
	}
	wanted, err := DefaultKeyAlgorithm, error(nil)
	if algorithm != "" {
		wanted, err = keys.ParseAlgorithm(algorithm)
	}
	if err != nil {
		return nil, fmt.Errorf("%w for certificate %s: %w", errNoSuchKey, id, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	name := pendingKey(id, generation)
	content, err := k.read(name)
	switch {
	case err == nil:
		if key, err := keys.ParsePEM(content); err == nil && isOf(wanted, key.Public()) {
			return key, nil
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	key, err := keys.Generate(wanted)
	if err != nil {
		return nil, fmt.Errorf("make key of certificate %s: %w", id, err)
	}
	content, err = keys.MarshalPEM(key)
	if err != nil {
		return nil, fmt.Errorf("encode key of certificate %s: %w", id, err)
	}
	if err := k.write(name, content); err != nil {
		return nil, err
	}
	return key, nil
}

// isOf reports whether a key is of the algorithm.
func isOf(a keys.Algorithm, pub crypto.PublicKey) bool {
	kind, bits := keys.Describe(pub)
	switch kind {
	case "ECDSA":
		return string(a) == fmt.Sprintf("ECDSA-P%d", bits)
	case "RSA":
		return string(a) == fmt.Sprintf("RSA-%d", bits)
	default:
		return string(a) == kind
	}
}

var (
	// errNoKey: no key of the certificate matches.
	errNoKey = errors.New("no key matches")
	// errNoSuchKey: a key of the wanted algorithm cannot be made.
	errNoSuchKey = errors.New("no key can be made")
)

// heldKey is a key and the file that it is in.
type heldKey struct {
	key  crypto.Signer
	pem  []byte
	name string
}

// find returns the certificate's key whose public half is pub, whatever its
// file is called, or errNoKey.
func (k *keyStore) find(id string, pub crypto.PublicKey) (*heldKey, error) {
	if err := checkID("certificate", id); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	names, err := k.of(id)
	if err != nil {
		return nil, err
	}
	var broken error
	for _, name := range names {
		content, err := k.read(name)
		if err != nil {
			broken = errors.Join(broken, err)
			continue
		}
		key, err := keys.ParsePEM(content)
		if err != nil {
			broken = errors.Join(broken, fmt.Errorf("%s is no private key in PEM", name))
			continue
		}
		if keys.SameKey(key.Public(), pub) {
			return &heldKey{key: key, pem: content, name: name}, nil
		}
	}
	return nil, errors.Join(errNoKey, broken)
}

// of lists the key files of a certificate.
func (k *keyStore) of(id string) ([]string, error) {
	all, err := k.names()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		_, pending := pendingGeneration(id, name)
		if pending || name == currentKey(id) || name == previousKey(id) {
			names = append(names, name)
		}
	}
	return names, nil
}

// promote makes a pending key the one in use, after its certificate was
// deployed. Between any two steps every key that is served is in a file.
// Pending keys of earlier generations, which were overtaken, are removed.
func (k *keyStore) promote(id string, held *heldKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	generation, pending := pendingGeneration(id, held.name)
	if !pending {
		return nil
	}
	if _, err := k.root.Stat(held.name); errors.Is(err, fs.ErrNotExist) {
		return nil // promoted by another target of the certificate, or overtaken
	}
	old, err := k.read(currentKey(id))
	switch {
	case err == nil:
		if !bytes.Equal(old, held.pem) {
			if err := k.write(previousKey(id), old); err != nil {
				return err
			}
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := k.rename(held.name, currentKey(id)); err != nil {
		return err
	}
	names, err := k.of(id)
	if err != nil {
		return err
	}
	for _, name := range names {
		if g, ok := pendingGeneration(id, name); ok && g < generation {
			if err := k.remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}
