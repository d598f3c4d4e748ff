package ocsp

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
)

// table keeps values by key in memory of a fixed size; the oldest go first. It
// is made for one look-up to wait for memory twice: for eight slots, which are a
// cache line, and for the record. Nothing in it is a pointer, and its memory is
// not the heap's, so that the collector neither reads it nor waits for it to
// grow.
type table struct {
	seed   maphash.Seed
	memory []byte
	shards []shard
	mask   uint64
}

// shard is a part with its own lock: a ring of records, and slots that tell where
// they are.
type shard struct {
	mu    sync.RWMutex
	ring  []byte
	slots []uint64 // in sets of setSize
	sets  uint64
	head  uint32 // where the next record goes, in units, ever rising
	live  atomic.Int64
	_     [40]byte // a line for itself
}

const (
	unit      = 16 // records begin at multiples of it
	setSize   = 8
	header    = 16 // hash, lengths of key and value
	minRecord = 128
	maxRecord = 32 << 10
	minShard  = 256 << 10
	maxShards = 64
)

// newTable makes a table of about size octets.
func newTable(size int64) *table {
	n := 1
	for n < maxShards && size/int64(2*n) >= 4*minShard {
		n *= 2
	}
	// A power of two, so that places go on when they overflow.
	part := int64(1) << (bits.Len64(uint64(max(size/int64(n), minShard))) - 1)
	t := &table{seed: maphash.MakeSeed(), memory: reserve(int(part) * n), shards: make([]shard, n), mask: uint64(n - 1)}
	// Twice as many slots as records there can be.
	sets := uint64(1) << bits.Len64(uint64(part/minRecord*2/setSize))
	for i := range t.shards {
		s := &t.shards[i]
		s.ring = t.memory[int64(i)*part : int64(i+1)*part : int64(i+1)*part]
		s.slots, s.sets = make([]uint64, sets*setSize), sets
		s.head = 1
	}
	runtime.AddCleanup(t, giveBack, t.memory)
	return t
}

func (t *table) find(key []byte) (*shard, []uint64, uint64) {
	h := maphash.Bytes(t.seed, key)
	s := &t.shards[h&t.mask]
	set := (h >> 8) & (s.sets - 1) * setSize
	return s, s.slots[set : set+setSize], h
}

// A slot is the upper half of the hash, and where the record began: 0 is none.
func slotOf(h uint64, at uint32) uint64 { return h&^(1<<32-1) | uint64(at) }

// units is how many units the ring has.
func (s *shard) units() uint32 { return uint32(len(s.ring) / unit) }

// holds reports whether what was written at a place is still there.
func (s *shard) holds(at uint32) bool { return s.head-at <= s.units() }

// record is the record at a place, if it is of this hash.
func (s *shard) record(at uint32, h uint64) (key, value []byte, ok bool) {
	b := s.ring[int(at%s.units())*unit:]
	if binary.LittleEndian.Uint64(b) != h {
		return nil, nil, false
	}
	k, v := int(binary.LittleEndian.Uint32(b[8:])), int(binary.LittleEndian.Uint32(b[12:]))
	return b[header : header+k], b[header+k : header+k+v], true
}

// appendTo appends the value of a key to b.
func (t *table) appendTo(b, key []byte) ([]byte, bool) {
	defer runtime.KeepAlive(t) // whose memory is given back when nobody has it
	s, set, h := t.find(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, slot := range set {
		if slot>>32 != h>>32 || slot == 0 || !s.holds(uint32(slot)) {
			continue
		}
		if k, v, ok := s.record(uint32(slot), h); ok && bytes.Equal(k, key) {
			return append(b, v...), true
		}
	}
	return b, false
}

// set writes a value. What is too large is not kept.
func (t *table) set(key, value []byte) {
	need := (header + len(key) + len(value) + unit - 1) / unit
	if need*unit > maxRecord {
		return
	}
	defer runtime.KeepAlive(t)
	s, set, h := t.find(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	units := s.units()
	if left := units - s.head%units; left < uint32(need) {
		s.head += left // a record is in one piece
	}
	at := s.head
	if at == 0 { // which would be no slot
		at, s.head = units, units
	}
	s.head += uint32(need)
	b := s.ring[int(at%units)*unit:]
	binary.LittleEndian.PutUint64(b, h)
	binary.LittleEndian.PutUint32(b[8:], uint32(len(key)))
	binary.LittleEndian.PutUint32(b[12:], uint32(len(value)))
	copy(b[header+copy(b[header:], key):], value)
	set[s.choose(set, key, h)] = slotOf(h, at)
	s.live.Store(min(int64(s.head)*unit, int64(len(s.ring))))
}

// choose is the slot to write: that of the key, else one that holds nothing, else
// that of the oldest record.
func (s *shard) choose(set []uint64, key []byte, h uint64) int {
	best, age := 0, int64(-1)
	for i, slot := range set {
		old := int64(s.head - uint32(slot))
		switch {
		case slot == 0 || !s.holds(uint32(slot)):
			old = 1 << 40
		case slot>>32 == h>>32:
			if k, _, ok := s.record(uint32(slot), h); ok && bytes.Equal(k, key) {
				return i
			}
		}
		if old > age {
			best, age = i, old
		}
	}
	return best
}

// drop forgets a key.
func (t *table) drop(key []byte) {
	defer runtime.KeepAlive(t)
	s, set, h := t.find(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, slot := range set {
		if slot>>32 == h>>32 && slot != 0 {
			set[i] = 0 // one that only looks alike is made again
		}
	}
}

// clear forgets everything.
func (t *table) clear() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		clear(s.slots)
		s.live.Store(0)
		s.mu.Unlock()
	}
}

// size is how many octets were written to, at most.
func (t *table) size() (n uint64) {
	for i := range t.shards {
		n += uint64(t.shards[i].live.Load())
	}
	return n
}
