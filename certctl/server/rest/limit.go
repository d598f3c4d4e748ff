package rest

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/certctl/certctl/certctl/api"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// RateLimit is a token bucket for each actor, and one for each address that
// asks without a key (IPv6: for each /64).
type RateLimit struct {
	Disabled     bool
	RPS          float64 // per second; 50 when 0
	Burst        int     // 100 when 0
	PerUserRPS   float64 // of actors; RPS when 0
	PerUserBurst int     // Burst when 0
}

// Failed authentications are worth less: 20 at once, then one each 2 seconds.
const (
	failureRPS   = 0.5
	failureBurst = 20
)

// maxBuckets bounds what is remembered; the longest unused are forgotten.
const maxBuckets = 10_000

type limits struct {
	disabled  bool
	now       func() time.Time
	addresses *buckets
	actors    *buckets
	failures  *buckets
	goodKeys  *lru.Cache[[32]byte, struct{}] // hashes of keys that were good lately
}

func newLimits(o RateLimit, now func() time.Time) (*limits, error) {
	if o.RPS < 0 || o.PerUserRPS < 0 || o.Burst < 0 || o.PerUserBurst < 0 {
		return nil, fmt.Errorf("rest: rate limits must not be negative: %+v", o)
	}
	o.RPS, o.Burst = cmp.Or(o.RPS, 50), cmp.Or(o.Burst, 100)
	o.PerUserRPS, o.PerUserBurst = cmp.Or(o.PerUserRPS, o.RPS), cmp.Or(o.PerUserBurst, o.Burst)
	l := &limits{disabled: o.Disabled, now: now}
	var err error
	for _, b := range []struct {
		to    **buckets
		rps   float64
		burst int
	}{{&l.addresses, o.RPS, o.Burst}, {&l.actors, o.PerUserRPS, o.PerUserBurst}, {&l.failures, failureRPS, failureBurst}} {
		if *b.to, err = newBuckets(b.rps, b.burst); err != nil {
			return nil, err
		}
	}
	l.goodKeys, err = lru.New[[32]byte, struct{}](maxBuckets)
	return l, err
}

// actor takes a token of an authenticated caller.
func (l *limits) actor(id string) *failure { return l.take(l.actors, id) }

// address takes a token of a caller without a key.
func (l *limits) address(a netip.Addr) *failure { return l.take(l.addresses, addressKey(a)) }

func (l *limits) take(b *buckets, key string) *failure {
	if l.disabled {
		return nil
	}
	now := l.now()
	bucket := b.of(key)
	if bucket.AllowN(now, 1) {
		return nil
	}
	return tooMany(bucket, now)
}

// suspicious refuses an address that has failed too often lately, unless it
// comes with a key that was good before.
func (l *limits) suspicious(a netip.Addr, key [32]byte) *failure {
	if l.disabled || l.goodKeys.Contains(key) {
		return nil
	}
	now := l.now()
	if bucket := l.failures.of(addressKey(a)); bucket.TokensAt(now) < 1 {
		return tooMany(bucket, now)
	}
	return nil
}

// failed notes a failed authentication.
func (l *limits) failed(a netip.Addr) {
	if !l.disabled {
		l.failures.of(addressKey(a)).AllowN(l.now(), 1)
	}
}

// good notes a key that works. It proves nothing later: every request
// authenticates.
func (l *limits) good(key [32]byte) { l.goodKeys.Add(key, struct{}{}) }

func tooMany(b *rate.Limiter, now time.Time) *failure {
	wait := math.Ceil((1 - b.TokensAt(now)) / float64(b.Limit()))
	return problem(http.StatusTooManyRequests, api.CodeRateLimited, "too many requests; wait as long as Retry-After says").
		with("Retry-After", strconv.Itoa(int(min(max(wait, 1), 3600))))
}

// addressKey is an IPv4 address, or an IPv6 /64, which is what one host gets.
func addressKey(a netip.Addr) string {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// buckets are token buckets by key.
type buckets struct {
	mu    sync.Mutex
	limit rate.Limit
	burst int
	m     *lru.Cache[string, *rate.Limiter]
}

func newBuckets(rps float64, burst int) (*buckets, error) {
	m, err := lru.New[string, *rate.Limiter](maxBuckets)
	return &buckets{limit: rate.Limit(rps), burst: burst, m: m}, err
}

func (b *buckets) of(key string) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l, ok := b.m.Get(key); ok {
		return l
	}
	l := rate.NewLimiter(b.limit, b.burst)
	b.m.Add(key, l)
	return l
}
