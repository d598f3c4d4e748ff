package agent

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	backoffMin  = time.Second
	backoffMax  = time.Minute
	backoffSlow = 5 * time.Minute // for what only a person can cure
)

// backoff grows exponentially from min to max. Half of each wait is random, so
// that a thousand agents do not come back in the same second.
type backoff struct {
	min, max time.Duration
	failures int
}

func newBackoff() *backoff { return &backoff{min: backoffMin, max: backoffMax} }

func (b *backoff) reset() { b.failures = 0 }

// next returns how long to wait after one more failure.
func (b *backoff) next() time.Duration {
	d := b.max
	if b.failures < 32 && b.min<<b.failures < b.max {
		d = b.min << b.failures
	}
	b.failures++
	return d/2 + rand.N(d/2+1)
}

// around returns d, give or take a tenth.
func around(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }

// sleep waits, and reports whether it did to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
