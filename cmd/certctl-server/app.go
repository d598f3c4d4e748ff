package main

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/certctl/certctl/certctl/server"
	"github.com/urfave/cli/v2"
)

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version = "dev"

// errUsage marks what the caller wrote wrong.
var errUsage = errors.New("usage")

func exitCode(err error) int {
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

func wrongUsage(_ *cli.Context, err error, _ bool) error {
	return fmt.Errorf("%w: %w; see --help", errUsage, err)
}

func app() *cli.App {
	return &cli.App{
		Name:  "certctl-server",
		Usage: "issue, deploy, prove, renew and revoke certificates",
		Description: "Without a command the server runs with SQLite in a data folder, or with Postgres when\n" +
			"CERTCTL_DATABASE_URL is set. 'certctl-server dev' shows everything on this machine.",
		Version:         version,
		HideHelpCommand: true,
		Flags:           serverFlags(),
		Action:          runServer,
		OnUsageError:    wrongUsage,
		ExitErrHandler:  func(*cli.Context, error) {}, // main ends the process
		Commands: []*cli.Command{
			{
				Name: "dev", Usage: "start the server, an agent and a demonstration site, and show what they do",
				Flags: append(serverFlags(), &cli.StringFlag{
					Name: "site-listen", Value: "127.0.0.1:9443", EnvVars: []string{"CERTCTL_SITE_LISTEN"},
					Usage: "`ADDRESS` of the demonstration HTTPS site",
				}),
				OnUsageError: wrongUsage, Action: runDev,
			},
			{
				Name: "version", Usage: "print the version",
				Action: func(c *cli.Context) error {
					v := buildVersion()
					_, err := fmt.Fprintf(c.App.Writer, "certctl-server %s (%s)\n", v.Version, v.GoVersion)
					return err
				},
			},
		},
	}
}

func buildVersion() server.Version {
	v := server.Version{Version: version, GoVersion: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			case "vcs.time":
				v.BuildTime = s.Value
			}
		}
	}
	return v
}

