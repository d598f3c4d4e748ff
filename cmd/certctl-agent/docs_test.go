package main

import (
	"io"
	"testing"

	"github.com/certctl/certctl/internal/flagdoctest"
)

func TestConfigurationDoc(t *testing.T) {
	flagdoctest.Check(t, "../../docs/configuration.md", "certctl-agent", flagdoctest.Table(app(io.Discard, io.Discard).Flags))
}
