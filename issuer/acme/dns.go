package acme

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/certctl/certctl/certctl/connector"
)

// record is a TXT record that a CA looks for.
type record struct {
	name  string // absolute
	value string
	task  task
	stays bool // dns-persist-01
}

// dnsWriter makes and removes TXT records. Both may be called again for what was
// done already, and beside each other for values of one name, which has all.
type dnsWriter interface {
	set(ctx context.Context, r record) error
	remove(ctx context.Context, r record) error
}

// dnsSolver answers dns-01 (RFC 8555 section 8.4) and dns-persist-01
// (draft-ietf-acme-dns-persist).
type dnsSolver struct {
	config Config
	writer dnsWriter
	env    connector.Env
}

func newDNS(c Config, env connector.Env) *dnsSolver {
	s := &dnsSolver{config: c, env: env}
	if c.DNSUpdate != nil {
		s.writer = newUpdater(*c.DNSUpdate, env.Now)
	} else {
		s.writer = &script{present: c.DNSPresent, cleanup: c.DNSCleanup}
	}
	return s
}

func hostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	n, bad := strconv.Atoi(port)
	return err == nil && host != "" && bad == nil && n > 0 && n < 65536
}

// lookTime bounds one question to a name server, cleanupTime the removal of
// records after the wait for a CA was cut off.
const (
	lookTime    = 5 * time.Second
	cleanupTime = time.Minute
)

func (s *dnsSolver) present(ctx context.Context, tasks []task) (func(), error) {
	var made []record
	cleanup := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		for _, r := range made {
			if r.stays {
				continue
			}
			if err := s.writer.remove(ctx, r); err != nil {
				s.env.Log().WarnContext(ctx, "a TXT record of a validation was not removed", "name", r.name, "error", err)
			}
		}
	}
	limit, cancel := context.WithTimeout(ctx, time.Duration(s.config.DNSWait)*time.Second)
	defer cancel()
	for _, t := range tasks {
		r, err := s.record(limit, t)
		if err != nil {
			return cleanup, err
		}
		if r.stays && s.seen(limit, r) == nil {
			continue
		}
		made = append(made, r) // also when it fails: it may be there
		if err := s.writer.set(limit, r); err != nil {
			return cleanup, fmt.Errorf("the TXT record %s was not made: %w", r.name, err)
		}
	}
	for _, r := range made {
		if err := s.await(limit, r); err != nil {
			if ctx.Err() != nil {
				return cleanup, ctx.Err()
			}
			return cleanup, fmt.Errorf("the TXT record %s is not seen after %d s (dns_propagation_wait): %w", r.name, s.config.DNSWait, err)
		}
	}
	return cleanup, nil
}

// record is what a challenge asks for, at the end of the aliases that delegate
// it.
func (s *dnsSolver) record(ctx context.Context, t task) (record, error) {
	r := record{task: t}
	if t.Type == dnsPersist1 {
		from := s.config.PersistName
		if from == "" && len(t.IssuerDomainNames) > 0 {
			from = t.IssuerDomainNames[0]
		}
		if from == "" || len(t.IssuerDomainNames) > 0 && !slices.Contains(t.IssuerDomainNames, from) {
			return r, fmt.Errorf("the CA takes dns-persist-01 records of %s, and dns_persist_issuer_domain is %q", strings.Join(t.IssuerDomainNames, ", "), s.config.PersistName)
		}
		r.name, r.value, r.stays = t.DNSPersist01TXTRecordName(), t.DNSPersist01TXTRecordValue(*t.account, from, t.wildcard), true
	} else {
		r.name, r.value = t.DNS01TXTRecordName(), t.DNS01KeyAuthorization()
	}
	name, err := s.canonical(ctx, dns.Fqdn(r.name))
	r.name = name
	return r, err
}

// await looks for a record until every server has it.
func (s *dnsSolver) await(ctx context.Context, r record) error {
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := s.seen(ctx, r)
		if err == nil {
			return nil
		}
		if wait(ctx, pause) != nil {
			return err
		}
	}
}

