package fast

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// sweepEvery is how late a deadline may be enforced.
const sweepEvery = 100 * time.Millisecond

// lazily makes the connections of a listener note their deadlines, where
// fasthttp sets three for a request and the runtime's timer heap moves each
// time. One sweep enforces them all.
func lazily(l net.Listener) *lazyListener {
	s := &lazyListener{Listener: l, conns: map[*lazyConn]struct{}{}, stop: make(chan struct{})}
	go s.sweep()
	return s
}

type lazyListener struct {
	net.Listener
	mu    sync.Mutex
	conns map[*lazyConn]struct{}
	once  sync.Once
	stop  chan struct{}
}

func (l *lazyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	lazy := &lazyConn{Conn: c, of: l}
	lazy.read.set, lazy.write.set = c.SetReadDeadline, c.SetWriteDeadline
	l.mu.Lock()
	l.conns[lazy] = struct{}{}
	l.mu.Unlock()
	return lazy, nil
}

// finish ends the sweep, as soon as no connection is open any more.
func (l *lazyListener) finish() { l.once.Do(func() { close(l.stop) }) }

func (l *lazyListener) finished() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

func (l *lazyListener) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for open := 1; open > 0 || !l.finished(); {
		now := <-tick.C
		l.mu.Lock()
		for c := range l.conns {
			c.read.enforce(now.UnixNano())
			c.write.enforce(now.UnixNano())
		}
		open = len(l.conns)
		l.mu.Unlock()
	}
}

type lazyConn struct {
	net.Conn
	of          *lazyListener
	read, write lazyDeadline
}

func (c *lazyConn) SetReadDeadline(t time.Time) error  { return c.read.put(t) }
func (c *lazyConn) SetWriteDeadline(t time.Time) error { return c.write.put(t) }
func (c *lazyConn) SetDeadline(t time.Time) error {
	if err := c.read.put(t); err != nil {
		return err
	}
	return c.write.put(t)
}

func (c *lazyConn) Close() error {
	c.of.mu.Lock()
	delete(c.of.conns, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// lazyDeadline is one deadline of a connection.
type lazyDeadline struct {
	set func(time.Time) error
	at  atomic.Int64 // Unix nanoseconds; 0: none
	cut atomic.Bool  // it is set in the runtime, and over
	mu  sync.Mutex   // held to change cut, and for:
	now int64        // when it was cut
}

func (d *lazyDeadline) put(t time.Time) error {
	if t.IsZero() {
		d.at.Store(0)
	} else {
		d.at.Store(t.UnixNano())
	}
	if !d.cut.Load() {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mend()
}

func (d *lazyDeadline) over(now int64) bool {
	at := d.at.Load()
	return at != 0 && at <= now
}

// mend lets the connection go on if its deadline was moved.
func (d *lazyDeadline) mend() error {
	if !d.cut.Load() || d.over(d.now) {
		return nil
	}
	d.cut.Store(false)
	return d.set(time.Time{})
}

// enforce cuts what waits past its deadline. An error means that the connection
// is closed already.
func (d *lazyDeadline) enforce(now int64) {
	if !d.over(now) || d.cut.Load() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = now
	d.cut.Store(true)
	_ = d.set(time.Unix(1, 0))
	_ = d.mend() // it was moved meanwhile
}
