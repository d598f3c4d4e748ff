package rest_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/certctl/certctl/certctl/server/rest"
)

var update = flag.Bool("update", false, "write the OpenAPI documents anew")

// TestOpenAPI keeps the committed documents and the code the same. After a
// change of the API: go test ./certctl/server/rest -run TestOpenAPI -update
func TestOpenAPI(t *testing.T) {
	documents, err := rest.Documents()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"openapi.yaml", "openapi-3.0.yaml"} {
		file := filepath.Join("..", "..", "api", name)
		want := documents["/"+name]
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is stale; run go test ./certctl/server/rest -run TestOpenAPI -update", file)
		}
	}
}