func serverFlags() []cli.Flag {
	env := func(names ...string) []string {
		for i, n := range names {
			names[i] = "CERTCTL_" + n
		}
		return names
	}
	return append([]cli.Flag{
		&cli.StringFlag{Name: "data-dir", Value: "./certctl-data", EnvVars: env("DATA_DIR"), Usage: "`FOLDER` for database, keys and certificates"},
		&cli.StringFlag{Name: "database-url", EnvVars: env("DATABASE_URL"), Usage: "postgres://… `URL`; SQLite in the data folder when empty"},
		&cli.IntFlag{Name: "database-max-conns", Value: 50, EnvVars: env("DATABASE_MAX_CONNS"), Usage: "connections to Postgres, at most"},
		&cli.StringFlag{Name: "listen", EnvVars: env("LISTEN"), Usage: "`ADDRESS` of the HTTPS control plane (default: CERTCTL_SERVER_HOST:CERTCTL_SERVER_PORT, or 127.0.0.1:8443)"},
		&cli.StringFlag{Name: "server-host", Value: "127.0.0.1", EnvVars: env("SERVER_HOST"), Hidden: true, Usage: "host of the control plane, when --listen is not set"},
		&cli.StringFlag{Name: "server-port", Value: "8443", EnvVars: env("SERVER_PORT"), Hidden: true, Usage: "its port"},
		&cli.StringFlag{Name: "pki-listen", Value: "127.0.0.1:8080", EnvVars: env("PKI_LISTEN"), Usage: "`ADDRESS` of the plain-HTTP listener for CRL, OCSP and CA certificates"},
		&cli.StringFlag{Name: "pki-url", EnvVars: env("PKI_URL"), Usage: "`URL` of that listener as relying parties reach it (http://pki.example.com); goes into certificates"},
		&cli.StringFlag{Name: "tls-cert", EnvVars: env("SERVER_TLS_CERT_PATH"), Usage: "PEM `FILE` of the control plane's certificate; without it, one of the server's own CA"},
		&cli.StringFlag{Name: "tls-key", EnvVars: env("SERVER_TLS_KEY_PATH"), Usage: "PEM `FILE` of its key"},
		&cli.StringSliceFlag{Name: "tls-name", EnvVars: env("SERVER_TLS_NAMES"), Usage: "more `NAME`s for that own certificate; repeat, or separate by commas"},
		&cli.BoolFlag{Name: "insecure-http", EnvVars: env("SERVER_INSECURE_HTTP"), Usage: "serve the control plane over plain HTTP, on loopback only"},
		&cli.StringFlag{Name: "auth-type", Value: "api-key", EnvVars: env("AUTH_TYPE"), Usage: "api-key, or none on loopback only"},
		&cli.StringFlag{Name: "auth-secret", EnvVars: env("AUTH_SECRET"), Hidden: true, Usage: "admin API keys, separated by commas"},
		&cli.StringFlag{Name: "api-keys-named", EnvVars: env("API_KEYS_NAMED"), Hidden: true, Usage: "name:key[:admin|operator|viewer], separated by commas"},
		&cli.StringFlag{Name: "encryption-key", EnvVars: env("CONFIG_ENCRYPTION_KEY"), Hidden: true, Usage: "the key that seals secrets at rest: 32 octets as hex or base64, or a passphrase of 16 characters or more"},
		&cli.StringFlag{Name: "encryption-key-file", EnvVars: env("CONFIG_ENCRYPTION_KEY_FILE"), Usage: "`FILE` with the key that seals secrets at rest (default: made in the data folder for SQLite; required for Postgres)"},
		&cli.StringFlag{Name: "ca-cert", EnvVars: env("CA_CERT_PATH"), Usage: "PEM `FILE` of a CA certificate: run the local CA below it"},
		&cli.StringFlag{Name: "ca-key", EnvVars: env("CA_KEY_PATH"), Usage: "PEM `FILE` of its key"},
		&cli.StringFlag{Name: "keygen-mode", Value: "agent", EnvVars: env("KEYGEN_MODE"), Hidden: true, Usage: "agent, and nothing else"},
		&cli.Int64Flag{Name: "max-body-size", Value: 1 << 20, EnvVars: env("MAX_BODY_SIZE"), Usage: "of a request, in `BYTES`"},
		&cli.StringSliceFlag{Name: "cors-origin", EnvVars: env("CORS_ORIGINS"), Usage: "`ORIGIN` that browsers may call from; none by default"},
		&cli.StringSliceFlag{Name: "outbound-allow", EnvVars: env("OUTBOUND_ALLOW"), Usage: "`PREFIX` of addresses (127.0.0.0/8) that issuers may reach although they are of this machine, link-local or a cloud's metadata; repeat, or separate by commas"},
		&cli.BoolFlag{Name: "block-private-outbound", EnvVars: env("BLOCK_RFC1918_OUTBOUND"), Usage: "let issuers reach no private address (RFC 1918, RFC 4193) either, except those of --outbound-allow"},
		&cli.BoolFlag{Name: "rate-limit", Value: true, EnvVars: env("RATE_LIMIT_ENABLED"), Usage: "limit requests per key and address"},
		&cli.Float64Flag{Name: "rate-limit-rps", Value: 50, EnvVars: env("RATE_LIMIT_RPS"), Usage: "requests a second"},
		&cli.IntFlag{Name: "rate-limit-burst", Value: 100, EnvVars: env("RATE_LIMIT_BURST"), Usage: "requests at once"},
		&cli.Float64Flag{Name: "rate-limit-user-rps", EnvVars: env("RATE_LIMIT_PER_USER_RPS"), Usage: "for accepted keys; 0: as rate-limit-rps"},
		&cli.IntFlag{Name: "rate-limit-user-burst", EnvVars: env("RATE_LIMIT_PER_USER_BURST"), Usage: "for accepted keys; 0: as rate-limit-burst"},
		&cli.StringFlag{Name: "log-level", Value: "info", EnvVars: env("LOG_LEVEL"), Usage: "debug, info, warn or error"},
		&cli.StringFlag{Name: "log-format", Value: "json", EnvVars: env("LOG_FORMAT"), Usage: "json or text"},
		&cli.DurationFlag{Name: "drain-timeout", Value: 30 * time.Second, EnvVars: env("DRAIN_TIMEOUT"), Usage: "for requests under way at the end"},
		&cli.DurationFlag{Name: "renewal-check-interval", EnvVars: env("SCHEDULER_RENEWAL_CHECK_INTERVAL"), Usage: "15s when 0"},
		&cli.DurationFlag{Name: "job-processor-interval", EnvVars: env("SCHEDULER_JOB_PROCESSOR_INTERVAL"), Usage: "1s when 0; jobs that are announced start at once"},
		&cli.DurationFlag{Name: "retry-interval", EnvVars: env("SCHEDULER_RETRY_INTERVAL"), Usage: "15s when 0"},
		&cli.DurationFlag{Name: "agent-health-interval", EnvVars: env("SCHEDULER_AGENT_HEALTH_CHECK_INTERVAL"), Usage: "30s when 0"},
		&cli.DurationFlag{Name: "expiry-check-interval", EnvVars: env("SHORT_LIVED_EXPIRY_CHECK_INTERVAL"), Usage: "30s when 0"},
		&cli.DurationFlag{Name: "job-timeout-interval", EnvVars: env("JOB_TIMEOUT_INTERVAL"), Usage: "1m when 0"},
		&cli.DurationFlag{Name: "job-awaiting-csr-timeout", EnvVars: env("JOB_AWAITING_CSR_TIMEOUT"), Usage: "24h when 0"},
		&cli.DurationFlag{Name: "job-awaiting-approval-timeout", EnvVars: env("JOB_AWAITING_APPROVAL_TIMEOUT"), Usage: "168h when 0"},
		&cli.DurationFlag{Name: "crl-generation-interval", EnvVars: env("CRL_GENERATION_INTERVAL"), Usage: "1h when 0; after a revocation a CRL is made at once"},
		&cli.DurationFlag{Name: "ocsp-responder-validity", EnvVars: env("OCSP_RESPONDER_VALIDITY"), Usage: "720h when 0"},
		&cli.DurationFlag{Name: "ocsp-responder-rotation-grace", EnvVars: env("OCSP_RESPONDER_ROTATION_GRACE"), Usage: "168h when 0"},
	}, seedFlags()...)
}
