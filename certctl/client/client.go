package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// defaultTimeout bounds a call, with its retries, whose context has no
// deadline.
const defaultTimeout = 60 * time.Second

// Client speaks with one server. It is safe for concurrent use.
type Client struct {
	base      string
	http      *http.Client
	authorise func(*http.Request) // keeps the key out of everything that prints a Client
	userAgent string
	retries   int
}

// Option sets up a Client.
type Option func(*settings) error

type settings struct {
	key       string
	http      *http.Client
	roots     *x509.CertPool
	userAgent string
	retries   int
}

// WithAPIKey sends a key with every request: an API key, or an agent's
// credential.
func WithAPIKey(key string) Option {
	return func(s *settings) error {
		if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return errors.New("client: the API key contains a blank, a line break or another character that no key has; read it from its file without the line's end")
		}
		s.key = key
		return nil
	}
}

// WithHTTPClient uses an HTTP client of the caller's own making, which then
// decides about roots and proxies. Its redirect policy and time limit do not
// count: the API does not redirect, and contexts limit.
func WithHTTPClient(h *http.Client) Option {
	return func(s *settings) error {
		if h == nil {
			return errors.New("client: WithHTTPClient(nil)")
		}
		s.http = h
		return nil
	}
}

// WithRootCAs trusts these roots instead of the system's.
func WithRootCAs(roots *x509.CertPool) Option {
	return func(s *settings) error {
		s.roots = roots
		return nil
	}
}

// WithCAFile trusts the PEM certificates of a file instead of the system's
// roots.
func WithCAFile(file string) Option {
	return func(s *settings) error {
		f, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("client: CA file: %w", err)
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, 1<<20))
		if err != nil {
			return fmt.Errorf("client: CA file: %w", err)
		}
		s.roots = x509.NewCertPool()
		if !s.roots.AppendCertsFromPEM(text) {
			return fmt.Errorf("client: CA file %s holds no certificate in PEM", file)
		}
		return nil
	}
}

// WithUserAgent names the program; "certctl-go" when absent.
func WithUserAgent(name string) Option {
	return func(s *settings) error {
		s.userAgent = name
		return nil
	}
}

// WithRetries sets how often a request that is safe to repeat is repeated; 3
// when absent, 0 for never.
func WithRetries(n int) Option {
	return func(s *settings) error {
		s.retries = max(0, n)
		return nil
	}
}

// New makes a client of the server at baseURL: "https://host:8443". It contacts
// nobody. A key is sent over plain http only to this machine.
func New(baseURL string, opts ...Option) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(baseURL, "/"))
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("client: server address %.200q is no URL like https://host:8443", baseURL)
	}
	s := settings{userAgent: "certctl-go", retries: 3}
	for _, o := range opts {
		if err := o(&s); err != nil {
			return nil, err
		}
	}
	if s.http != nil && s.roots != nil {
		return nil, errors.New("client: WithHTTPClient and root CAs exclude each other; set the roots in the HTTP client's transport")
	}
	if s.http == nil {
		if u.Scheme == "http" && s.key != "" && !loopback(u.Hostname()) {
			return nil, fmt.Errorf("client: %s is plain http on another machine, and everybody on the way could read the API key; use https", u.Host)
		}
		s.http = &http.Client{Transport: transport(s.roots)}
	}
	h := *s.http
	h.Timeout = 0
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	key := s.key
	return &Client{
		base: u.String(), http: &h, userAgent: s.userAgent, retries: s.retries,
		authorise: func(r *http.Request) {
			if key != "" {
				r.Header.Set("Authorization", "Bearer "+key)
			}
		},
	}, nil
}

// Server is the address that the client was made with.
func (c *Client) Server() string { return c.base }

func transport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:   10 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
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
