package policy

import (
	"time"

	"github.com/certctl/certctl/certctl"
)

// defaultFraction of the lifetime is left when a renewal begins: the usual
// third.
const defaultFraction = 1.0 / 3

// RenewAt is when a certificate that was issued at issued and ends at notAfter
// is renewed: RenewalWindowDays before its end, where that is at most half of
// its life; otherwise when RemainingFraction of its life is left. jitter, in
// [0, 1), moves the moment earlier by up to a twentieth of what is left then,
// so that certificates made together are not renewed together.
func RenewAt(p *certctl.RenewalPolicy, issued, notAfter time.Time, jitter float64) time.Time {
	life := notAfter.Sub(issued)
	if life <= 0 {
		return issued
	}
	fraction := p.RemainingFraction
	if fraction <= 0 || fraction >= 1 {
		fraction = defaultFraction
	}
	left := time.Duration(float64(life) * fraction)
	// A window as long as the life would renew for ever.
	if window := time.Duration(p.RenewalWindowDays) * 24 * time.Hour; window > 0 && window <= life/2 {
		left = window
	}
	left += time.Duration(jitter * float64(min(left, life-left)) / 20)
	return notAfter.Add(-left)
}

// NextAttempt is when a renewal that failed is tried again, after so many
// failures before it: RetryInterval, doubled each time, up to a day; but so
// that several attempts fit into what is left of the certificate's life, and
// never sooner than in 10 seconds. jitter, in [0, 1), takes off up to a fifth.
func NextAttempt(p *certctl.RenewalPolicy, failures int, now, notAfter time.Time, jitter float64) time.Time {
	pause := p.RetryInterval
	if pause <= 0 {
		pause = time.Hour
	}
	for range min(failures, 20) {
		pause = min(2*pause, 24*time.Hour)
	}
	if left := notAfter.Sub(now); left > 0 {
		pause = min(pause, left/6)
	}
	pause -= time.Duration(jitter * float64(pause) / 5)
	return now.Add(max(pause, 10*time.Second))
}
