package acme_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/certctl/certctl/internal/peer"
	"github.com/certctl/certctl/issuer"
)

// TestDynamicUpdates: dns-01 by RFC 2136 at a real BIND, for several names and a
// wildcard at once; the records are gone afterwards, and a wrong key is told.
func TestDynamicUpdates(t *testing.T) {
	b := peer.Bind(t, "example.org")
	p := peer.Pebble(t, peer.PebbleOptions{DNS: b.Address})
	with := func(key string) map[string]any {
		return map[string]any{"challenge_type": "dns-01", "dns_update": map[string]any{
			"server": b.Address, "tsig_name": b.KeyName, "tsig_key": key, "tsig_algorithm": "hmac-sha256"}}
	}
	ca := open(t, config(t, p, with(b.KeyText)), env(t))
	var wg sync.WaitGroup
	for _, site := range []string{"a.example.org", "b.example.org", "deep.er.example.org"} {
		req := request(t, site, "*."+site) // two values at one name
		wg.Go(func() {
			if _, err := issue(t, ca, req); err != nil {
				t.Errorf("%s: %v", site, err)
			}
		})
	}
	wg.Wait()
	for _, site := range []string{"a.example.org", "b.example.org", "deep.er.example.org"} {
		q := new(dns.Msg).SetQuestion("_acme-challenge."+site+".", dns.TypeTXT)
		answer, err := dns.Exchange(q, b.Address)
		if err != nil || len(answer.Answer) != 0 {
			t.Errorf("left behind: %v, %v", answer, err)
		}
	}
	wrong := "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3I="
	_, err := issue(t, open(t, config(t, p, with(wrong)), env(t)), request(t, "c.example.org"))
	if !errors.Is(err, issuer.ErrNotDone) || !strings.Contains(err.Error(), "tsig_key") || strings.Contains(err.Error(), wrong) {
		t.Errorf("a wrong key: %v", err)
	}
	_, err = issue(t, open(t, config(t, p, with(b.KeyText)), env(t)), request(t, "www.example.net"))
	if !errors.Is(err, issuer.ErrNotDone) {
		t.Errorf("a foreign zone: %v", err)
	}
}
