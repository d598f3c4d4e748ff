package agent

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Status is what the agent knows of itself.
type Status struct {
	AgentID, Name string
	Connected     bool          // the last call was answered
	LastContact   time.Time     // when the server answered last; zero: never
	ServerStatus  string        // what the server calls the agent: Online, Degraded
	ClockSkew     time.Duration // the agent's clock minus the server's
	Problem       string        // why it is not connected, or what else is wrong; "" when all is well
	Working       int           // pieces of work under way
}

// Status returns how the agent is now.
func (a *Agent) Status() Status {
	s := a.link.get()
	s.Working = a.running.count()
	return s
}

// link remembers how the server answers, and tells the log when that changes
// rather than at each failure.
type link struct {
	mu     sync.Mutex
	log    *slog.Logger
	now    func() time.Time
	told   verdict
	status Status
	local  map[string]string // problems on this side, by what they are about
}

func (l *link) get() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.status
	for _, p := range l.local {
		if s.Problem != "" {
			s.Problem += "; "
		}
		s.Problem += p
	}
	return s
}

// answered takes note of how a call ended.
func (l *link) answered(call string, err error) verdict {
	v := judge(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if v != temporary && v != unauthenticated {
		l.status.LastContact = l.now()
	}
	changed := v != l.told || (v == accepted) != l.status.Connected
	l.told = v
	switch v {
	case accepted:
		l.status.Connected, l.status.Problem = true, ""
		if changed {
			l.log.Info("the control plane answers")
		}
	case unauthenticated:
		l.down(changed, slog.LevelError, "the control plane refuses this agent's credential; it was revoked or replaced: rotate it from a machine that has the new one, or retire this agent and join again", call, err)
	case unknownAgent:
		l.down(changed, slog.LevelError, "the control plane does not know this agent; check the server's address, or join again", call, err)
	case gone:
		l.status.Connected = false
	case temporary:
		l.down(changed, slog.LevelWarn, "the control plane cannot be reached; work under way goes on and is reported later", call, err)
	default:
		l.down(changed, slog.LevelWarn, "the control plane refuses to talk to this agent", call, err)
	}
	return v
}

func (l *link) down(changed bool, level slog.Level, what, call string, err error) {
	l.status.Connected, l.status.Problem = false, fmt.Sprintf("%s (%v)", what, err)
	if !changed {
		level = slog.LevelDebug
	}
	l.log.LogAttrs(context.Background(), level, what, slog.String("call", call), slog.Any("error", err)) //nolint:sloglint // what is one of two constants above
}

// clock takes note of the server's opinion of us and of the time.
func (l *link) clock(server time.Time, status string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if status != l.status.ServerStatus && status != "" {
		l.log.Info("the control plane's view of this agent", slog.String("status", status))
	}
	l.status.ServerStatus = status
	if server.IsZero() {
		return
	}
	before := l.status.ClockSkew.Abs() > time.Minute
	l.status.ClockSkew = l.now().Sub(server)
	if l.status.ClockSkew.Abs() > time.Minute && !before {
		l.log.Warn("this machine's clock differs from the control plane's", slog.Duration("skew", l.status.ClockSkew))
	}
}

// until returns how long it is to a moment that the server named, by the
// server's clock.
func (l *link) until(t time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return t.Sub(l.now().Add(-l.status.ClockSkew))
}

// problem sets what is wrong on this side with something; "" when nothing is.
func (l *link) problem(about, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.local == nil {
		l.local = map[string]string{}
	}
	if what == "" {
		delete(l.local, about)
		return
	}
	l.local[about] = what
}

// problems returns what is wrong on this side, in one bounded text.
func (l *link) problems() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := ""
	for _, p := range l.local {
		if text != "" {
			text += "; "
		}
		text += p
	}
	return clip(text, 1024)
}
