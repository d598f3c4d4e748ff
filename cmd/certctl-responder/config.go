package main

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/certctl/certctl/certctl/chain"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/urfave/cli/v2"
	"gopkg.in/yaml.v3"
)

// issuerConfig is one issuer of the configuration file. In the mode store only
// name, cert and key are used: a responder certificate in place of the server's.
type issuerConfig struct {
	Name     string `yaml:"name"`
	CA       string `yaml:"ca"`
	CRL      string `yaml:"crl"`
	Cert     string `yaml:"cert"`
	Key      string `yaml:"key"`
	Index    string `yaml:"index"`
	Complete bool   `yaml:"complete"`
	OnlyCRL  bool   `yaml:"only_crl"`
	// Refetch is after how long a CRL is fetched again from a URL at the latest; an
	// hour when 0.
	Refetch time.Duration `yaml:"refetch"`
}

var issuerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// maxFile bounds what is read of certificates, keys and configuration.
const maxFile = 1 << 20

// configured are the issuers of the flags, and of the file. It is read again at
// each reload.
func configured(c *cli.Context) ([]issuerConfig, error) {
	var out struct {
		Issuers []issuerConfig `yaml:"issuers"`
	}
	if file := c.String("config"); file != "" {
		text, err := readFile(file)
		if err != nil {
			return nil, err
		}
		d := yaml.NewDecoder(bytes.NewReader(text))
		d.KnownFields(true)
		if err := d.Decode(&out); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	if c.String("ca") != "" || c.String("crl") != "" {
		out.Issuers = append(out.Issuers, issuerConfig{
			Name: c.String("name"), CA: c.String("ca"), CRL: c.String("crl"), Cert: c.String("cert"), Key: c.String("key"),
			Index: c.String("index"), Complete: c.Bool("complete"), OnlyCRL: c.Bool("only-crl"), Refetch: c.Duration("refetch"),
		})
	}
	seen := map[string]bool{}
	for i, o := range out.Issuers {
		switch {
		case !issuerName.MatchString(o.Name):
			return nil, fmt.Errorf("%w: the name %q of issuer %d must be 1 to 128 letters, digits, dots, underscores or hyphens", errUsage, o.Name, i+1)
		case seen[o.Name]:
			return nil, fmt.Errorf("%w: two issuers have the name %s", errUsage, o.Name)
		case o.Refetch < 0, o.Refetch > 0 && o.Refetch < time.Second:
			return nil, fmt.Errorf("%w: issuer %s: refetch is %s; it must be a second or more", errUsage, o.Name, o.Refetch)
		}
		seen[o.Name] = true
	}
	return out.Issuers, nil
}

// readFile reads a small file.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d octets; at most %d are read", name, info.Size(), maxFile)
	}
	return os.ReadFile(name)
}

func readCertificate(name string) (*x509.Certificate, error) {
	text, err := readFile(name)
	if err != nil {
		return nil, err
	}
	if len(text) > 0 && text[0] == 0x30 {
		cert, err := x509.ParseCertificate(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return cert, nil
	}
	certs, err := chain.Certificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return certs[0], nil
}

// readPair reads a responder certificate and its key; nil when none is given.
func readPair(o issuerConfig) (*x509.Certificate, crypto.Signer, error) {
	if o.Key == "" {
		if o.Cert != "" {
			return nil, nil, fmt.Errorf("%w: issuer %s: cert goes together with key", errUsage, o.Name)
		}
		return nil, nil, nil
	}
	text, err := secret.ReadFile(o.Key, maxFile)
	if err != nil {
		return nil, nil, err
	}
	key, err := keys.ParsePEM(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", o.Key, err)
	}
	if o.Cert == "" {
		return nil, key, nil
	}
	cert, err := readCertificate(o.Cert)
	return cert, key, err
}

var errNothing = errors.New("no issuer is configured; give --ca, --crl, --cert and --key, or --config FILE")
