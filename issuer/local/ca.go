package local

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/certctl/lint"
	"github.com/certctl/certctl/issuer"
)

// CA is an open local CA. Safe for concurrent use.
type CA struct {
	config Config
	now    func() time.Time
	cert   *x509.Certificate
	above  []*x509.Certificate // the CA's issuers, root last if it is known
	key    crypto.Signer
	lint   *linter
}

var (
	_ issuer.Issuer           = (*CA)(nil)
	_ issuer.SigningAuthority = (*CA)(nil)
	_ issuer.SerialChooser    = (*CA)(nil)
	_ issuer.Checker          = (*CA)(nil)
)

// Open loads the CA, or makes it at the first time. It needs env.Now, and
// env.Vault unless the CA is given by files.
func Open(ctx context.Context, c Config, env connector.Env) (issuer.Issuer, error) {
	if env.Now == nil {
		return nil, errors.New("local CA: Env.Now is required")
	}
	ca := &CA{config: c, now: env.Now}
	var err error
	if c.CACertPath != "" {
		err = ca.load(ctx)
	} else {
		err = ca.own(ctx, env)
	}
	if err != nil {
		return nil, err
	}
	if err := ca.judge(); err != nil {
		return nil, err
	}
	ca.lint, err = newLinter(ca.cert, ca.key)
	return ca, err
}

// load takes the CA from the operator's files.
func (ca *CA) load(ctx context.Context) error {
	f, err := os.Open(ca.config.CACertPath)
	if err != nil {
		return config("ca_cert_path", "cannot be opened: %v", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, chain.MaxBytes+1))
	if err != nil {
		return config("ca_cert_path", "cannot be read: %v", err)
	}
	bundle, err := chain.Parse(text)
	if err != nil {
		return config("ca_cert_path", "%s: %v", ca.config.CACertPath, err)
	}
	ca.cert, ca.above = bundle.Leaf(), bundle.Issuers()
	if ca.key, err = keys.Open(ctx, ca.config.CAKeyPath); err != nil {
		return config("ca_key_path", "%v", err)
	}
	return nil
}

// Names of what the vault keeps.
const (
	vaultKey  = "ca-key"
	vaultCert = "ca-cert"
)

// own takes the CA from the vault, or makes it there. Of replicas that do so at
// once, the first key wins, and then the first certificate for it.
func (ca *CA) own(ctx context.Context, env connector.Env) error {
	if env.Vault == nil {
		return errors.New("local CA: there is no vault to keep the CA key in; give ca_cert_path and ca_key_path")
	}
	certPEM, err := env.Vault.Get(ctx, vaultCert)
	fresh := errors.Is(err, connector.ErrNoItem)
	if err != nil && !fresh {
		return fmt.Errorf("local CA: the CA certificate cannot be read: %w", err)
	}
	keyPEM, err := env.Vault.Get(ctx, vaultKey)
	switch {
	case errors.Is(err, connector.ErrNoItem) && !fresh:
		return errors.New("local CA: the CA certificate is there and its key is gone; restore the key from a backup, for a new one would be another CA")
	case errors.Is(err, connector.ErrNoItem):
		if keyPEM, err = ca.makeKey(ctx, env.Vault); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("local CA: the CA key cannot be read: %w", err)
	}
	if ca.key, err = keys.ParsePEM(keyPEM); err != nil {
		return fmt.Errorf("local CA: %w", err)
	}
	if fresh {
		der, err := ca.selfSign()
		if err != nil {
			return err
		}
		if certPEM, err = env.Vault.Create(ctx, vaultCert, der); err != nil {
			return fmt.Errorf("local CA: the CA certificate cannot be kept: %w", err)
		}
	}
	certs, err := chain.Certificates(certPEM)
	if err != nil {
		return fmt.Errorf("local CA: the CA certificate: %w", err)
	}
	ca.cert = certs[0]
	return nil
}

