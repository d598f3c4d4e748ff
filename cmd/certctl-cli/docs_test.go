package main

import (
	"testing"

	"github.com/certctl/certctl/certctl/cli"
	"github.com/certctl/certctl/internal/flagdoctest"
)

func TestConfigurationDoc(t *testing.T) {
	flagdoctest.Check(t, "../../docs/configuration.md", "certctl-cli", flagdoctest.Table(cli.New(cli.Options{}).Flags))
}
