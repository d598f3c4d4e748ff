package acme

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/certctl/secret"
	"github.com/certctl/certctl/issuer"
)

// Config of an ACME issuer.
type Config struct {
	DirectoryURL string `json:"directory_url" doc:"Directory of the ACME server; https" required:"true"`
	CACertPath   string `json:"ca_cert_path" doc:"PEM file with the roots that the server's own certificate is verified with, in place of the system's"`
	Email        string `json:"email" doc:"Contact of the account. Using the issuer agrees to the CA's terms of service"`

	EABKid  string        `json:"eab_kid" doc:"Key identifier of the external account binding, where the CA wants one. ZeroSSL's is fetched by e-mail address when it is empty"`
	EABHMAC secret.String `json:"eab_hmac" doc:"Its MAC key, base64url"`

	ChallengeType string `json:"challenge_type" doc:"How names are validated" enum:"http-01,tls-alpn-01,dns-01,dns-persist-01"`
	HTTPPort      int    `json:"http_port" doc:"Port on which http-01 is answered; the CA asks at 80"`
	TLSPort       int    `json:"tls_port" doc:"Port on which tls-alpn-01 is answered; the CA asks at 443"`
	ListenAddress string `json:"listen_address" doc:"IP address on which both are answered; all when empty"`
	Webroot       string `json:"webroot" doc:"Folder that a web server of yours shows for every name: http-01 answers are put below .well-known/acme-challenge in it, and no port is opened"`

	DNSPresent  []string   `json:"dns_present_script" doc:"Command that makes a TXT record; see the documentation for its environment"`
	DNSCleanup  []string   `json:"dns_cleanup_script" doc:"Command that removes it"`
	DNSUpdate   *DNSUpdate `json:"dns_update" doc:"Dynamic updates (RFC 2136) in place of commands"`
	DNSWait     int        `json:"dns_propagation_wait" doc:"How long, in seconds, the zone's name servers may take to show the record"`
	DNSServers  []string   `json:"dns_resolvers" doc:"Resolvers, address:port, to look up name servers with; the system's when empty"`
	DNSCheck    []string   `json:"dns_check_servers" doc:"Servers, address:port, at which the record has to be seen before the CA is told to look; the name servers of its zone when empty"`
	PersistName string     `json:"dns_persist_issuer_domain" doc:"The CA's name in a dns-persist-01 record, when it offers several; its first when empty"`

	Profile        string `json:"profile" doc:"The CA's profile, such as shortlived; its default when empty"`
	PreferredChain string `json:"preferred_chain" doc:"Common name of the root or of the topmost certificate of the chain that is wanted, where the CA offers several"`
	ARIEnabled     bool   `json:"ari_enabled" doc:"Ask the CA when to renew (RFC 9773)"`
	ARITimeout     int    `json:"ari_http_timeout_seconds" doc:"How long that may take, in seconds"`
}

// DNSUpdate says where and how dynamic updates are sent.
type DNSUpdate struct {
	Server    string        `json:"server" doc:"The zone's primary server, address:port" required:"true"`
	Zone      string        `json:"zone" doc:"The zone; found by SOA when empty"`
	TSIGName  string        `json:"tsig_name" doc:"Name of the TSIG key (RFC 8945)"`
	TSIGKey   secret.String `json:"tsig_key" doc:"The key, base64"`
	Algorithm string        `json:"tsig_algorithm" doc:"Its algorithm" enum:"hmac-sha256,hmac-sha384,hmac-sha512"`
}

const (
	http01      = "http-01"
	tlsALPN01   = "tls-alpn-01"
	dns01       = "dns-01"
	dnsPersist1 = "dns-persist-01"
)

func defaults() Config {
	return Config{ChallengeType: http01, HTTPPort: 80, TLSPort: 443, DNSWait: 120, ARIEnabled: true, ARITimeout: 15}
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() []connector.Problem {
	var problems []connector.Problem
	bad := func(field, format string, a ...any) {
		problems = append(problems, connector.Problem{Field: field, Message: fmt.Sprintf(format, a...)})
	}
	if u, err := url.Parse(c.DirectoryURL); c.DirectoryURL != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		bad("directory_url", "must be an https URL (RFC 8555 section 6.1), such as https://acme-v02.api.letsencrypt.org/directory")
	}
	if c.Email != "" && (strings.Count(c.Email, "@") != 1 || strings.ContainsAny(c.Email, " <>,?") || strings.HasPrefix(c.Email, "mailto:")) {
		bad("email", "must be one plain address")
	}
	if (c.EABKid == "") != c.EABHMAC.IsZero() {
		bad("eab_hmac", "goes together with eab_kid: set both or neither")
	}
	if _, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(c.EABHMAC.Reveal(), "=")); err != nil {
		bad("eab_hmac", "must be base64url, as the CA shows it")
	}
	for field, port := range map[string]int{"http_port": c.HTTPPort, "tls_port": c.TLSPort} {
		if port < 1 || port > 65535 {
			bad(field, "must be 1 to 65535")
		}
	}
	if c.Webroot != "" && !filepath.IsAbs(c.Webroot) {
		bad("webroot", "must be an absolute path")
	}
	if c.Webroot != "" && c.ChallengeType != http01 {
		bad("webroot", "is for challenge_type http-01")
	}
	if c.DNSWait < 1 || c.DNSWait > 3600 {
		bad("dns_propagation_wait", "must be 1 to 3600")
	}
	if c.ARITimeout < 1 || c.ARITimeout > 300 {
		bad("ari_http_timeout_seconds", "must be 1 to 300")
	}
	return append(problems, c.dnsProblems()...)
}

func (c Config) dnsProblems() (problems []connector.Problem) {
	bad := func(field, format string, a ...any) {
		problems = append(problems, connector.Problem{Field: field, Message: fmt.Sprintf(format, a...)})
	}
	for field, argv := range map[string][]string{"dns_present_script": c.DNSPresent, "dns_cleanup_script": c.DNSCleanup} {
		if len(argv) > 0 && !filepath.IsAbs(argv[0]) {
			bad(field, "must begin with the absolute path of a program; each argument is an element of the list")
		}
	}
	for field, list := range map[string][]string{"dns_resolvers": c.DNSServers, "dns_check_servers": c.DNSCheck} {
		for n, s := range list {
			if !hostPort(s) {
				bad(fmt.Sprintf("%s[%d]", field, n), "must be address:port, such as 192.0.2.1:53")
			}
		}
	}
	if u := c.DNSUpdate; u != nil {
		if u.Server != "" && !hostPort(u.Server) {
			bad("dns_update.server", "must be address:port, such as 192.0.2.1:53")
		}
		if (u.TSIGName == "") != u.TSIGKey.IsZero() {
			bad("dns_update.tsig_key", "goes together with tsig_name: set both or neither")
		}
		if _, err := base64.StdEncoding.DecodeString(u.TSIGKey.Reveal()); err != nil {
			bad("dns_update.tsig_key", "must be base64, as in the name server's configuration")
		}
		if len(c.DNSPresent) > 0 {
			bad("dns_update", "does what dns_present_script does: set one of them")
		}
	}
	if c.usesDNS() && c.DNSUpdate == nil && len(c.DNSPresent) == 0 {
		bad("dns_present_script", "is needed for %s, or dns_update", c.ChallengeType)
	}
	return problems
}

func (c Config) usesDNS() bool { return c.ChallengeType == dns01 || c.ChallengeType == dnsPersist1 }

// Kind defines the connector.
func Kind() connector.Kind[issuer.Issuer] {
	return connector.Define("acme", "ACME (Let's Encrypt, ZeroSSL, …)", defaults, Open)
}