func (ca *CA) makeKey(ctx context.Context, v connector.Vault) ([]byte, error) {
	key, err := keys.Generate(keys.Algorithm(ca.config.KeyAlgorithm))
	if err != nil {
		return nil, err
	}
	text, err := keys.MarshalPEM(key)
	if err != nil {
		return nil, err
	}
	stored, err := v.Create(ctx, vaultKey, text)
	if err != nil {
		return nil, fmt.Errorf("local CA: the CA key cannot be kept: %w", err)
	}
	return stored, nil
}

// selfSign makes the CA's own certificate (RFC 5280 sections 4.2.1.3 and
// 4.2.1.9), linted, as PEM.
func (ca *CA) selfSign() ([]byte, error) {
	now := ca.now().UTC().Truncate(time.Second)
	t := &x509.Certificate{
		SerialNumber: issuer.NewSerial(), Subject: pkix.Name{CommonName: ca.config.CACommonName},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(time.Duration(ca.config.CAValidityDays) * day),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if ca.config.Organization != "" {
		t.Subject.Organization = []string{ca.config.Organization}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, ca.key.Public(), ca.key)
	if err != nil {
		return nil, fmt.Errorf("local CA: the CA certificate cannot be signed: %w", err)
	}
	if err := lint.Certificate(der); err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return chain.EncodePEM(c), nil
}

// judge refuses a CA that could not issue what relying parties accept.
func (ca *CA) judge() error {
	c, now := ca.cert, ca.now()
	switch {
	case !chain.Match(c, ca.key):
		return config("ca_key_path", "the key is not the key of the CA certificate %q", c.Subject)
	case !c.BasicConstraintsValid || !c.IsCA:
		return config("ca_cert_path", "%q is no CA certificate (basicConstraints CA:TRUE is missing)", c.Subject)
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return config("ca_cert_path", "%q may not sign certificates (key usage keyCertSign is missing)", c.Subject)
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCRLSign == 0:
		return config("ca_cert_path", "%q may not sign CRLs (key usage cRLSign is missing), so nothing could be revoked", c.Subject)
	case len(c.SubjectKeyId) == 0:
		return config("ca_cert_path", "%q has no subject key identifier (RFC 5280 section 4.2.1.2)", c.Subject)
	case !now.Before(c.NotAfter):
		return config("ca_cert_path", "%q expired at %s", c.Subject, c.NotAfter.Format(time.RFC3339))
	case now.Add(backdate).Before(c.NotBefore):
		return config("ca_cert_path", "%q is not valid before %s; is the clock right?", c.Subject, c.NotBefore.Format(time.RFC3339))
	}
	return nil
}

// config is a *connector.ConfigError about one field; it matches
// issuer.ErrConfig.
func config(field, format string, a ...any) error {
	e := &connector.ConfigError{Kind: "local", Problems: []connector.Problem{{Field: field, Message: fmt.Sprintf(format, a...)}}}
	return &issuer.Error{Kind: issuer.ErrConfig, Err: e}
}

// Certificates returns the CA certificate, then those above it.
func (ca *CA) Certificates(context.Context) ([]*x509.Certificate, error) {
	return append([]*x509.Certificate{ca.cert}, ca.above...), nil
}

// Signer returns the CA certificate and its key.
func (ca *CA) Signer(context.Context) (*x509.Certificate, crypto.Signer, error) {
	return ca.cert, ca.key, nil
}

// ChoosesSerial is true: the CA signs with the serial of the request.
func (ca *CA) ChoosesSerial() bool { return true }

// Check reports whether the CA could issue now.
func (ca *CA) Check(context.Context) error { return ca.judge() }

// Publication implements issuer.Publisher.
func (ca *CA) Publication() issuer.Publication {
	c := ca.config
	return issuer.Publication{CRL: c.CRLURLs, OCSP: c.OCSPURLs, IssuerCert: c.IssuerURLs, Shards: c.CRLShards, Delta: c.DeltaCRL, ResponderKey: c.OCSPKey}
}
