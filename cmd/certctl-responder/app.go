package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"time"

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
		Name:  "certctl-responder",
		Usage: "answer OCSP and serve CRLs, for certctl's CAs or for any other",
		Description: "'certctl-responder store' reads certctl's database, which may be a read replica.\n" +
			"'certctl-responder crl' needs no more of a CA than its certificate, its CRL, and a\n" +
			"responder certificate that it issued. SIGHUP reads the configuration again.",
		Version: version, HideHelpCommand: true,
		OnUsageError:   wrongUsage,
		ExitErrHandler: func(*cli.Context, error) {}, // main ends the process
		Action: func(c *cli.Context) error {
			if c.Args().Len() > 0 {
				return fmt.Errorf("%w: unknown command %q; use store or crl", errUsage, c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
		Commands: []*cli.Command{
			{Name: "store", Usage: "answer for the CAs of a certctl database", Flags: storeFlags(), Action: serve(openStore), OnUsageError: wrongUsage},
			{Name: "crl", Usage: "answer for any CA, from its CRL", Flags: crlFlags(), Action: serve(openCRL), OnUsageError: wrongUsage},
			{Name: "version", Usage: "print the version", Action: func(c *cli.Context) error {
				_, err := fmt.Fprintf(c.App.Writer, "certctl-responder %s (%s)\n", version, runtime.Version())
				return err
			}},
		},
	}
}

func env(names ...string) []string {
	for i, n := range names {
		names[i] = "CERTCTL_" + n
	}
	return names
}

// commonFlags are those of both modes.
func commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "listen", Value: "127.0.0.1:8080", EnvVars: env("RESPONDER_LISTEN"), Usage: "`ADDRESS` for relying parties, plain HTTP"},
		&cli.StringFlag{Name: "admin-listen", Value: "127.0.0.1:9080", EnvVars: env("RESPONDER_ADMIN_LISTEN"), Usage: "`ADDRESS` of /health, /ready and /metrics; not for the public"},
		&cli.StringFlag{Name: "config", EnvVars: env("RESPONDER_CONFIG"), Usage: "YAML `FILE` with several issuers"},
		&cli.Int64Flag{Name: "cache-mib", Value: 64, EnvVars: env("RESPONDER_CACHE_MIB"), Usage: "memory for signed answers, in `MIB`, for each issuer; 0 keeps none"},
		&cli.DurationFlag{Name: "validity", Value: time.Hour, EnvVars: env("RESPONDER_VALIDITY"), Usage: "from thisUpdate to nextUpdate of an answer"},
		&cli.DurationFlag{Name: "max-age", Value: time.Minute, EnvVars: env("RESPONDER_MAX_AGE"), Usage: "how long HTTP caches may keep an answer, hence hide a revocation"},
		&cli.DurationFlag{Name: "client-timeout", Value: 5 * time.Second, EnvVars: env("RESPONDER_CLIENT_TIMEOUT"), Usage: "for a client to send its request"},
		&cli.IntFlag{Name: "access-log", EnvVars: env("RESPONDER_ACCESS_LOG"), Usage: "log one request in `N`; 0: none"},
		&cli.StringFlag{Name: "log-level", Value: "info", EnvVars: env("LOG_LEVEL"), Usage: "debug, info, warn or error"},
		&cli.StringFlag{Name: "log-format", Value: "json", EnvVars: env("LOG_FORMAT"), Usage: "json or text"},
		&cli.DurationFlag{Name: "drain-timeout", Value: 30 * time.Second, EnvVars: env("DRAIN_TIMEOUT"), Usage: "for requests under way at the end"},
	}
}

func storeFlags() []cli.Flag {
	return append(commonFlags(),
		&cli.StringFlag{Name: "database-url", EnvVars: env("DATABASE_URL"), Usage: "postgres://… `URL`, of a replica perhaps; the role needs to read alone"},
		&cli.StringFlag{Name: "data-dir", Value: "./certctl-data", EnvVars: env("DATA_DIR"), Usage: "`FOLDER` of a server with SQLite, when there is no database URL"},
		&cli.StringFlag{Name: "encryption-key", EnvVars: env("CONFIG_ENCRYPTION_KEY"), Hidden: true, Usage: "the key that opens the responder keys in the database"},
		&cli.StringFlag{Name: "encryption-key-file", EnvVars: env("CONFIG_ENCRYPTION_KEY_FILE"), Usage: "`FILE` with the key that opens the responder keys in the database (default: that of the data folder); not needed where --config gives a responder certificate"},
	)
}

func crlFlags() []cli.Flag {
	return append(commonFlags(),
		&cli.StringFlag{Name: "name", Value: "ca", EnvVars: env("RESPONDER_NAME"), Usage: "`NAME` of the issuer in paths: /.well-known/pki/ocsp/NAME"},
		&cli.StringFlag{Name: "ca", EnvVars: env("RESPONDER_CA"), Usage: "PEM or DER `FILE` of the CA certificate"},
		&cli.StringFlag{Name: "crl", EnvVars: env("RESPONDER_CRL"), Usage: "`FILE` or http(s) URL of its complete CRL"},
		&cli.StringFlag{Name: "cert", EnvVars: env("RESPONDER_CERT"), Usage: "`FILE` of a certificate of the CA for OCSP signing (id-kp-OCSPSigning); the CA's own when empty"},
		&cli.StringFlag{Name: "key", EnvVars: env("RESPONDER_KEY"), Usage: "PEM `FILE` of its key"},
		&cli.StringFlag{Name: "index", EnvVars: env("RESPONDER_INDEX"), Usage: "`FILE` of what was issued: OpenSSL's index.txt, or a hexadecimal serial a line"},
		&cli.BoolFlag{Name: "complete", EnvVars: env("RESPONDER_COMPLETE"), Usage: "what is not on the CRL is good, issued or not"},
		&cli.BoolFlag{Name: "only-crl", EnvVars: env("RESPONDER_ONLY_CRL"), Usage: "the CRL is the CA's only one, though it names a distribution point"},
		&cli.DurationFlag{Name: "refetch", Value: time.Hour, EnvVars: env("RESPONDER_REFETCH"), Usage: "after how long a CRL is fetched from its URL again, at the latest; at half of the rest of its life anyway"},
	)
}

func logger(c *cli.Context, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return nil, fmt.Errorf("%w: --log-level %q is not debug, info, warn or error", errUsage, c.String("log-level"))
	}
	o := &slog.HandlerOptions{Level: level}
	switch c.String("log-format") {
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	}
	return nil, fmt.Errorf("%w: --log-format %q is neither json nor text", errUsage, c.String("log-format"))
}
