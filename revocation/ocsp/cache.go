package ocsp

import (
	"context"
	"errors"
	"math"
	"math/big"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/internal/der"
)

// cache keeps what is known of certificates, with the signed answer to the
// common request, by CertID. It holds nothing but statuses that the feed would
// tell a change of, and drops them when it does.
type cache struct {
	kept *table

	// mu orders keeping (shared) and forgetting (alone): what was read before a
	// change was told is not kept after it.
	mu        sync.RWMutex
	positions map[string]int64 // of the feed, by key ID
	cas       map[string][]*Issuer
	tails     atomic.Pointer[[][]byte] // the ends of answers, one for each signer
	following atomic.Bool

	asking sync.Map // CertIDs that are being refreshed
}

func newCache(size int64) *cache {
	c := &cache{
		kept:      newTable(size),
		positions: map[string]int64{}, cas: map[string][]*Issuer{},
	}
	c.tails.Store(&[][]byte{})
	return c
}

// get appends to b what is kept of a CertID, if it still holds.
func (c *cache) get(b, certID []byte, now time.Time) ([]byte, bool) {
	if !c.following.Load() {
		return b, false
	}
	n := len(b)
	b, ok := c.kept.appendTo(b, certID)
	if !ok || now.UnixNano() >= nextUpdateOf(b[n:]) {
		return b[:n], false
	}
	return b, true
}

// position returns the feed's position for a CA, which has to be read before
// the status that is to be kept.
func (c *cache) position(ctx context.Context, feed revocation.Feed, i *Issuer) (int64, error) {
	c.mu.RLock()
	at, ok := c.positions[i.keyID]
	known := ok && c.knows(i)
	c.mu.RUnlock()
	if known {
		return at, nil
	}
	if !ok {
		var err error
		// No position is as late: the feed says its own, and that it cannot tell.
		if at, err = feed.Changes(ctx, i.keyID, math.MaxInt64, func(*big.Int) error { return nil }); !errors.Is(err, revocation.ErrAllChanged) {
			return 0, errors.Join(err, errors.New("ocsp: the feed tells no position"))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if first, ok := c.positions[i.keyID]; ok {
		at = first
	}
	c.positions[i.keyID] = at
	if !c.knows(i) {
		c.cas[i.keyID] = append(c.cas[i.keyID], i)
	}
	return at, nil
}

// knows reports whether an Issuer of the same name and key was seen: what
// CertIDs depend on.
func (c *cache) knows(i *Issuer) bool {
	for _, o := range c.cas[i.keyID] {
		if o.sameCA(i) {
			return true
		}
	}
	return false
}

// keep keeps an answer about a CertID unless the feed has told a change since
// position at. response is nil when it has a nonce.
func (c *cache) keep(certID []byte, i *Issuer, at int64, a Answer, response []byte) {
	k := kept{answer: a, tail: c.tail(i)}
	if response != nil {
		k.head = response[:len(response)-len(i.certs)]
	}
	value := k.append(make([]byte, 0, keptFixed+len(k.head)))
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.following.Load() && c.positions[i.keyID] == at {
		c.kept.set(certID, value)
	}
}

// tail is the number of a signer's certificates among tails.
func (c *cache) tail(i *Issuer) uint32 {
	find := func() (uint32, bool) {
		for n, t := range *c.tails.Load() {
			if string(t) == string(i.certs) {
				return uint32(n), true
			}
		}
		return 0, false
	}
	if n, ok := find(); ok {
		return n
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, ok := find(); ok {
		return n
	}
	old := *c.tails.Load()
	next := append(append([][]byte(nil), old...), i.certs)
	c.tails.Store(&next)
	return uint32(len(old))
}

// follow reads the feed once: what has changed is forgotten.
func (c *cache) follow(ctx context.Context, feed revocation.Feed) error {
	c.mu.RLock()
	positions := make(map[string]int64, len(c.positions))
	for id, at := range c.positions {
		positions[id] = at
	}
	c.mu.RUnlock()
	var failed error
	for id, since := range positions {
		var changed []*big.Int
		at, err := feed.Changes(ctx, id, since, func(n *big.Int) error {
			changed = append(changed, new(big.Int).Set(n))
			return nil
		})
		all := errors.Is(err, revocation.ErrAllChanged)
		if err != nil && !all {
			failed = errors.Join(failed, err)
			continue
		}
		if at != since || all {
			c.forget(id, at, changed, all)
		}
	}
	return failed
}

func (c *cache) forget(keyID string, at int64, changed []*big.Int, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.positions[keyID] = at
	if all {
		c.kept.clear()
		return
	}
	for _, i := range c.cas[keyID] {
		for _, n := range changed {
			for _, id := range i.certIDs(n) {
				c.kept.drop(id)
			}
		}
	}
}

// stop ends keeping: without a follower, nothing that is kept may be used.
func (c *cache) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.following.Store(false)
	c.kept.clear()
	clear(c.positions)
	clear(c.cas)
}

// size is how many octets the cache holds.
func (c *cache) size() uint64 { return c.kept.size() }

// certIDs are the CertIDs that name a certificate of this CA: for each hash,
// with the parameters NULL and absent.
func (i *Issuer) certIDs(serial *big.Int) [][]byte {
	out := make([][]byte, 0, 2*len(hashes))
	for n, h := range hashes {
		for _, parameters := range [][]byte{{5, 0}, nil} {
			out = append(out, encodeCertID(h.oid, parameters, i.ids[n], serial))
		}
	}
	return out
}

func encodeCertID(oid, parameters []byte, hash issuerHash, serial *big.Int) []byte {
	algorithm := append(der.Append(nil, 0x06, oid), parameters...)
	b := der.Append(nil, der.Sequence, algorithm)
	b = der.Append(b, der.OctetString, hash.name)
	b = der.Append(b, der.OctetString, hash.key)
	b = der.AppendInteger(b, serial)
	return der.Wrap(b, 0, der.Sequence)
}
