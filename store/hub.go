package store

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// channel is what Postgres is asked to LISTEN on; topics are payloads.
const channel = "certctl"

// hub wakes watchers: of this process at once, of others through Postgres.
type hub struct {
	log      *slog.Logger
	cfg      *pgx.ConnConfig // nil on SQLite
	mu       sync.Mutex
	next     int
	watchers map[int]*watcher
	cancel   context.CancelFunc
	done     chan struct{}
	closed   bool
}

type watcher struct {
	topics []string
	c      chan struct{}
}

func newHub(log *slog.Logger, cfg *pgx.ConnConfig) *hub {
	return &hub{log: log, cfg: cfg, watchers: map[int]*watcher{}}
}

func (h *hub) watch(ctx context.Context, topics []string) (<-chan struct{}, error) {
	w := &watcher{topics: topics, c: make(chan struct{}, 1)}
	h.mu.Lock()
	id := h.next
	h.next++
	h.watchers[id] = w
	if h.cfg != nil && h.cancel == nil && !h.closed {
		listen, cancel := context.WithCancel(context.WithoutCancel(ctx))
		h.cancel, h.done = cancel, make(chan struct{})
		go h.listen(listen, h.done)
	}
	h.mu.Unlock()
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.watchers, id)
		close(w.c)
	})
	return w.c, nil
}

// nudge wakes the watchers of topics.
func (h *hub) nudge(topics map[string]struct{}) {
	if len(topics) == 0 {
		return
	}
	h.wake(func(w *watcher) bool {
		return slices.ContainsFunc(w.topics, func(t string) bool { _, ok := topics[t]; return ok })
	})
}

// wakeAll is for when something may have been missed.
func (h *hub) wakeAll() { h.wake(func(*watcher) bool { return true }) }

func (h *hub) wake(concerned func(*watcher) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.watchers {
		if !concerned(w) {
			continue
		}
		select {
		case w.c <- struct{}{}:
		default: // one value waits already
		}
	}
}

func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	cancel, done := h.cancel, h.done
	h.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
}

// listen keeps one connection that hears of other processes' transactions.
func (h *hub) listen(ctx context.Context, done chan struct{}) {
	defer close(done)
	for pause := 100 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, 10*time.Second) {
		heard := false
		err := h.hear(ctx, func() { heard = true })
		if ctx.Err() != nil {
			return
		}
		if heard {
			pause = 100 * time.Millisecond
		}
		h.log.WarnContext(ctx, "the database does not tell of changes; they are found by polling", "error", err)
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

func (h *hub) hear(ctx context.Context, connected func()) error {
	conn, err := pgx.ConnectConfig(ctx, h.cfg)
	if err != nil {
		return err
	}
	defer func() {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(bye) // it is given up either way
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	connected()
	h.wakeAll()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		h.nudge(map[string]struct{}{n.Payload: {}})
	}
}
