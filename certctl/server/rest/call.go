package rest

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/certctl/certctl/certctl"
)

// exchange is what the layers of one request tell each other.
type exchange struct {
	id        string        // request ID
	operation string        // operation ID, once the router has decided
	actor     certctl.Actor // once authenticated
	path      string        // of the request
	query     string        // raw
	address   netip.Addr    // of the peer
	fields    []string      // of list items, when only some are wanted
	cause     error         // what a 5xx is about, for the log alone
}

type exchangeKey struct{}

func withExchange(ctx context.Context, e *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, e)
}

// exchangeOf returns the exchange of a request's context. The edge puts one
// into every request.
func exchangeOf(ctx context.Context) *exchange {
	if e, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return e
	}
	return &exchange{}
}

// peer is the address of whoever is connected; the zero value when it has none.
func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}
