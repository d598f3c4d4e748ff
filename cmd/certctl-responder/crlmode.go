package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"time"

	"github.com/certctl/certctl/revocation"
	"github.com/certctl/certctl/revocation/foreign"
	"github.com/certctl/certctl/revocation/ocsp"
	"github.com/certctl/certctl/revocation/responder"
	"github.com/urfave/cli/v2"
)

// openCRL opens the issuers of the mode crl.
func openCRL(c *cli.Context, log *slog.Logger) (*opened, error) {
	list, err := configured(c)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: %w", errUsage, errNothing)
	}
	out := &opened{}
	for _, o := range list {
		s, err := crlSite(c, o, log)
		if err != nil {
			return nil, fmt.Errorf("issuer %s: %w", o.Name, err)
		}
		out.sites = append(out.sites, s)
	}
	return out, nil
}

func crlSite(c *cli.Context, o issuerConfig, log *slog.Logger) (*site, error) {
	if o.CA == "" || o.CRL == "" || o.Key == "" {
		return nil, fmt.Errorf("%w: ca, crl and key are required", errUsage)
	}
	ca, err := readCertificate(o.CA)
	if err != nil {
		return nil, err
	}
	cert, key, err := readPair(o)
	if err != nil {
		return nil, err
	}
	signs, err := ocsp.NewIssuer(ocsp.Credentials{CA: ca, Cert: cert, Signer: key})
	if err != nil {
		return nil, err
	}
	source, err := foreign.Open(c.Context, foreign.Options{
		CA: ca, CRL: o.CRL, Index: o.Index, Complete: o.Complete, Only: o.OnlyCRL, Refetch: o.Refetch, Now: time.Now, Logger: log.With("issuer", o.Name),
		HTTP: &http.Client{Timeout: 2 * time.Minute},
	})
	if err != nil {
		return nil, err
	}
	answers, err := ocsp.New(ocsp.Options{
		Source: source, Issuers: ocsp.Fixed(signs), Now: time.Now, Validity: c.Duration("validity"), CacheSize: c.Int64("cache-mib") << 20,
	})
	if err != nil {
		return nil, err
	}
	return &site{
		name: o.Name, ca: ca, answers: answers, watch: source.Run,
		crl: func(_ context.Context, id responder.CRLID) (*responder.CRL, error) {
			if id.Shard != 0 || id.Delta {
				return nil, revocation.ErrUnknownIssuer
			}
			list := source.List()
			if list == nil {
				return nil, foreign.ErrStale
			}
			return &responder.CRL{DER: list.DER, Number: list.Number, ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate}, nil
		},
		state: func() state { return crlState(source, signs) },
	}, nil
}

func crlState(source *foreign.Source, signs *ocsp.Issuer) state {
	h := source.Health()
	out := state{issued: h.Issued, rejected: h.Rejected}
	if h.List != nil {
		out.number, out.thisUpdate, out.nextUpdate, out.entries = asFloat(h.List.Number), h.List.ThisUpdate, h.List.NextUpdate, h.List.Entries
	}
	switch {
	case !h.Fresh && h.Last != nil:
		out.problem = h.Last
	case !h.Fresh:
		out.problem = foreign.ErrStale
	case h.Last != nil:
		out.problem = h.Last
	default:
		out.problem = signerProblem(signs)
	}
	return out
}

// signerProblem says that a responder certificate has ended.
func signerProblem(i *ocsp.Issuer) error {
	if end := i.Certificate().NotAfter; !time.Now().Before(end) {
		return fmt.Errorf("the responder certificate ended at %s; give a new one, and send SIGHUP", end.UTC().Format(time.RFC3339))
	}
	return nil
}

func asFloat(n *big.Int) float64 {
	if n == nil {
		return 0
	}
	f, _ := new(big.Float).SetInt(n).Float64()
	return f
}
