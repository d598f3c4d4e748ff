package local

import (
	"fmt"
	"net/url"
	"strings"
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

	CRLURLs    []string `json:"crl_distribution_point_urls" doc:"Where relying parties find the CRL, in place of this server's PKI address; plain http. Lists of shards are below it at /1, /2, …, deltas at /delta"`
	OCSPURLs   []string `json:"ocsp_urls" doc:"Where they find OCSP, likewise"`
	IssuerURLs []string `json:"ca_issuer_urls" doc:"Where they find the CA certificate, likewise"`
	CRLShards  int      `json:"crl_shards" doc:"Over how many CRLs new certificates are spread by their serials, so that each stays small; 0: one CRL"`
	OCSPKey    string   `json:"ocsp_key_algorithm" doc:"Key of the delegated OCSP responder" enum:"ECDSA-P256,ECDSA-P384,RSA-2048,RSA-3072,RSA-4096,Ed25519"`
	DeltaCRL   bool     `json:"delta_crl" doc:"Publish delta CRLs, and name them in certificates"`
}

func defaults() Config {
	return Config{CACommonName: "CertCtl Local CA", KeyAlgorithm: string(keys.ECDSAP256), CAValidityDays: 3650, ValidityDays: 90, OCSPKey: string(keys.ECDSAP256)}
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
	return append(problems, c.publicationProblems()...)
}

// maxShards bounds how many lists have to be signed again and again.
const maxShards = 1024

func (c Config) publicationProblems() (problems []connector.Problem) {
	for field, urls := range map[string][]string{"crl_distribution_point_urls": c.CRLURLs, "ocsp_urls": c.OCSPURLs, "ca_issuer_urls": c.IssuerURLs} {
		for _, text := range urls {
			if u, err := url.Parse(text); err != nil || u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(text, "/") {
				problems = append(problems, connector.Problem{Field: field, Message: fmt.Sprintf("%.100q must be a plain http URL without query or slash at the end: over https a relying party would need it in order to reach it (RFC 5280 section 8)", text)})
			}
		}
	}
	if c.CRLShards < 0 || c.CRLShards > maxShards {
		problems = append(problems, connector.Problem{Field: "crl_shards", Message: fmt.Sprintf("must be 0 to %d", maxShards)})
	}
	return problems
}

// Kind defines the connector.
func Kind() connector.Kind[issuer.Issuer] {
	return connector.Define("local", "Local CA", defaults, Open).Alias("GenericCA")
}
