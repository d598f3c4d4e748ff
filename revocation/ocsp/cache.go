package ocsp

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"math"
	"math/big"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/internal/der"
)

// cache keeps what is known of certificates, with the signed answer to the
// common request. It holds nothing but statuses that the feed would tell a
// change of, and drops them when it does.
type cache struct {
	seeds [2]maphash.Seed
	kept  *otter.Cache[[2]uint64, *kept]

	// mu orders keeping (shared) and forgetting (alone): what was read before a
	// change was told is not kept after it.
	mu        sync.RWMutex
	positions map[string]int64 // of the feed, by key ID
	cas       map[string][]*Issuer
	following atomic.Bool
}

// kept is what the source said of one CertID, and the signed answer.
type kept struct {
	certID   []byte
	answer   Answer
	refresh  time.Time   // when to ask again, before NextUpdate
	response *Response   // nil until somebody asks without a nonce
	asking   atomic.Bool // somebody refreshes it
}

// keptOverhead is what a kept answer takes besides certificates and CertIDs, in
// octets, as measured.
const keptOverhead = 1000

func newCache(size int64) (*cache, error) {
	kept, err := otter.New(&otter.Options[[2]uint64, *kept]{
		MaximumWeight: uint64(size),
		Weigher: func(_ [2]uint64, k *kept) uint32 {
			n := keptOverhead + 2*len(k.certID)
			if k.response != nil {
				n += len(k.response.DER)
			}
			return uint32(n)
		},
	})
	if err != nil {
		return nil, err
	}
	return &cache{
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, kept: kept,
		positions: map[string]int64{}, cas: map[string][]*Issuer{},
	}, nil
}

func (c *cache) key(certID []byte) [2]uint64 {
	return [2]uint64{maphash.Bytes(c.seeds[0], certID), maphash.Bytes(c.seeds[1], certID)}
}

// get returns what is kept of a CertID and still holds.
func (c *cache) get(certID []byte, now time.Time) *kept {
	if !c.following.Load() {
		return nil
	}
	k, ok := c.kept.GetIfPresent(c.key(certID))
	if !ok || !bytes.Equal(k.certID, certID) || !now.Before(k.answer.NextUpdate) {
		return nil
	}
	return k
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

// keep keeps k unless the feed has told a change since position at.
func (c *cache) keep(keyID string, at int64, k *kept) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.following.Load() && c.positions[keyID] == at {
		c.kept.Set(c.key(k.certID), k)
	}
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
		c.kept.InvalidateAll()
		return
	}
	for _, i := range c.cas[keyID] {
		for _, n := range changed {
			for _, id := range i.certIDs(n) {
				c.kept.Invalidate(c.key(id))
			}
		}
	}
}

// stop ends keeping: without a follower, nothing that is kept may be used.
func (c *cache) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.following.Store(false)
	c.kept.InvalidateAll()
	clear(c.positions)
	clear(c.cas)
}

// certIDs are the CertIDs that name a certificate of this CA: for each hash,
// with the parameters NULL and absent.
func (i *Issuer) certIDs(serial *big.Int) [][]byte {
	out := make([][]byte, 0, 2*len(hashes))
	for n, h := range hashes {
		for _, parameters := range [][]byte{{5, 0}, nil} {
			out = append(out, appendCertID(nil, h.oid, parameters, i.ids[n], serial))
		}
	}
	return out
}

func appendCertID(b, oid, parameters []byte, hash issuerHash, serial *big.Int) []byte {
	start := len(b)
	algorithm := append(der.Append(nil, 0x06, oid), parameters...)
	b = der.Append(b, der.Sequence, algorithm)
	b = der.Append(b, der.OctetString, hash.name)
	b = der.Append(b, der.OctetString, hash.key)
	b = der.AppendInteger(b, serial)
	return der.Wrap(b, start, der.Sequence)
}
