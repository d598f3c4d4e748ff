package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/certctl/certctl/certctl/chain"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	var roots []string
	for range 2 { // the second time finds the CA that the first made
		var out bytes.Buffer
		if err := run(t.Context(), dir, &out); err != nil {
			t.Fatal(err)
		}
		certs, err := chain.Certificates(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if err := chain.Verify(certs[0], nil, certs[1:], []string{"localhost"}, time.Now()); err != nil {
			t.Error(err)
		}
		roots = append(roots, chain.Fingerprint(certs[1]))
	}
	if roots[0] != roots[1] {
		t.Error("the second run made another CA")
	}
}
