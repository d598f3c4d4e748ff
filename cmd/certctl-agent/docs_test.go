package main

import (
	"io"
	"testing"

	"github.com/certctl/certctl/internal/flagdoc"
)

func TestConfigurationDoc(t *testing.T) {
	flagdoc.Check(t, "../../docs/configuration.md", "certctl-agent", flagdoc.Table(app(io.Discard, io.Discard).Flags))
}
