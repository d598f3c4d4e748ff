package cli

import (
	"context"
	"errors"
	"time"
)

// waitFor asks until look is done, with growing pauses. It returns the last
// thing seen, also with an error.
func waitFor[T any](ctx context.Context, look func() (*T, bool, error)) (*T, error) {
	var last *T
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		v, done, err := look()
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
				return last, errWaiting
			}
			return last, err
		}
		if last = v; done {
			return v, nil
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return last, errWaiting
		case <-t.C:
		}
	}
}