// seen asks each server of the record's zone for it.
func (s *dnsSolver) seen(ctx context.Context, r record) error {
	servers := s.config.DNSCheck
	if len(servers) == 0 {
		var err error
		if servers, err = s.authoritative(ctx, r.name); err != nil {
			return err
		}
	}
	for _, server := range servers {
		answer, err := ask(ctx, server, r.name, dns.TypeTXT, false)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(answer.Answer, func(rr dns.RR) bool {
			txt, ok := rr.(*dns.TXT)
			return ok && strings.Join(txt.Txt, "") == r.value
		}) {
			return fmt.Errorf("the server %s does not have it (%s)", server, dns.RcodeToString[answer.Rcode])
		}
	}
	return nil
}

// ask sends one question, again over TCP where the answer is too long.
func ask(ctx context.Context, server, name string, kind uint16, recurse bool) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), kind)
	q.RecursionDesired = recurse
	q.SetEdns0(1232, false)
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	answer, _, err := (&dns.Client{Net: "udp"}).ExchangeContext(ctx, q, server)
	if err == nil && answer.Truncated {
		answer, _, err = (&dns.Client{Net: "tcp"}).ExchangeContext(ctx, q, server)
	}
	if err != nil {
		return nil, fmt.Errorf("the server %s does not answer: %w", server, err)
	}
	return answer, nil
}

// resolve asks the resolvers, one after the other.
func (s *dnsSolver) resolve(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	servers := s.config.DNSServers
	if len(servers) == 0 {
		conf, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil {
			return nil, fmt.Errorf("no resolver is known; set dns_resolvers: %w", err)
		}
		for _, host := range conf.Servers {
			servers = append(servers, net.JoinHostPort(host, conf.Port))
		}
	}
	err := errors.New("no resolver is known; set dns_resolvers")
	for _, server := range servers {
		var answer *dns.Msg
		if answer, err = ask(ctx, server, name, kind, true); err == nil && (answer.Rcode == dns.RcodeSuccess || answer.Rcode == dns.RcodeNameError) {
			return answer, nil
		} else if err == nil {
			err = fmt.Errorf("the resolver %s answers %s for %s", server, dns.RcodeToString[answer.Rcode], name)
		}
	}
	return nil, err
}

// maxAliases bounds how far CNAME records are followed.
const maxAliases = 8

// canonical follows the aliases of a name, by which a zone can delegate its
// validations to another. Without a resolver that answers it is the name itself.
func (s *dnsSolver) canonical(ctx context.Context, name string) (string, error) {
	for range maxAliases {
		answer, err := s.resolve(ctx, name, dns.TypeCNAME)
		if err != nil {
			return "", err
		}
		next := ""
		for _, rr := range answer.Answer {
			if c, ok := rr.(*dns.CNAME); ok && strings.EqualFold(c.Hdr.Name, name) {
				next = strings.ToLower(c.Target)
			}
		}
		if next == "" {
			return name, nil
		}
		name = next
	}
	return "", fmt.Errorf("more than %d aliases follow each other at %s", maxAliases, name)
}

// authoritative finds the addresses of the name servers of the zone that a name
// is in; one of each server that can be reached from here.
func (s *dnsSolver) authoritative(ctx context.Context, name string) ([]string, error) {
	for zone := name; ; {
		answer, err := s.resolve(ctx, zone, dns.TypeNS)
		if err != nil {
			return nil, err
		}
		var out []string
		for _, rr := range answer.Answer {
			ns, ok := rr.(*dns.NS)
			if !ok {
				continue
			}
			for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
				found, err := s.resolve(ctx, ns.Ns, kind)
				if err != nil {
					return nil, err
				}
				if a := firstAddress(found.Answer); a != "" {
					out = append(out, net.JoinHostPort(a, "53"))
					break
				}
			}
		}
		if len(out) > 0 {
			return out, nil
		}
		next, end := dns.NextLabel(zone, 0)
		if end {
			return nil, fmt.Errorf("no name server is known for %s", name)
		}
		zone = zone[next:]
	}
}

func firstAddress(answer []dns.RR) string {
	for _, rr := range answer {
		switch a := rr.(type) {
		case *dns.A:
			return a.A.String()
		case *dns.AAAA:
			return a.AAAA.String()
		}
	}
	return ""
}
