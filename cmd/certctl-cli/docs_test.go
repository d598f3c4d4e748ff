package main

import (
	"testing"

	"github.com/certctl/certctl/certctl/cli"
	"github.com/certctl/certctl/internal/flagdoc"
)

func TestConfigurationDoc(t *testing.T) {
	flagdoc.Check(t, "../../docs/configuration.md", "certctl-cli", flagdoc.Table(cli.New(cli.Options{}).Flags))
}
