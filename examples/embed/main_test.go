package main

import (
	"bytes"
	"testing"

	"github.com/certctl/certctl/certctl/chain"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), t.TempDir(), &out); err != nil {
		t.Fatal(err)
	}
	certs, err := chain.Certificates(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := certs[0].VerifyHostname("embed.example.com"); err != nil {
		t.Error(err)
	}
}
