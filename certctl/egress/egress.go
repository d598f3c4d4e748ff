// Package egress is the guard that outbound requests pass: the address is
// judged at the moment of dialling, after every name has been resolved, so that
// neither a redirect nor a DNS answer that changes leads into the inside of a
// network.
package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// ErrBlocked matches every refusal of the guard.
var ErrBlocked = errors.New("address is blocked by the outbound guard")

// Options of a guarded client.
type Options struct {
	// Allow is what the operator permits in spite of the guard.
	Allow []netip.Prefix
	// BlockPrivate also blocks RFC 1918, RFC 6598 (100.64.0.0/10) and
	// RFC 4193 (fc00::/7) addresses. The default lets them pass, since private
	// CAs and services live there.
	BlockPrivate bool
	// Timeout of a whole request, its body included. Default: 30 s.
	Timeout time.Duration
	// MaxRedirects that are followed. Default: 5; negative: none.
	MaxRedirects int
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.MaxRedirects == 0 {
		o.MaxRedirects = 5
	}
	return o
}

// Client returns an HTTP client whose connections pass the guard. It uses no
// proxy, and follows no redirect from https to http.
func Client(o Options) *http.Client {
	o = o.withDefaults()
	return &http.Client{
		Timeout:       o.Timeout,
		CheckRedirect: o.redirect,
		Transport: &http.Transport{
			DialContext:            Dialer(o).DialContext,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           32,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        90 * time.Second,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  o.Timeout,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

// Dialer returns a dialer that refuses blocked addresses with an error that
// matches ErrBlocked.
func Dialer(o Options) *net.Dialer {
	o = o.withDefaults()
	return &net.Dialer{
		Timeout: min(o.Timeout, 10*time.Second),
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			return o.control(network, address)
		},
	}
}

func (o Options) control(network, address string) error {
	switch network {
	case "tcp4", "tcp6", "udp4", "udp6":
	default:
		return fmt.Errorf("%w: network %s", ErrBlocked, network)
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %q is not an IP address and port", ErrBlocked, address)
	}
	return o.Check(a.Addr())
}

func (o Options) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > o.MaxRedirects {
		return fmt.Errorf("more than %d redirects", max(0, o.MaxRedirects))
	}
	switch req.URL.Scheme {
	case "https":
	case "http":
		if via[len(via)-1].URL.Scheme == "https" {
			return errors.New("redirect from https to http refused")
		}
	default:
		return fmt.Errorf("redirect to scheme %q refused", req.URL.Scheme)
	}
	return nil
}
