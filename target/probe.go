package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl/chain"
)

// TLSProber looks at TLS endpoints with a handshake of its own: it trusts
// nothing in order to see everything, and then judges what it saw as a relying
// party that trusts the bundle's roots alone would.
type TLSProber struct {
	Now     func() time.Time // required
	Timeout time.Duration    // of one probe; 5 s when 0
}

var _ Prober = TLSProber{}

// maxHandshake bounds what an endpoint can make a probe read, in octets.
const maxHandshake = 256 << 10

// Probe implements Prober.
func (p TLSProber) Probe(ctx context.Context, e Endpoint, b *Bundle) Observation {
	begun := p.Now()
	o := Observation{Endpoint: e.Address, ServerName: e.ServerName, At: begun.UTC()}
	if o.ServerName == "" {
		o.ServerName = concrete(b)
	}
	timeout := p.Timeout
	if timeout <= 0 {
		timeout = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	state, err := handshake(ctx, e.Address, o.ServerName)
	o.Millis = p.Now().Sub(begun).Milliseconds()
	if err != nil {
		o.Problem = "does not answer a TLS handshake: " + err.Error()
		return o
	}
	p.judge(&o, state, b)
	return o
}

// concrete is a name of the certificate that can be sent as SNI.
func concrete(b *Bundle) string {
	for _, n := range b.Leaf.DNSNames {
		if !strings.HasPrefix(n, "*.") {
			return n
		}
	}
	for _, n := range b.Leaf.DNSNames {
		return "certctl-probe" + strings.TrimPrefix(n, "*")
	}
	return ""
}

func handshake(ctx context.Context, address, name string) (*tls.ConnectionState, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	c := tls.Client(&capped{Conn: raw, left: maxHandshake}, &tls.Config{
		ServerName: name, MinVersion: tls.VersionTLS10, InsecureSkipVerify: true, // judged by chain.Verify: a probe has to see what is wrong
	})
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	state := c.ConnectionState()
	return &state, nil
}

// capped ends a connection that says too much.
type capped struct {
	net.Conn
	left int
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("more than %d octets in a handshake", maxHandshake)
	}
	if len(p) > c.left {
		p = p[:c.left]
	}
	n, err := c.Conn.Read(p)
	c.left -= n
	return n, err
}

func (p TLSProber) judge(o *Observation, state *tls.ConnectionState, b *Bundle) {
	o.TLSVersion, o.CipherSuite = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
	o.ChainLength = len(state.PeerCertificates)
	if o.ChainLength == 0 {
		o.Problem = "sent no certificate"
		return
	}
	leaf := state.PeerCertificates[0]
	o.Fingerprint, o.Serial = chain.Fingerprint(leaf), leaf.SerialNumber.Text(16)
	o.Subject, o.Issuer, o.NotAfter = leaf.Subject.String(), leaf.Issuer.String(), leaf.NotAfter.UTC()
	o.Served = leaf.Equal(b.Leaf)
	roots := b.Roots
	if len(roots) == 0 && len(b.Chain) > 0 {
		roots = b.Chain[len(b.Chain)-1:]
	}
	chainErr := chain.Verify(leaf, state.PeerCertificates[1:], roots, nil, p.Now())
	o.ChainOK = chainErr == nil
	o.NameOK = nameOK(leaf, b, o.ServerName)
	switch {
	case !o.Served:
		o.Problem = fmt.Sprintf("serves another certificate: serial %s of %q, valid until %s", o.Serial, o.Subject, o.NotAfter.Format(time.RFC3339))
	case !o.ChainOK:
		o.Problem = "serves the certificate with a chain that a relying party does not accept: " + chainErr.Error()
	case !o.NameOK:
		o.Problem = fmt.Sprintf("serves the certificate under the name %q, which is not in it", o.ServerName)
	}
}

// nameOK: the name that was asked for is in the certificate. Without SNI, for
// certificates of addresses alone, one of its own names counts.
func nameOK(leaf *x509.Certificate, b *Bundle, name string) bool {
	if name != "" {
		return leaf.VerifyHostname(name) == nil
	}
	return len(b.Leaf.IPAddresses) > 0 && leaf.VerifyHostname(b.Leaf.IPAddresses[0].String()) == nil || len(b.Leaf.DNSNames) == 0
}
