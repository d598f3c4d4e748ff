package server

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/egress"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/target"
)

// Options configure a Server.
type Options struct {
	Store       certctl.Store     // required
	Revocations revocation.Source // required; usually the store
	Issuers     *connector.Registry[issuer.Issuer]
	Targets     *connector.Registry[target.Target]
	Sealer      *secret.Sealer
	Now         func() time.Time
	Logger      *slog.Logger // silent when nil

	// Listen is the address of the control plane, "127.0.0.1:8443" when empty;
	// port 0 takes a free one.
	Listen string
	// PKIListen is the plain-HTTP address of CRLs, OCSP and CA certificates,
	// "127.0.0.1:8080" when empty.
	PKIListen string
	// PKIURL is PKIListen as relying parties reach it: "http://pki.example.com".
	// Empty: made from PKIListen's address.
	PKIURL string

	// TLSCertFile and TLSKeyFile are the control plane's own certificate, read
	// again when they change. Both empty: one of the server's own CA, renewed
	// by itself.
	TLSCertFile, TLSKeyFile string
	// TLSNames are more names for that certificate, beside localhost and the
	// listen address.
	TLSNames []string
	// Insecure serves the control plane over plain HTTP; on loopback only.
	Insecure bool

	// AuthType is "api-key" (default), or "none" on loopback only.
	AuthType string
	// APIKeys are made to exist at start, for those who keep keys in the
	// environment.
	APIKeys []APIKey
	// LocalIssuer is the configuration of the issuer "iss-local", created when
	// no issuer has that ID. Nil: {}.
	LocalIssuer []byte

	// Seeds are more issuers that are created when none has their ID.
	Seeds []engine.ConnectorInput

	// HTTP is what issuers reach their CAs with; a client that passes the guard
	// of package egress when nil.
	HTTP *http.Client

	MaxBody     int64    // of a request, in bytes; 1 MiB when 0
	CORSOrigins []string // none: no other origin may read
	RateLimit   RateLimit
	Version     Version

	// Exclusive says that no other server runs on the store.
	Exclusive    bool
	Concurrency  int
	Timing       engine.Timing
	DrainTimeout time.Duration // for requests and steps at the end; 30 s when 0
}

// APIKey is a key with a known secret.
type APIKey struct {
	Name  string
	Role  certctl.Role
	Token secret.String
}

// RateLimit is a token bucket per API key, or per address before a key was
// accepted.
type RateLimit struct {
	Disabled     bool
	RPS          float64 // 50 when 0
	Burst        int     // 100 when 0
	PerUserRPS   float64 // RPS when 0
	PerUserBurst int     // Burst when 0
}

// Version is what GET /api/v1/version tells.
type Version struct {
	Version   string
	Commit    string
	Modified  bool // built from files that were not committed
	BuildTime string
	GoVersion string
}

// LocalIssuerID is the ID of the server's own CA.
const LocalIssuerID = "iss-local"

func (o Options) withDefaults() (Options, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:8443"
	}
	if o.PKIListen == "" {
		o.PKIListen = "127.0.0.1:8080"
	}
	if o.AuthType == "" {
		o.AuthType = "api-key"
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 1 << 20
	}
	if o.DrainTimeout <= 0 {
		o.DrainTimeout = 30 * time.Second
	}
	if o.HTTP == nil {
		o.HTTP = egress.Client(egress.Options{Timeout: time.Minute})
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if len(o.LocalIssuer) == 0 {
		o.LocalIssuer = []byte("{}")
	}
	var failed []error
	if (o.TLSCertFile == "") != (o.TLSKeyFile == "") {
		failed = append(failed, errors.New("the server's TLS certificate and key files go together: set both or neither"))
	}
	if o.Insecure && !loopback(o.Listen) {
		failed = append(failed, errors.New("plain HTTP is served on loopback only; listen on 127.0.0.1, or leave TLS on"))
	}
	switch o.AuthType {
	case "api-key":
	case "none":
		if !loopback(o.Listen) {
			failed = append(failed, errors.New("authentication can be off on loopback only; listen on 127.0.0.1, or use api-key"))
		}
	default:
		failed = append(failed, errors.New("unknown authentication type "+o.AuthType+"; known are api-key and none"))
	}
	return o, errors.Join(failed...)
}

// loopback reports whether an address can be reached from this host alone.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
