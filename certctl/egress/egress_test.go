package egress_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/certctl/certctl/certctl/egress"
)

func TestCheck(t *testing.T) {
	blocked := []string{
		"127.0.0.1", "127.255.0.3", "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "255.255.255.255", "100.100.100.200",
		"::", "::1", "fe80::1", "fe80::1%eth0", "ff02::1", "fec0::1", "fd00:ec2::254",
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1",
	}
	privates := []string{"10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd12::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"}
	free := []string{"8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808"}
	check := func(o egress.Options, list []string, want bool) {
		t.Helper()
		for _, s := range list {
			if err := o.Check(netip.MustParseAddr(s)); (err == nil) != want || (err != nil && !errors.Is(err, egress.ErrBlocked)) {
				t.Errorf("%s with %+v: %v", s, o, err)
			}
		}
	}
	check(egress.Options{}, blocked, false)
	check(egress.Options{}, privates, true)
	check(egress.Options{}, free, true)
	strict := egress.Options{BlockPrivate: true}
	check(strict, blocked, false)
	check(strict, privates, false)
	check(strict, free, true)
	strict.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("::ffff:127.0.0.0/104")}
	check(strict, []string{"10.1.2.3", "::ffff:10.0.0.1", "::1", "127.0.0.1", "64:ff9b::a00:1"}, true)
	check(strict, []string{"192.168.1.1", "169.254.169.254", "::"}, false)
	if err := strict.Check(netip.Addr{}); !errors.Is(err, egress.ErrBlocked) {
		t.Errorf("the zero address: %v", err)
	}
}

// honeypot is a server on loopback that no guarded client may reach.
func honeypot(t *testing.T) (url string, hits *atomic.Int32) {
	hits = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(s.Close)
	return s.URL, hits
}

func get(c *http.Client, url string) error {
	res, err := c.Get(url)
	if err == nil {
		res.Body.Close()
	}
	return err
}

func TestClientBlocksLoopback(t *testing.T) {
	url, hits := honeypot(t)
	port := url[strings.LastIndex(url, ":"):]
	c := egress.Client(egress.Options{})
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"} {
		if err := get(c, "http://"+host+port); !errors.Is(err, egress.ErrBlocked) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("the honeypot was reached %d times", hits.Load())
	}
	allowed := egress.Client(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	if err := get(allowed, url); err != nil || hits.Load() != 1 {
		t.Errorf("allow-listed: %v, %d hits", err, hits.Load())
	}
}

func TestClientBlocksRedirects(t *testing.T) {
	pot, hits := honeypot(t)
	pot = strings.Replace(pot, "127.0.0.1", "127.0.0.2", 1) // reachable on loopback, but not allow-listed
	var self string
	mux := http.NewServeMux()
	mux.HandleFunc("/inside", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, pot, http.StatusFound) })
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, self+"/loop", http.StatusFound) })
	mux.HandleFunc("/ftp", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "ftp://example.com/", http.StatusFound)
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	self = s.URL
	c := egress.Client(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	if err := get(c, self+"/inside"); !errors.Is(err, egress.ErrBlocked) || hits.Load() != 0 {
		t.Errorf("redirect to the inside: %v, %d hits", err, hits.Load())
	}
	if err := get(c, self+"/loop"); err == nil || !strings.Contains(err.Error(), "more than 5 redirects") {
		t.Errorf("redirect loop: %v", err)
	}
	if err := get(c, self+"/ftp"); err == nil {
		t.Error("followed a redirect to ftp")
	}

	secure := httptest.NewTLSServer(mux)
	defer secure.Close()
	self = s.URL // https to http
	c.Transport.(*http.Transport).TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig
	if err := get(c, secure.URL+"/loop"); err == nil || !strings.Contains(err.Error(), "https to http") {
		t.Errorf("downgrade: %v", err)
	}
	none := egress.Client(egress.Options{MaxRedirects: -1, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	if err := get(none, self+"/loop"); err == nil {
		t.Error("followed a redirect with none allowed")
	}
}
