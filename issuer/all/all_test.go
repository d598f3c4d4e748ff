package all_test

import (
	"encoding/json"
	"testing"

	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/issuer/all"
)

// TestKinds: the list makes a registry, every kind says what it is, and the
// inventory's names are known.
func TestKinds(t *testing.T) {
	r, err := connector.NewRegistry(all.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"acme", "OpenSSL", "local", "GenericCA", "stepca", "StepCA"} {
		if _, ok := r.Kind(name); !ok {
			t.Errorf("no kind %s", name)
		}
	}
	for _, k := range r.Kinds() {
		var schema struct {
			Properties map[string]struct{ Description string }
		}
		if err := json.Unmarshal(k.Schema(), &schema); err != nil || k.Title() == "" {
			t.Errorf("%s: title %q, schema %v", k.Name(), k.Title(), err)
		}
		for name, p := range schema.Properties {
			if p.Description == "" {
				t.Errorf("%s.%s has no doc", k.Name(), name)
			}
		}
	}
}
