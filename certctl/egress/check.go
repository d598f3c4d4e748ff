package egress

import (
	"fmt"
	"net/netip"
)

type block struct {
	prefix netip.Prefix
	what   string
}

func blocks(pairs ...string) []block {
	out := make([]block, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, block{netip.MustParsePrefix(pairs[i]), pairs[i+1]})
	}
	return out
}

// From the IANA special-purpose address registries (RFC 6890).
var (
	never = blocks(
		"0.0.0.0/8", "unspecified", "127.0.0.0/8", "loopback", "169.254.0.0/16", "link-local",
		"192.0.0.0/24", "reserved", "224.0.0.0/4", "multicast", "240.0.0.0/4", "reserved",
		"100.100.100.200/32", "cloud metadata",
		"::/128", "unspecified", "::1/128", "loopback", "fe80::/10", "link-local",
		"fec0::/10", "site-local", "ff00::/8", "multicast", "fd00:ec2::254/128", "cloud metadata",
	)
	private = blocks(
		"10.0.0.0/8", "private", "172.16.0.0/12", "private", "192.168.0.0/16", "private",
		"100.64.0.0/10", "private", "fc00::/7", "private",
	)
)

// Check judges one address. IPv6 addresses that carry an IPv4 address
// (IPv4-mapped, IPv4-compatible, NAT64 of RFC 6052, 6to4 of RFC 3056) are
// judged by both.
func (o Options) Check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return fmt.Errorf("%w: not an address", ErrBlocked)
	}
	for _, p := range o.Allow {
		if p.Contains(addr) || p.Addr().Is4In6() && netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Contains(addr) {
			return nil
		}
	}
	lists := [][]block{never}
	if o.BlockPrivate {
		lists = append(lists, private)
	}
	for _, list := range lists {
		for _, b := range list {
			if b.prefix.Contains(addr) {
				return fmt.Errorf("%w: %s is a %s address", ErrBlocked, addr, b.what)
			}
		}
	}
	if inner, ok := embedded(addr); ok {
		if err := o.Check(inner); err != nil {
			return fmt.Errorf("%s carries an IPv4 address: %w", addr, err)
		}
	}
	return nil
}

var (
	compatible = netip.MustParsePrefix("::/96")
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	nat64Local = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour  = netip.MustParsePrefix("2002::/16")
)

func embedded(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	switch {
	case !a.Is6():
		return netip.Addr{}, false
	case compatible.Contains(a), nat64.Contains(a), nat64Local.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:])), true
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}
