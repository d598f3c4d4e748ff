package agent

import (
	"context"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/certctl/certctl/certctl/api"
)

// Facts describe the machine and the program to the server.
type Facts struct {
	Version      string // of the program
	Hostname     string // the machine's when empty
	OS           string // the platform's when empty
	Architecture string // the platform's when empty
	IPAddress    string // the address that leads to ServerAddr when empty
	ServerAddr   string // host:port of the server, to find IPAddress; a documentation address when empty
}

// withDefaults finds out what is not told.
func (f Facts) withDefaults(ctx context.Context) Facts {
	if f.Hostname == "" {
		f.Hostname, _ = os.Hostname() // unknown is told as empty
	}
	if f.OS == "" {
		f.OS = runtime.GOOS
	}
	if f.Architecture == "" {
		f.Architecture = runtime.GOARCH
	}
	if f.IPAddress == "" {
		f.IPAddress = outboundIP(ctx, f.ServerAddr)
	}
	return f
}

// outboundIP returns the local address from which packets to addr would leave.
// Connecting a UDP socket sends none.
func outboundIP(ctx context.Context, addr string) string {
	if addr == "" {
		addr = "192.0.2.1:9" // RFC 5737: routed like any other, but nobody is there
	}
	d := net.Dialer{Timeout: 2 * time.Second}
	c, err := d.DialContext(ctx, "udp", addr)
	if err != nil {
		return ""
	}
	defer c.Close()
	if local, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return local.IP.String()
	}
	return ""
}

// JoinRequest describes the machine to a control plane that it joins.
func (f Facts) JoinRequest(ctx context.Context, name string) api.JoinRequest {
	f = f.withDefaults(ctx)
	return api.JoinRequest{Name: name, Hostname: clip(f.Hostname, 255), OS: clip(f.OS, 64), Architecture: clip(f.Architecture, 64), Version: clip(f.Version, 64)}
}

// Heartbeat tells the server of the machine; now is the machine's clock.
func (f Facts) Heartbeat(ctx context.Context, now time.Time) api.Heartbeat {
	f = f.withDefaults(ctx)
	return api.Heartbeat{
		Hostname: clip(f.Hostname, 255), OS: clip(f.OS, 64), Architecture: clip(f.Architecture, 64), Version: clip(f.Version, 64),
		IPAddress: clip(f.IPAddress, 64), Clock: now.UTC(),
	}
}
