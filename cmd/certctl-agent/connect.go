package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/certctl/certctl/certctl/agent"
	"github.com/certctl/certctl/certctl/client"
	"github.com/certctl/certctl/certctl/egress"
)

const maxCABundle = 1 << 20

// address is the control plane's: as given, or where the agent joined.
func (c Config) address() string {
	if c.ServerURL != "" {
		return c.ServerURL
	}
	if c.AgentID == "" {
		if id, err := agent.LoadIdentity(c.DataDir); err == nil && id.ServerURL != "" {
			return id.ServerURL
		}
	}
	return defaultServer
}

func (c Config) facts() agent.Facts {
	return agent.Facts{Version: version(), ServerAddr: hostPort(c.address())}
}

// connect makes a client; the credential is "" for joining.
func (c Config) connect(address, credential string) (agent.ControlPlane, error) {
	transport, err := c.transport(address)
	if err != nil {
		return nil, err
	}
	server, err := client.New(address,
		client.WithAPIKey(credential), client.WithHTTPClient(&http.Client{Transport: transport}), client.WithUserAgent("certctl-agent/"+version()))
	if err != nil {
		return nil, &usageError{err}
	}
	return server, nil
}

// transport refuses what would send a credential in clear, or to anybody.
func (c Config) transport(address string) (*http.Transport, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, usagef("the server address %q is no https:// address", address)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, usagef("%s is plain http on another machine; everybody on the way could read this agent's credential: use https", address)
	}
	if c.Insecure && !loopback(u.Hostname()) {
		return nil, usagef("--insecure-skip-verify works only for a control plane on this machine; for %s give its CA with --ca-bundle", u.Host)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure} //nolint:gosec // refused above unless the server is on this machine
	if c.CABundle != "" {
		if conf.RootCAs, err = pool(c.CABundle); err != nil {
			return nil, err
		}
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       conf,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 90 * time.Second, // longer than the longest poll
		IdleConnTimeout:       90 * time.Second,
		ForceAttemptHTTP2:     true,
	}, nil
}

// targetClient is for targets that are reached by HTTP. Those are on this
// machine as often as not, which the guard would refuse otherwise.
func targetClient() *http.Client {
	return egress.Client(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}})
}

func pool(file string) (*x509.CertPool, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read CA bundle: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCABundle))
	if err != nil {
		return nil, fmt.Errorf("read CA bundle: %w", err)
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("the CA bundle %s holds no certificate in PEM", file)
	}
	return p, nil
}

// loopback tells whether a host is this machine, by its address or by the one
// name that RFC 6761 gives to loopback.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

func hostPort(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), u.Scheme)
}
