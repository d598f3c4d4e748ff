package script

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/command"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/revocation"
)

// Limits of what a script may print, in octets: a CRL may be long.
const (
	maxOutput = 1 << 20
	maxCRL    = 64 << 20
	maxErrors = 64 << 10
)

// CA is an open CA behind scripts. Safe for concurrent use as far as the scripts
// are.
type CA struct {
	config Config
	now    func() time.Time
}

// What a configuration can do more; the wrappers below show it to issuer.As.
type (
	revoker struct{ *CA }
	finder  struct{ *CA }
	both    struct{ *CA }
)

var (
	_ issuer.Issuer  = (*CA)(nil)
	_ issuer.Checker = (*CA)(nil)
)

// Open makes an issuer; the scripts are looked at when they are needed. It needs
// env.Now.
func Open(_ context.Context, c Config, env connector.Env) (issuer.Issuer, error) {
	if env.Now == nil {
		return nil, errors.New("script: Env.Now is required")
	}
	ca := &CA{c, env.Now}
	switch revokes, finds := len(c.RevokeScript) > 0, len(c.FindScript) > 0; {
	case revokes && finds:
		return withCA(both{ca}, c), nil
	case revokes:
		return withCA(revoker{ca}, c), nil
	case finds:
		return withCA(finder{ca}, c), nil
	}
	return withCA(ca, c), nil
}

// authority adds what is known of the CA.
type authority struct {
	issuer.Issuer
	path string
}

func withCA(i issuer.Issuer, c Config) issuer.Issuer {
	if c.CACertPath == "" {
		return i
	}
	return authority{i, c.CACertPath}
}

// Unwrap lets issuer.As look at the rest.
func (a authority) Unwrap() issuer.Issuer { return a.Issuer }

// Certificates reads the configured file.
func (a authority) Certificates(context.Context) ([]*x509.Certificate, error) { return read(a.path) }

func read(path string) ([]*x509.Certificate, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, configured("ca_cert_path: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, chain.MaxBytes))
	if err != nil {
		return nil, configured("ca_cert_path: %w", err)
	}
	b, err := chain.Parse(text)
	if err != nil {
		return nil, configured("ca_cert_path: %s: %w", path, err)
	}
	return b.Certificates, nil
}

func configured(format string, a ...any) error {
	return &issuer.Error{Kind: issuer.ErrConfig, Err: fmt.Errorf(format, a...)}
}

// Issue runs sign_script. What it prints is judged: somebody else's certificate
// is refused, in words.
func (ca *CA) Issue(ctx context.Context, req *issuer.Request) (*issuer.Issued, error) {
	out, err := ca.run(ctx, "sign_script", ca.config.SignScript, csrPEM(req), maxOutput, ca.requested("sign", req)...)
	if err != nil {
		return nil, err
	}
	return ca.judged("sign_script", req, out)
}

func (ca *CA) find(ctx context.Context, req *issuer.Request) (*issuer.Issued, error) {
	out, err := ca.run(ctx, "find_script", ca.config.FindScript, csrPEM(req), maxOutput, ca.requested("find", req)...)
	var e *issuer.Error
	if errors.As(err, &e) && errors.Is(e.Kind, issuer.ErrUnknown) {
		e.Kind = issuer.ErrNotDone // it only looks
	}
	if err != nil || strings.TrimSpace(string(out)) == "" {
		return nil, err
	}
	return ca.judged("find_script", req, out)
}

// Find asks for the certificate of an earlier attempt.
func (f finder) Find(ctx context.Context, req *issuer.Request) (*issuer.Issued, error) {
	return f.find(ctx, req)
}

// Find asks for the certificate of an earlier attempt.
func (b both) Find(ctx context.Context, req *issuer.Request) (*issuer.Issued, error) {
	return b.find(ctx, req)
}

// judged reads what a script printed. A certificate that is not what was asked
// for was issued all the same, so the error names its serial.
func (ca *CA) judged(script string, req *issuer.Request, out []byte) (*issuer.Issued, error) {
	b, err := chain.Parse(out)
	if err != nil {
		return nil, &issuer.Error{Kind: issuer.ErrUnknown, Err: fmt.Errorf(
			"%s ended well, and what it printed is no certificate (it begins %q): %w", script, issuer.Clip(string(out[:min(len(out), 60)])), err)}
	}
	issued := &issuer.Issued{Leaf: b.Leaf(), Chain: b.Issuers()}
	var above []*x509.Certificate
	if ca.config.CACertPath != "" {
		if above, err = read(ca.config.CACertPath); err != nil {
			return nil, &issuer.Error{Kind: issuer.ErrUnknown, Err: err}
		}
	}
	if err := issuer.Judge(req, issued, above, ca.now()); err != nil {
		return nil, issuer.Refusedf("%s printed a certificate (serial %x) that is not what was asked for, so it is not used: %w", script, issued.Leaf.SerialNumber, err)
	}
	if len(issued.Chain) == 0 {
		issued.Chain = chain.Build(issued.Leaf, above)
	}
	return issued, nil
}

func csrPEM(req *issuer.Request) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: req.CSR.Raw})
}

