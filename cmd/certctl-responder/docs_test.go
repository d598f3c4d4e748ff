package main

import (
	"testing"

	"github.com/certctl/certctl/internal/flagdoctest"
)

func TestConfigurationDoc(t *testing.T) {
	flagdoctest.Check(t, "../../docs/configuration.md", "certctl-responder store", flagdoctest.Table(storeFlags()))
	flagdoctest.Check(t, "../../docs/configuration.md", "certctl-responder crl", flagdoctest.Table(crlFlags()))
}
