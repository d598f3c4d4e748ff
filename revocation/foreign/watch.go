package foreign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// watched is what was seen of a file or URL last.
type watched struct {
	seen     bool
	size     int64
	modified time.Time

	etag, lastModified string
	next               time.Time // when to fetch again
	failures           int
	failed             bool // the last look failed
}

// Run looks again and again until ctx ends, whose error it returns.
func (s *Source) Run(ctx context.Context) error {
	t := time.NewTicker(s.o.Poll)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			_ = s.Check(ctx) // Health and the log tell
		}
	}
}

// Check looks once: at files that have changed, and at a URL whose time has come.
func (s *Source) Check(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	failed := errors.Join(s.checkCRL(ctx), s.checkIndex(ctx))
	if failed == nil && !s.crl.failed && !s.index.failed {
		s.health.Last = nil
	}
	return failed
}

func (s *Source) checkCRL(ctx context.Context) error {
	read := s.readFile
	if s.remote() {
		read = s.fetch
	}
	text, err := read(ctx)
	if err == nil && text != nil {
		err = s.take(text)
	}
	if text == nil && err == nil {
		return nil // nothing new
	}
	s.crl.failed = err != nil
	if s.remote() {
		s.schedule(err)
	}
	if err != nil {
		return s.note(ctx, "CRL", s.o.CRL, err)
	}
	return nil
}

// take parses and accepts a CRL.
func (s *Source) take(text []byte) error {
	p, err := parse(s.o.CA, text, s.o.Only || s.o.Complete)
	if err != nil {
		return err
	}
	if err := s.accept(p); err != nil {
		return err
	}
	s.swap(p, s.now.Load().index)
	return nil
}

// readFile returns the CRL's file if it has changed.
func (s *Source) readFile(context.Context) ([]byte, error) {
	f, changed, err := s.crl.open(s.o.CRL)
	if err != nil || !changed {
		return nil, err
	}
	defer f.Close()
	return s.bounded(f)
}

// bounded reads no more than a CRL may have.
func (s *Source) bounded(in io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(in, s.o.MaxCRL+1))
	if err == nil && int64(len(text)) > s.o.MaxCRL {
		err = reject("size", "the CRL has more than %d octets", s.o.MaxCRL)
	}
	return text, err
}

// open opens a file that has changed since it was seen.
func (w *watched) open(name string) (f *os.File, changed bool, err error) {
	f, err = os.Open(name)
	if err != nil {
		w.seen = false
		return nil, false, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", name)
	}
	if err != nil || w.seen && info.Size() == w.size && info.ModTime().Equal(w.modified) {
		f.Close()
		return nil, false, err
	}
	w.seen, w.size, w.modified = true, info.Size(), info.ModTime()
	return f, true, nil
}

func (s *Source) checkIndex(ctx context.Context) error {
	if s.o.Index == "" {
		return nil
	}
	f, changed, err := s.index.open(s.o.Index)
	if err != nil {
		s.index.failed = true
		return s.note(ctx, "index", s.o.Index, &Rejected{"index", err})
	}
	if !changed {
		return nil
	}
	defer f.Close()
	x, err := parseIndex(io.LimitReader(f, 4<<30))
	s.index.failed = err != nil
	if err != nil {
		return s.note(ctx, "index", s.o.Index, err)
	}
	s.swap(s.now.Load().crl, x)
	return nil
}

// fetch returns the CRL of the URL; nil before its time, and when it is unchanged.
func (s *Source) fetch(ctx context.Context) ([]byte, error) {
	if s.o.Now().Before(s.crl.next) {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.o.CRL, nil)
	if err != nil {
		return nil, err
	}
	if s.now.Load().crl != nil {
		if s.crl.etag != "" {
			r.Header.Set("If-None-Match", s.crl.etag)
		}
		if s.crl.lastModified != "" {
			r.Header.Set("If-Modified-Since", s.crl.lastModified)
		}
	}
	response, err := s.o.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		s.crl.failed = false
		s.schedule(nil)
		return nil, nil
	default:
		return nil, fmt.Errorf("the server answers %s", response.Status)
	}
	text, err := s.bounded(response.Body)
	if err == nil {
		s.crl.etag, s.crl.lastModified = response.Header.Get("ETag"), response.Header.Get("Last-Modified")
	}
	return text, err
}

// schedule sets when the URL is fetched next.
func (s *Source) schedule(failed error) {
	now := s.o.Now()
	if failed != nil {
		s.crl.failures++
		s.crl.etag, s.crl.lastModified = "", ""
		s.crl.next = now.Add(min(5*time.Second<<min(s.crl.failures-1, 6), 5*time.Minute))
		return
	}
	s.crl.failures = 0
	pause := s.o.Refetch
	if at := s.now.Load(); at.crl != nil {
		pause = min(pause, max(at.crl.NextUpdate.Sub(now)/2, time.Second))
	}
	s.crl.next = now.Add(pause)
}
