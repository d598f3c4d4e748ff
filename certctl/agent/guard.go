package agent

import (
	"errors"
	"fmt"
	"runtime"
)

// errPanic marks what was a panic.
var errPanic = errors.New("a defect of the program; please report it")

// guarded calls f and turns its panic into an error. Of the panic's value only
// what the runtime says is told: a connector's own words may hold a secret.
func guarded[T any](who string, f func() (T, error)) (result T, err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		what := fmt.Sprintf("%T", p)
		if e, ok := p.(runtime.Error); ok {
			what = e.Error()
		}
		err = fmt.Errorf("%s panicked (%s) at %s: %w", who, what, whence(), errPanic)
	}()
	return f()
}

// whence names the function that panicked.
func whence() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for panicking := false; ; {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true
		case panicking && !isRuntime(f.Function):
			return fmt.Sprintf("%s:%d", f.Function, f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}

func isRuntime(function string) bool {
	return len(function) > 8 && function[:8] == "runtime."
}