// requested is what a script gets to see of a request.
func (ca *CA) requested(action string, req *issuer.Request) []string {
	moment := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	replaces := ""
	if req.Replaces != nil {
		replaces = req.Replaces.SerialNumber.Text(16)
	}
	return []string{
		"CERTCTL_ACTION=" + action, "CERTCTL_REQUEST_KEY=" + req.Key, "CERTCTL_COMMON_NAME=" + req.CommonName,
		"CERTCTL_DNS_NAMES=" + strings.Join(req.DNSNames, ","), "CERTCTL_IPS=" + strings.Join(req.IPs, ","),
		"CERTCTL_EMAILS=" + strings.Join(req.Emails, ","), "CERTCTL_URIS=" + strings.Join(req.URIs, ","),
		"CERTCTL_EKUS=" + strings.Join(req.EKUs, ","), "CERTCTL_PROFILE=" + req.Profile, "CERTCTL_REPLACES_SERIAL=" + replaces,
		"CERTCTL_NOT_BEFORE=" + moment(req.NotBefore), "CERTCTL_NOT_AFTER=" + moment(req.NotAfter),
	}
}

func (ca *CA) revoke(ctx context.Context, cert *x509.Certificate, reason revocation.Reason) error {
	_, err := ca.run(ctx, "revoke_script", ca.config.RevokeScript, chain.EncodePEM(cert), maxOutput,
		"CERTCTL_ACTION=revoke", "CERTCTL_SERIAL="+cert.SerialNumber.Text(16), "CERTCTL_REASON="+reason.String(), fmt.Sprintf("CERTCTL_REASON_CODE=%d", reason))
	return err
}

// Revoke runs revoke_script, which has to take what is revoked already.
func (r revoker) Revoke(ctx context.Context, cert *x509.Certificate, reason revocation.Reason, _ json.RawMessage) error {
	return r.revoke(ctx, cert, reason)
}

// Revoke runs revoke_script, which has to take what is revoked already.
func (b both) Revoke(ctx context.Context, cert *x509.Certificate, reason revocation.Reason, _ json.RawMessage) error {
	return b.revoke(ctx, cert, reason)
}

// CRL runs crl_script and returns the list, in DER.
func (ca *CA) CRL(ctx context.Context) ([]byte, error) {
	if len(ca.config.CRLScript) == 0 {
		return nil, configured("crl_script is not set")
	}
	out, err := ca.run(ctx, "crl_script", ca.config.CRLScript, nil, maxCRL, "CERTCTL_ACTION=crl")
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(out); block != nil && block.Type == "X509 CRL" {
		out = block.Bytes
	}
	if _, err := x509.ParseRevocationList(out); err != nil {
		return nil, issuer.NotDonef("what crl_script printed is no CRL: %w", err)
	}
	return out, nil
}

// Check looks at the scripts and the file, and runs nothing.
func (ca *CA) Check(context.Context) error {
	var problems []error
	for _, s := range []struct {
		field string
		argv  []string
	}{{"sign_script", ca.config.SignScript}, {"revoke_script", ca.config.RevokeScript}, {"crl_script", ca.config.CRLScript}, {"find_script", ca.config.FindScript}} {
		if len(s.argv) > 0 {
			problems = append(problems, safe(s.field, s.argv[0]))
		}
	}
	if ca.config.CACertPath != "" {
		_, err := read(ca.config.CACertPath)
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return &issuer.Error{Kind: issuer.ErrConfig, Err: err}
	}
	return nil
}

// safe refuses a program that others than its owner can change: it would act in
// the CA's name.
func safe(field, path string) error {
	i, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", field, err)
	case !i.Mode().IsRegular() || i.Mode()&0o111 == 0:
		return fmt.Errorf("%s: %s is not an executable file", field, path)
	case i.Mode()&0o022 != 0:
		return fmt.Errorf("%s: %s can be changed by others than its owner; chmod go-w it", field, path)
	}
	return nil
}

// run runs a script and says what its end means.
func (ca *CA) run(ctx context.Context, field string, argv []string, stdin []byte, most int, env ...string) ([]byte, error) {
	if err := safe(field, argv[0]); err != nil {
		return nil, &issuer.Error{Kind: issuer.ErrConfig, Err: err}
	}
	for _, v := range ca.config.Environment {
		env = append(env, v.Name+"="+v.Value)
	}
	for _, v := range ca.config.Secrets {
		env = append(env, v.Name+"="+v.Value.Reveal())
	}
	for _, e := range env {
		if strings.ContainsRune(e, 0) {
			return nil, issuer.Refusedf("%s: a value has a zero octet in it", field)
		}
	}
	before := ctx.Err()
	r, err := command.Run(ctx, command.Spec{
		Argv: argv, Env: env, Stdin: stdin, Limit: time.Duration(ca.config.TimeoutSeconds) * time.Second, MaxOutput: most, MaxErrors: maxErrors,
	})
	if err == nil {
		return r.Output, nil
	}
	kind := issuer.ErrUnknown
	switch {
	case before != nil:
		kind = issuer.ErrNotDone
	case errors.Is(err, command.ErrStart):
		kind = issuer.ErrConfig
	case errors.Is(err, command.ErrExit):
		switch r.Code {
		case 65:
			kind = issuer.ErrRefused
		case 75:
			kind = issuer.ErrNotDone
		case 77, 78:
			kind = issuer.ErrConfig
		}
	}
	said := issuer.Clip(ca.hide(string(r.Errors)))
	if said != "" {
		said = ": " + said
	}
	return nil, &issuer.Error{Kind: kind, Err: fmt.Errorf("%s: %w%s", field, err, said)}
}

// hide takes the secrets out of what a script says.
func (ca *CA) hide(text string) string {
	for _, v := range ca.config.Secrets {
		if !v.Value.IsZero() {
			text = strings.ReplaceAll(text, v.Value.Reveal(), "********")
		}
	}
	return text
}
