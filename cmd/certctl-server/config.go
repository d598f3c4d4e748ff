package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/egress"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/certctl/server"
	"github.com/urfave/cli/v2"
)

// options turns flags and environment into the library's options; what needs
// the data folder is added by open.
func options(c *cli.Context) (server.Options, error) {
	o := server.Options{
		Listen: c.String("listen"), PKIListen: c.String("pki-listen"), PKIURL: c.String("pki-url"),
		TLSCertFile: c.String("tls-cert"), TLSKeyFile: c.String("tls-key"), TLSNames: c.StringSlice("tls-name"),
		Insecure: c.Bool("insecure-http"), AuthType: c.String("auth-type"), MaxBody: c.Int64("max-body-size"),
		CORSOrigins: c.StringSlice("cors-origin"), Version: buildVersion(), DrainTimeout: c.Duration("drain-timeout"),
		RateLimit: server.RateLimit{
			Disabled: !c.Bool("rate-limit"), RPS: c.Float64("rate-limit-rps"), Burst: c.Int("rate-limit-burst"),
			PerUserRPS: c.Float64("rate-limit-user-rps"), PerUserBurst: c.Int("rate-limit-user-burst"),
		},
		Timing: engine.Timing{
			RenewalCheck: c.Duration("renewal-check-interval"), JobPoll: c.Duration("job-processor-interval"),
			Retry: c.Duration("retry-interval"), AgentHealth: c.Duration("agent-health-interval"),
			Expiry: c.Duration("expiry-check-interval"), Reaper: c.Duration("job-timeout-interval"),
			AwaitingCSR: c.Duration("job-awaiting-csr-timeout"), AwaitingPerson: c.Duration("job-awaiting-approval-timeout"),
			CRLGeneration: c.Duration("crl-generation-interval"),
			ResponderLife: c.Duration("ocsp-responder-validity"), ResponderGrace: c.Duration("ocsp-responder-rotation-grace"),
		},
	}
	if c.Args().Len() > 0 {
		return o, fmt.Errorf("%w: unknown command or argument %q; see 'certctl-server --help'", errUsage, c.Args().First())
	}
	if o.Listen == "" {
		o.Listen = net.JoinHostPort(c.String("server-host"), c.String("server-port"))
	}
	if mode := c.String("keygen-mode"); mode != "agent" {
		return o, fmt.Errorf("%w: CERTCTL_KEYGEN_MODE=%s: keys are made by agents, and never leave their host; unset it", errUsage, mode)
	}
	var err error
	if o.APIKeys, err = apiKeys(c.String("auth-secret"), c.String("api-keys-named")); err != nil {
		return o, err
	}
	if cert, key := c.String("ca-cert"), c.String("ca-key"); cert != "" || key != "" {
		if cert == "" || key == "" {
			return o, fmt.Errorf("%w: CERTCTL_CA_CERT_PATH and CERTCTL_CA_KEY_PATH go together: set both or neither", errUsage)
		}
		if o.LocalIssuer, err = json.Marshal(map[string]string{"ca_cert_path": cert, "ca_key_path": key}); err != nil {
			return o, err
		}
	}
	if o.HTTP, err = outbound(c.StringSlice("outbound-allow"), c.Bool("block-private-outbound")); err != nil {
		return o, err
	}
	if o.Seeds, err = seeded(c); err != nil {
		return o, err
	}
	o.Logger, err = logger(c, os.Stderr)
	return o, err
}

// outbound is the client that issuers reach their CAs with.
func outbound(allow []string, blockPrivate bool) (*http.Client, error) {
	o := egress.Options{BlockPrivate: blockPrivate, Timeout: time.Minute}
	for _, text := range allow {
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%w: CERTCTL_OUTBOUND_ALLOW: %q is not a prefix such as 127.0.0.0/8", errUsage, text)
		}
		o.Allow = append(o.Allow, p)
	}
	return egress.Client(o), nil
}

// apiKeys reads CERTCTL_AUTH_SECRET and CERTCTL_API_KEYS_NAMED.
func apiKeys(secrets, named string) ([]server.APIKey, error) {
	var out []server.APIKey
	for i, token := range fields(secrets) {
		out = append(out, server.APIKey{Name: fmt.Sprintf("auth-secret-%d", i+1), Role: certctl.RoleAdmin, Token: secret.New(token)})
	}
	for _, entry := range fields(named) {
		parts := strings.Split(entry, ":")
		if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
			return nil, fmt.Errorf("%w: an entry of CERTCTL_API_KEYS_NAMED is not name:key or name:key:role", errUsage)
		}
		role := certctl.RoleOperator
		if len(parts) == 3 {
			role = certctl.Role(parts[2])
		}
		switch role {
		case certctl.RoleAdmin, certctl.RoleOperator, certctl.RoleViewer:
		default:
			return nil, fmt.Errorf("%w: the role of %q in CERTCTL_API_KEYS_NAMED is not admin, operator or viewer", errUsage, parts[0])
		}
		out = append(out, server.APIKey{Name: parts[0], Role: role, Token: secret.New(parts[1])})
	}
	for _, k := range out {
		if len(k.Token.Reveal()) < 16 {
			return nil, fmt.Errorf("%w: the API key %q in the environment is shorter than 16 characters; make one with: openssl rand -hex 32", errUsage, k.Name)
		}
	}
	return out, nil
}

func fields(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
}

func logger(c *cli.Context, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return nil, fmt.Errorf("%w: log level %q is not debug, info, warn or error", errUsage, c.String("log-level"))
	}
	o := &slog.HandlerOptions{Level: level}
	switch c.String("log-format") {
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	default:
		return nil, fmt.Errorf("%w: log format %q is not json or text", errUsage, c.String("log-format"))
	}
}
