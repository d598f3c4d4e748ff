package stepca

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/issuer"
)

// Types of provisioners.
const (
	typeJWK = "JWK"
	typeX5C = "X5C"
)

// Config of an issuer that is a step-ca.
type Config struct {
	CAURL           string        `json:"ca_url" doc:"URL of the CA, https, with a host name that is among its dnsNames" required:"true"`
	RootCertPath    string        `json:"root_cert_path" doc:"PEM file with the CA's root, which is then trusted alone; the system's roots when this and root_fingerprint are empty"`
	RootFingerprint string        `json:"root_fingerprint" doc:"SHA-256 of the CA's root certificate in hexadecimal, as 'step certificate fingerprint' prints it; the root is fetched from the CA, and then trusted alone"`
	ProvisionerName string        `json:"provisioner_name" doc:"Name of the provisioner. Provisioners of type ACME are used through the kind acme" required:"true"`
	ProvisionerType string        `json:"provisioner_type" doc:"Type of the provisioner" enum:"JWK,X5C"`
	KeyPath         string        `json:"provisioner_key_path" doc:"File with the provisioner's private key, readable by its owner alone: for JWK a JWE as step writes it, or a JWK; for X5C a PEM file. Empty for JWK: the encrypted key is fetched from the CA"`
	Password        secret.String `json:"provisioner_password" doc:"Password of the JWK provisioner's encrypted key"`
	X5CCertPath     string        `json:"x5c_cert_path" doc:"PEM file with the certificate of the X5C key, and those above it without the root"`
	ValidityDays    int           `json:"validity_days" doc:"Longest lifetime to ask for, in days; 0: what the request wants, or else the CA's default"`
}

func defaults() Config { return Config{ProvisionerType: typeJWK} }

const maxDays = 36500

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() []connector.Problem {
	var problems []connector.Problem
	bad := func(field, message string) {
		problems = append(problems, connector.Problem{Field: field, Message: message})
	}
	if u, err := url.Parse(c.CAURL); c.CAURL != "" && (err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "") {
		bad("ca_url", "must be an https URL of a host and perhaps a port, such as https://ca.example.com:9000, and nothing more")
	}
	if c.RootFingerprint != "" {
		if b, err := hex.DecodeString(c.RootFingerprint); err != nil || len(b) != 32 {
			bad("root_fingerprint", "must be 64 hexadecimal digits; step certificate fingerprint root_ca.crt prints them")
		}
		if c.RootCertPath != "" {
			bad("root_fingerprint", "is given together with root_cert_path: set one of them")
		}
	}
	switch c.ProvisionerType {
	case typeX5C:
		if c.KeyPath == "" {
			bad("provisioner_key_path", "is needed for a provisioner of type X5C")
		}
		if c.X5CCertPath == "" {
			bad("x5c_cert_path", "is needed for a provisioner of type X5C")
		}
		if !c.Password.IsZero() {
			bad("provisioner_password", "is for the type JWK: the key of an X5C provisioner is a PEM file that is not encrypted")
		}
	case typeJWK:
		if c.KeyPath == "" && c.Password.IsZero() {
			bad("provisioner_password", "is needed to decrypt the key that the CA keeps; or set provisioner_key_path")
		}
		if c.X5CCertPath != "" {
			bad("x5c_cert_path", "is for the type X5C")
		}
	}
	if c.ValidityDays < 0 || c.ValidityDays > maxDays {
		bad("validity_days", fmt.Sprintf("must be 0 to %d", maxDays))
	}
	return problems
}

// Kind defines the connector. It is found as "StepCA" too, whatever the case.
func Kind() connector.Kind[issuer.Issuer] {
	return connector.Define("stepca", "step-ca", defaults, Open)
}

// wrong is a *connector.ConfigError about one field; it matches
// issuer.ErrConfig.
func wrong(field, format string, a ...any) error {
	e := &connector.ConfigError{Kind: "stepca", Problems: []connector.Problem{{Field: field, Message: fmt.Sprintf(format, a...)}}}
	return &issuer.Error{Kind: issuer.ErrConfig, Err: e}
}
