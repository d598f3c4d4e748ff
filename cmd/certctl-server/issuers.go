package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/certctl/certctl/certctl/engine"
	"github.com/urfave/cli/v2"
)

// seed is an issuer that the environment can name: made at the first start,
// changed with "issuers update" afterwards.
type seed struct {
	id, name, kind string
	fields         []seedField
}

type seedField struct {
	env   string // without CERTCTL_; the flag is made of it
	json  string
	usage string
	as    func(string) (any, error)
}

var seeds = []seed{
	{"iss-acme", "ACME", "acme", []seedField{
		{"ACME_DIRECTORY_URL", "directory_url", "directory of an ACME server: makes the issuer iss-acme at the first start", text},
		{"ACME_EMAIL", "email", "contact of its account", text},
		{"ACME_CHALLENGE_TYPE", "challenge_type", "http-01, tls-alpn-01, dns-01 or dns-persist-01", text},
		{"ACME_DNS_PRESENT_SCRIPT", "dns_present_script", "command that makes a TXT record: words, or a JSON list", argv},
		{"ACME_DNS_CLEANUP_SCRIPT", "dns_cleanup_script", "command that removes it", argv},
		{"ACME_DNS_PROPAGATION_WAIT", "dns_propagation_wait", "how long name servers may take to show it: seconds, or 2m", seconds},
		{"ACME_DNS_PERSIST_ISSUER_DOMAIN", "dns_persist_issuer_domain", "the CA's name in a dns-persist-01 record", text},
		{"ACME_EAB_KID", "eab_kid", "key identifier of the external account binding", text},
		{"ACME_EAB_HMAC", "eab_hmac", "its MAC key", text},
		{"ACME_ARI_ENABLED", "ari_enabled", "ask the CA when to renew", boolean},
		{"ACME_PROFILE", "profile", "the CA's profile", text},
	}},
	{"iss-stepca", "step-ca", "stepca", []seedField{
		{"STEPCA_URL", "ca_url", "URL of a step-ca: makes the issuer iss-stepca at the first start", text},
		{"STEPCA_ROOT_CA", "root_cert_path", "PEM file of its root", text},
		{"STEPCA_PROVISIONER_NAME", "provisioner_name", "name of the provisioner", text},
		{"STEPCA_PROVISIONER_KEY", "provisioner_key_path", "file of its key", text},
		{"STEPCA_PROVISIONER_PASSWORD", "provisioner_password", "its password", text},
	}},
	{"iss-script", "Script CA", "script", []seedField{
		{"OPENSSL_SIGN_SCRIPT", "sign_script", "command that signs a CSR: makes the issuer iss-script at the first start", argv},
		{"OPENSSL_REVOKE_SCRIPT", "revoke_script", "command that revokes", argv},
		{"OPENSSL_CRL_SCRIPT", "crl_script", "command that prints the CRL", argv},
		{"OPENSSL_TIMEOUT_SECONDS", "timeout_seconds", "after which they are killed: seconds, or 2m", seconds},
	}},
}

func (f seedField) flag() string { return strings.ReplaceAll(strings.ToLower(f.env), "_", "-") }

// seedFlags are the flags of the issuers above. They are texts, so that one that
// is not set is told from one that is.
func seedFlags() []cli.Flag {
	var out []cli.Flag
	for _, s := range seeds {
		for _, f := range s.fields {
			out = append(out, &cli.StringFlag{Name: f.flag(), EnvVars: []string{"CERTCTL_" + f.env}, Hidden: true, Usage: f.usage})
		}
	}
	return out
}

// seeded are the issuers that flags and environment name.
func seeded(c *cli.Context) ([]engine.ConnectorInput, error) {
	var out []engine.ConnectorInput
	for _, s := range seeds {
		config := map[string]any{}
		for _, f := range s.fields {
			given := c.String(f.flag())
			if given == "" {
				continue
			}
			value, err := f.as(given)
			if err != nil {
				return nil, fmt.Errorf("%w: CERTCTL_%s: %w", errUsage, f.env, err)
			}
			config[f.json] = value
		}
		if len(config) == 0 {
			continue
		}
		body, err := json.Marshal(config)
		if err != nil {
			return nil, err
		}
		out = append(out, engine.ConnectorInput{ID: s.id, Name: s.name, Type: s.kind, Config: body})
	}
	return out, nil
}

func text(s string) (any, error) { return s, nil }

func boolean(s string) (any, error) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return nil, errors.New("must be true or false")
	}
	return b, nil
}

func seconds(s string) (any, error) {
	if n, err := strconv.Atoi(s); err == nil {
		return n, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return nil, errors.New("must be a number of seconds, or a duration such as 2m")
	}
	return int(d / time.Second), nil
}

func argv(s string) (any, error) {
	if !strings.HasPrefix(s, "[") {
		return strings.Fields(s), nil
	}
	var list []string
	if json.Unmarshal([]byte(s), &list) != nil {
		return nil, errors.New("must be words, or a JSON list of texts")
	}
	return list, nil
}
