package fast

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// TestLazyDeadlines: a deadline that was moved in time lets a connection go on,
// one that was not cuts it, and a cut connection goes on with a new deadline.
func TestLazyDeadlines(t *testing.T) {
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := lazily(inner)
	defer l.finish()
	defer l.Close()
	client, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	set := func(d time.Duration) {
		if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
			t.Fatal(err)
		}
	}
	buffer := make([]byte, 1)
	read := func() error { _, err := c.Read(buffer); return err }

	begun := time.Now()
	set(300 * time.Millisecond)
	if err := read(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) < 300*time.Millisecond {
		t.Fatalf("%v after %v", err, time.Since(begun))
	}
	if err := read(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a second read after the deadline: %v", err)
	}
	set(time.Minute)
	if _, err := client.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	if err := read(); err != nil {
		t.Fatalf("after the deadline was moved: %v", err)
	}
	set(200 * time.Millisecond)
	set(time.Minute)
	later := time.AfterFunc(3*sweepEvery+200*time.Millisecond, func() { _, _ = client.Write([]byte("b")) })
	defer later.Stop()
	if err := read(); err != nil {
		t.Fatalf("a deadline that was moved in time: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) != 0 {
		t.Error("a closed connection is swept")
	}
}
