package ocsp

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Follow keeps the cache true: it reads the feed every Options.Poll, and when
// Options.Changed tells, until ctx ends. While it cannot, what is kept is used
// on until its nextUpdate, and Health says so. It returns ctx's error, or at
// once when there is no cache.
func (r *Responder) Follow(ctx context.Context) error {
	if r.cache == nil {
		return errors.New("ocsp: there is no cache to follow for; set Options.CacheSize")
	}
	r.cache.following.Store(true)
	defer r.cache.stop()
	t := time.NewTicker(r.o.Poll)
	defer t.Stop()
	changed := r.o.Changed
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		case _, open := <-changed:
			if !open {
				changed = nil
			}
		}
		step, cancel := context.WithTimeout(ctx, r.o.Timeout)
		err := r.cache.follow(step, r.feed)
		cancel()
		if ctx.Err() == nil {
			r.health.followed(r.o.Now(), err)
		}
	}
}

// Health is how a Responder does.
type Health struct {
	// Follow is why the feed cannot be read now; nil when it can. What is kept
	// may be out of date since FollowedAt.
	Follow     error
	FollowedAt time.Time
	// Last is why an answer could not be made last, and when that was.
	Last   error
	LastAt time.Time
	// Kept is how many octets the cache holds, about.
	Kept uint64
}

type health struct {
	mu sync.Mutex
	h  Health
}

func (h *health) note(now time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.Last, h.h.LastAt = err, now
}

func (h *health) followed(now time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.Follow = err
	if err == nil {
		h.h.FollowedAt = now
	}
}

// Health reports what an operator should know.
func (r *Responder) Health() Health {
	r.health.mu.Lock()
	defer r.health.mu.Unlock()
	out := r.health.h
	if r.cache != nil {
		out.Kept = r.cache.size()
	}
	return out
}
