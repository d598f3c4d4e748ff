package main

import (
	"testing"

	"github.com/certctl/certctl/internal/flagdoc"
)

func TestConfigurationDoc(t *testing.T) {
	flagdoc.Check(t, "../../docs/configuration.md", "certctl-server", flagdoc.Table(serverFlags()))
}
