package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/certctl/certctl/issuer/all"
	"github.com/urfave/cli/v2"

	"github.com/certctl/certctl/certctl/server"
)

// parse reads options as the server does.
func parse(t *testing.T) (server.Options, error) {
	t.Helper()
	var o server.Options
	app := &cli.App{Flags: serverFlags(), Action: func(c *cli.Context) (err error) {
		o, err = options(c)
		return err
	}}
	err := app.Run([]string{"certctl-server"})
	return o, err
}

// TestSeeds: the environment names issuers, whose configurations their kinds
// take; each mistake names its variable.
func TestSeeds(t *testing.T) {
	for name, value := range map[string]string{
		"ACME_DIRECTORY_URL": "https://acme.example.com/dir", "ACME_CHALLENGE_TYPE": "dns-01", "ACME_DNS_PRESENT_SCRIPT": "/opt/dns add",
		"ACME_DNS_CLEANUP_SCRIPT": `["/opt/dns", "a b"]`, "ACME_DNS_PROPAGATION_WAIT": "2m", "ACME_ARI_ENABLED": "false",
		"STEPCA_URL": "https://ca.example.com", "STEPCA_PROVISIONER_NAME": "admin", "STEPCA_PROVISIONER_PASSWORD": "pw",
		"OPENSSL_SIGN_SCRIPT": "/opt/sign", "OPENSSL_TIMEOUT_SECONDS": "45",
	} {
		t.Setenv("CERTCTL_"+name, value)
	}
	o, err := parse(t)
	if err != nil || len(o.Seeds) != 3 {
		t.Fatalf("%+v, %v", o.Seeds, err)
	}
	for _, in := range o.Seeds {
		for _, k := range all.Kinds() {
			if k.Name() == in.Type {
				if err := k.Check(in.Config); err != nil {
					t.Errorf("%s: %v", in.ID, err)
				}
			}
		}
	}
	var c struct {
		Present []string `json:"dns_present_script"`
		Cleanup []string `json:"dns_cleanup_script"`
		Wait    int      `json:"dns_propagation_wait"`
		ARI     *bool    `json:"ari_enabled"`
	}
	if err := json.Unmarshal(o.Seeds[0].Config, &c); err != nil || len(c.Present) != 2 || len(c.Cleanup) != 2 || c.Wait != 120 || c.ARI == nil || *c.ARI {
		t.Errorf("%s: %+v, %v", o.Seeds[0].Config, c, err)
	}
	for name, value := range map[string]string{"ACME_ARI_ENABLED": "perhaps", "ACME_DNS_PROPAGATION_WAIT": "soon", "OPENSSL_SIGN_SCRIPT": "[1]", "OUTBOUND_ALLOW": "here"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CERTCTL_"+name, value)
			if _, err := parse(t); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), "CERTCTL_"+name) {
				t.Errorf("%v", err)
			}
		})
	}
}
