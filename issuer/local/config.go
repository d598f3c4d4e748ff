package local

import (
	"time"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/keys"
	"github.com/certctl/certctl/issuer"
)

// Config of a local CA.
type Config struct {
	CACommonName   string `json:"ca_common_name" doc:"Common name of the CA, when it makes its own certificate"`
	Organization   string `json:"organization" doc:"Organization in the CA's own certificate"`
	KeyAlgorithm   string `json:"key_algorithm" doc:"Key that the CA makes for itself" enum:"ECDSA-P256,ECDSA-P384,RSA-2048,RSA-3072,RSA-4096,Ed25519"`
	CAValidityDays int    `json:"ca_validity_days" doc:"Lifetime of the CA's own certificate, in days"`
	ValidityDays   int    `json:"validity_days" doc:"Lifetime of certificates that ask for none, in days"`
	CACertPath     string `json:"ca_cert_path" doc:"PEM file with the CA certificate, and those above it: runs below that CA"`
	CAKeyPath      string `json:"ca_key_path" doc:"PEM file with its private key (PKCS#8, PKCS#1 or SEC1), readable by its owner alone"`
}

func defaults() Config {
	return Config{CACommonName: "CertCtl Local CA", KeyAlgorithm: string(keys.ECDSAP256), CAValidityDays: 3650, ValidityDays: 90}
}

const day = 24 * time.Hour

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() []connector.Problem {
	var problems []connector.Problem
	bad := func(field, message string) {
		problems = append(problems, connector.Problem{Field: field, Message: message})
	}
	if (c.CACertPath == "") != (c.CAKeyPath == "") {
		bad("ca_key_path", "goes together with ca_cert_path: set both or neither")
	}
	if n := len([]rune(c.CACommonName)); c.CACertPath == "" && (n == 0 || n > 64) {
		bad("ca_common_name", "must be 1 to 64 characters")
	}
	if len([]rune(c.Organization)) > 64 {
		bad("organization", "must be at most 64 characters")
	}
	if c.CAValidityDays < 1 || c.CAValidityDays > 36500 {
		bad("ca_validity_days", "must be 1 to 36500")
	}
	if c.ValidityDays < 1 || c.ValidityDays > c.CAValidityDays {
		bad("validity_days", "must be at least 1 and at most ca_validity_days")
	}
	return problems
}

// Kind defines the connector.
func Kind() connector.Kind[issuer.Issuer] {
	return connector.Define("local", "Local CA", defaults, Open).Alias("GenericCA")
}
