package acme

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// recordTTL is how long resolvers may keep a record, in seconds.
const recordTTL = 60

// updater writes records by dynamic updates (RFC 2136), signed with TSIG (RFC
// 8945) where a key is set.
type updater struct {
	config DNSUpdate
	key    string
	now    func() time.Time
}

func newUpdater(c DNSUpdate, now func() time.Time) *updater {
	u := &updater{config: c, now: now}
	if c.TSIGName != "" {
		u.key = dns.Fqdn(c.TSIGName)
	}
	return u
}

func (u *updater) set(ctx context.Context, r record) error {
	return u.update(ctx, r, func(m *dns.Msg, rr dns.RR) { m.Insert([]dns.RR{rr}) })
}

func (u *updater) remove(ctx context.Context, r record) error {
	return u.update(ctx, r, func(m *dns.Msg, rr dns.RR) { m.Remove([]dns.RR{rr}) })
}

func (u *updater) update(ctx context.Context, r record, change func(*dns.Msg, dns.RR)) error {
	zone, err := u.zone(ctx, r.name)
	if err != nil {
		return err
	}
	m := new(dns.Msg)
	m.SetUpdate(zone)
	change(m, &dns.TXT{Hdr: dns.RR_Header{Name: r.name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: recordTTL}, Txt: chunks(r.value)})
	client := &dns.Client{Net: "tcp", Timeout: 2 * lookTime}
	if u.key != "" {
		client.TsigSecret = map[string]string{u.key: u.config.TSIGKey.Reveal()}
		m.SetTsig(u.key, u.algorithm(), 300, u.now().Unix())
	}
	answer, _, err := client.ExchangeContext(ctx, m, u.config.Server)
	if errors.Is(err, dns.ErrAuth) || errors.Is(err, dns.ErrSig) || errors.Is(err, dns.ErrTime) {
		return u.unsigned(err.Error())
	}
	if err != nil {
		return fmt.Errorf("the dynamic update at %s failed: %w", u.config.Server, err)
	}
	switch answer.Rcode {
	case dns.RcodeSuccess:
		return nil
	case dns.RcodeNotAuth, dns.RcodeBadSig, dns.RcodeBadKey, dns.RcodeBadTime:
		return u.unsigned(dns.RcodeToString[answer.Rcode])
	case dns.RcodeRefused:
		return fmt.Errorf("%s does not let this key change %s (REFUSED); look at its update policy", u.config.Server, r.name)
	}
	return fmt.Errorf("%s refuses the dynamic update of %s: %s", u.config.Server, r.name, dns.RcodeToString[answer.Rcode])
}

func (u *updater) unsigned(why string) error {
	return fmt.Errorf("%s refuses the signature of the dynamic update (%s); look at tsig_name, tsig_key, tsig_algorithm and the clocks", u.config.Server, why)
}

// chunks are the strings of a TXT record, at most 255 octets each.
func chunks(value string) []string {
	var out []string
	for len(value) > 255 {
		out, value = append(out, value[:255]), value[255:]
	}
	return append(out, value)
}

func (u *updater) algorithm() string {
	switch u.config.Algorithm {
	case "hmac-sha384":
		return dns.HmacSHA384
	case "hmac-sha512":
		return dns.HmacSHA512
	}
	return dns.HmacSHA256
}

// zone is the configured one, or the one that the server says the name is in.
func (u *updater) zone(ctx context.Context, name string) (string, error) {
	if u.config.Zone != "" {
		return dns.Fqdn(u.config.Zone), nil
	}
	answer, err := ask(ctx, u.config.Server, name, dns.TypeSOA, false)
	if err != nil {
		return "", err
	}
	for _, rr := range append(answer.Answer, answer.Ns...) {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa.Hdr.Name, nil
		}
	}
	return "", fmt.Errorf("%s does not know the zone of %s; set dns_update.zone", u.config.Server, name)
}
