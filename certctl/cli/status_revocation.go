package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// revocationStatus is what "revocation status" prints.
type revocationStatus struct {
	Serial  string    `json:"serial_number"`
	Issuer  string    `json:"issuer_id"`
	CA      string    `json:"ca"`
	PKIURL  string    `json:"pki_url"`
	Says    []opinion `json:"says"`
	Verdict string    `json:"verdict"` // good, revoked, unknown, disagree, untrusted
	Why     string    `json:"why,omitempty"`
}

func (s *session) revocation() *cli.Command {
	return group("revocation", "what relying parties see", nil, &cli.Command{
		Name: "status", Usage: "ask OCSP and CRL over the wire, and judge the answers as a relying party must", ArgsUsage: "SERIAL",
		Description: "The exit code is 0 when both say good, 8 when the certificate is revoked, and 9 when\n" +
			"an answer cannot be trusted, the two disagree, or the CA never issued the serial.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "issuer", Required: true, Usage: "`ID` of the issuer"},
			&cli.StringFlag{Name: "pki-url", EnvVars: []string{"CERTCTL_PKI_URL"}, Usage: "`URL` of the listener for CRL and OCSP; of ready.json in --data-dir without it"},
			&cli.StringFlag{Name: "issuer-file", Usage: "`FILE` with the CA certificate that you trust, PEM or DER; fetched from --pki-url without it"},
		},
		Action: func(c *cli.Context) error {
			text, err := one(c, "SERIAL")
			if err != nil {
				return err
			}
			serial, ok := new(big.Int).SetString(strings.ReplaceAll(text, ":", ""), 16)
			if !ok || serial.Sign() <= 0 || len(text) > 96 {
				return usagef("%.100q is not a serial number in hexadecimal", text)
			}
			if c.Duration("timeout") <= 0 {
				return usagef("--timeout must be more than 0")
			}
			ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
			defer cancel()
			return s.revocationStatus(ctx, c, serial)
		},
	})
}

func (s *session) revocationStatus(ctx context.Context, c *cli.Context, serial *big.Int) error {
	base, err := pkiURL(c)
	if err != nil {
		return err
	}
	p := &relyingParty{pki: base, issuer: c.String("issuer"), http: &http.Client{Timeout: 30 * time.Second}, now: s.o.Now}
	if path := c.String("issuer-file"); path != "" {
		text, err := s.readFile(path)
		if err != nil {
			return err
		}
		if p.ca, err = parseCA(text); err != nil {
			return usagef("%s: %v", path, err)
		}
	} else if err := p.fetchCA(ctx); err != nil {
		return err
	}
	r := &revocationStatus{
		Serial: serial.Text(16), Issuer: p.issuer, CA: p.ca.Subject.String(), PKIURL: base,
		Says: []opinion{p.askOCSP(ctx, serial), p.askCRL(ctx, serial)},
	}
	r.Verdict, r.Why = compare(r.Says[0], r.Says[1])
	if err := s.tellRevocation(c, r); err != nil {
		return err
	}
	switch r.Verdict {
	case "good":
		return nil
	case "revoked":
		return fmt.Errorf("%w: serial %s of %s", errRevoked, r.Serial, r.Issuer)
	default:
		return fmt.Errorf("%w: serial %s of %s: %s", errUntrusted, r.Serial, r.Issuer, r.Why)
	}
}

// compare judges what OCSP and CRL say together.
func compare(o, l opinion) (verdict, why string) {
	switch {
	case !o.trusted() || !l.trusted():
		return untrustedState, strings.TrimPrefix(strings.Join([]string{problemOf(o), problemOf(l)}, ""), "; ")
	case o.State == "revoked" && l.State == "revoked" && o.Reason == l.Reason && o.Since.Equal(l.Since):
		return "revoked", ""
	case o.State == "revoked" && l.State == "revoked":
		return "disagree", "both say revoked, but reason or date differ"
	case o.State == "revoked" && l.ThisUpdate.Before(o.Since):
		return "revoked", "the CRL is older than the revocation"
	case o.State == "unknown" && l.State == "good":
		return "unknown", "the CA never issued this serial, says OCSP"
	case o.State != l.State:
		return "disagree", "OCSP says " + o.State + ", the CRL says " + l.State
	}
	return "good", ""
}

func problemOf(o opinion) string {
	if o.trusted() {
		return ""
	}
	return "; " + o.Source + ": " + o.Problem
}

func (s *session) tellRevocation(c *cli.Context, r *revocationStatus) error {
	switch form := c.String("output"); form {
	case "table":
	case "name":
		_, err := fmt.Fprintln(s.o.Out, r.Verdict)
		return err
	default:
		return s.print(form, r)
	}
	fmt.Fprintf(s.o.Out, "Serial   %s\nCA       %s (%s)\n\n", r.Serial, plain(r.CA), r.PKIURL)
	rows := make([]*opinion, len(r.Says))
	for i := range r.Says {
		rows[i] = &r.Says[i]
	}
	err := show(s, c, []column[opinion]{
		{"SOURCE", func(o *opinion) string { return o.Source }},
		{"SAYS", func(o *opinion) string { return o.State }},
		{"REASON", func(o *opinion) string { return dash(o.Reason) }},
		{"SINCE", func(o *opinion) string { return exact(o.Since) }},
		{"THIS UPDATE", func(o *opinion) string { return exact(o.ThisUpdate) }},
		{"NEXT UPDATE", func(o *opinion) string { return exact(o.NextUpdate) }},
		{"SIGNED BY", func(o *opinion) string { return dash(o.Signer) }},
		{"PROBLEM", func(o *opinion) string { return dash(o.Problem) }},
	}, func(o *opinion) string { return o.Source }, rows)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.o.Out, "\nVerdict  %s\n", r.Verdict)
	if r.Why != "" {
		fmt.Fprintf(s.o.Out, "Why      %s\n", plain(r.Why))
	}
	return nil
}

// exact is a time as certificates have it.
func exact(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// pkiURL is where CRL and OCSP are: the flag, or what a server on this machine
// wrote down.
func pkiURL(c *cli.Context) (string, error) {
	text := c.String("pki-url")
	if text == "" {
		path := filepath.Join(c.String("data-dir"), "ready.json")
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", usagef("where CRL and OCSP are is not known: set --pki-url (CERTCTL_PKI_URL), or --data-dir to the data folder of a server on this machine (%s is not there)", path)
		}
		if err != nil {
			return "", err
		}
		defer f.Close()
		var ready struct {
			PKIURL string `json:"pki_url"`
		}
		if err := json.NewDecoder(io.LimitReader(f, 64<<10)).Decode(&ready); err != nil || ready.PKIURL == "" {
			return "", usagef("%s does not tell the URL of CRL and OCSP; set --pki-url", path)
		}
		text = ready.PKIURL
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", usagef("--pki-url %.200q is no http or https URL", text)
	}
	return strings.TrimSuffix(text, "/"), nil
}
