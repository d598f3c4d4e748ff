package script

import (
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/issuer"
)

// Config of a CA behind scripts.
type Config struct {
	SignScript     []string   `json:"sign_script" doc:"Program, with its arguments, that signs: the CSR comes as PEM on its standard input, the certificate and its chain go as PEM to its standard output" required:"true"`
	RevokeScript   []string   `json:"revoke_script" doc:"Program that revokes the certificate that it gets as PEM on its standard input"`
	CRLScript      []string   `json:"crl_script" doc:"Program that prints the CA's CRL, DER or PEM"`
	FindScript     []string   `json:"find_script" doc:"Program that prints the certificate of CERTCTL_REQUEST_KEY, and nothing where there is none; it is asked after a crash"`
	CACertPath     string     `json:"ca_cert_path" doc:"PEM file with the CA's certificate and those above it"`
	TimeoutSeconds int        `json:"timeout_seconds" doc:"After which a script and all that it started are killed"`
	Environment    []Variable `json:"environment" doc:"Environment variables that the scripts get besides CERTCTL_…"`
	Secrets        []Secret   `json:"secrets" doc:"Likewise, for passwords: sealed, masked, and kept out of messages"`
}

// Variable of a script's environment.
type Variable struct {
	Name  string `json:"name" doc:"Its name" required:"true"`
	Value string `json:"value" doc:"Its value"`
}

// Secret is a variable that nobody sees.
type Secret struct {
	Name  string        `json:"name" doc:"Its name" required:"true"`
	Value secret.String `json:"value" doc:"Its value" required:"true"`
}

func defaults() Config { return Config{TimeoutSeconds: 30} }

var (
	goodName = regexp.MustCompile(`^[A-Z_][A-Z0-9_]{0,99}$`)
	ourName  = regexp.MustCompile(`^(CERTCTL_|LD_|PATH$|HOME$|LANG$|IFS$|BASH_ENV$|ENV$)`)
)

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() []connector.Problem {
	var problems []connector.Problem
	bad := func(field, format string, a ...any) {
		problems = append(problems, connector.Problem{Field: field, Message: fmt.Sprintf(format, a...)})
	}
	for field, argv := range map[string][]string{"sign_script": c.SignScript, "revoke_script": c.RevokeScript, "crl_script": c.CRLScript, "find_script": c.FindScript} {
		if len(argv) > 0 && !filepath.IsAbs(argv[0]) {
			bad(field, "must begin with the absolute path of a program; each argument is an element of the list")
		}
	}
	if c.CACertPath != "" && !filepath.IsAbs(c.CACertPath) {
		bad("ca_cert_path", "must be an absolute path")
	}
	if c.TimeoutSeconds < 1 || c.TimeoutSeconds > 3600 {
		bad("timeout_seconds", "must be 1 to 3600")
	}
	seen := map[string]bool{}
	judge := func(field, name string) {
		switch {
		case !goodName.MatchString(name):
			bad(field, "the name %.40q must be of capital letters, digits and underlines", name)
		case ourName.MatchString(name):
			bad(field, "%s is set by the server, or changes how programs are loaded; choose another name", name)
		case seen[name]:
			bad(field, "%s is set twice", name)
		}
		seen[name] = true
	}
	for n, v := range c.Environment {
		judge(fmt.Sprintf("environment[%d].name", n), v.Name)
	}
	for n, v := range c.Secrets {
		judge(fmt.Sprintf("secrets[%d].name", n), v.Name)
	}
	return problems
}

// Kind defines the connector.
func Kind() connector.Kind[issuer.Issuer] {
	return connector.Define("script", "Script (openssl ca, or any other)", defaults, Open).Alias("OpenSSL")
}
