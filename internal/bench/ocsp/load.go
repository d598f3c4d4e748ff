package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load asks a server over keep-alive connections for a while, about random
// serials, and returns how many answers a second came. It is plain sockets, so
// that the server has the machine, and each answer is read and counted whole.
//
// With d 0 each serial is asked about once, in turn.
func load(ctx context.Context, address, path string, requests [][]byte, connections int, d time.Duration) (float64, error) {
	messages := make([][]byte, len(requests))
	for i, r := range requests {
		messages[i] = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/ocsp-request\r\nContent-Length: %d\r\n\r\n%s", path, len(r), r)
	}
	next := func() []byte { return messages[rand.IntN(len(messages))] }
	if d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	} else {
		var turn atomic.Int64
		next = func() []byte {
			if i := turn.Add(1); i <= int64(len(messages)) {
				return messages[i-1]
			}
			return nil
		}
	}
	var total atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, connections)
	begun := time.Now()
	for range connections {
		group.Go(func() {
			n, err := client(ctx, address, next)
			total.Add(n)
			if err != nil {
				failed <- err
			}
		})
	}
	group.Wait()
	took := time.Since(begun)
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(total.Load()) / took.Seconds(), nil
	}
}

func client(ctx context.Context, address string, next func() []byte) (n int64, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 8192)
	for ctx.Err() == nil {
		message := next()
		if message == nil {
			break
		}
		if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			return n, err
		}
		if _, err := conn.Write(message); err != nil {
			return n, err
		}
		if err := answer(in); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// loadOnce is load for a server that answers one request a connection, one after
// the other.
func loadOnce(ctx context.Context, address, path string, requests [][]byte, d time.Duration) (float64, error) {
	begun := time.Now()
	n := 0
	for ; time.Since(begun) < d && ctx.Err() == nil; n++ {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return 0, err
		}
		r := requests[rand.IntN(len(requests))]
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.0\r\nContent-Type: application/ocsp-request\r\nContent-Length: %d\r\n\r\n%s", path, len(r), r)
		if err == nil {
			err = conn.SetDeadline(time.Now().Add(30 * time.Second))
		}
		if err == nil {
			err = answer(bufio.NewReader(conn))
		}
		conn.Close()
		if err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}

var lengthHeader = []byte("Content-Length:")

// answer reads one answer: a successful OCSP response of a known length.
func answer(in *bufio.Reader) error {
	status, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.Contains(status, []byte(" 200 ")) {
		return fmt.Errorf("the server answers %q", status)
	}
	length := -1
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if len(line) > len(lengthHeader) && bytes.EqualFold(line[:len(lengthHeader)], lengthHeader) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(lengthHeader):]))); err != nil {
				return err
			}
		}
	}
	if length < 100 {
		return errors.New("no OCSP answer")
	}
	head, err := in.Peek(16)
	if err != nil {
		return err
	}
	if i := bytes.Index(head, []byte{0x0a, 1}); i < 0 || head[i+2] != 0 {
		return fmt.Errorf("the answer is not successful: %x", head)
	}
	_, err = in.Discard(length)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return err
}
