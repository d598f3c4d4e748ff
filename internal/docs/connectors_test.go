package docs_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	issuers "github.com/certctl/certctl/issuer/all"
	targets "github.com/certctl/certctl/target/all"
)

// schema is what tables of fields need of a JSON schema.
type schema struct {
	Type        string            `json:"type"`
	Description string            `json:"description"`
	Default     json.RawMessage   `json:"default"`
	Enum        []string          `json:"enum"`
	Required    []string          `json:"required"`
	WriteOnly   bool              `json:"writeOnly"`
	Items       *schema           `json:"items"`
	Properties  map[string]schema `json:"properties"`
}

// fields renders the properties of an object as rows, those that are required
// first, and those of objects in lists below their list.
func (s schema) fields(b *strings.Builder, prefix string) {
	names := slices.Sorted(maps.Keys(s.Properties))
	slices.SortStableFunc(names, func(x, y string) int {
		return rank(s.Required, x) - rank(s.Required, y)
	})
	for _, name := range names {
		p := s.Properties[name]
		def := ""
		switch {
		case slices.Contains(s.Required, name):
			def = "required"
		case len(p.Default) > 0:
			def = "`" + string(p.Default) + "`"
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", prefix, name, p.kind(), def, p.text())
		if p.Items != nil {
			p.Items.fields(b, prefix+name+"[].")
		}
	}
}

func rank(required []string, name string) int {
	if slices.Contains(required, name) {
		return 0
	}
	return 1
}

func (s schema) kind() string {
	switch {
	case s.WriteOnly:
		return "secret"
	case s.Type == "array" && s.Items != nil:
		return "list of " + s.Items.kind()
	case s.Type == "":
		return "list of string, or string"
	}
	return s.Type
}

func (s schema) text() string {
	text := strings.ReplaceAll(s.Description, "|", `\|`)
	if len(s.Enum) > 0 {
		text += ": " + strings.Join(s.Enum, ", ")
	}
	return text
}

func table(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var s schema
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Properties) == 0 {
		t.Fatalf("a schema without properties: %s", raw)
	}
	var b strings.Builder
	b.WriteString("| Field | Type | Default | Meaning |\n|---|---|---|---|\n")
	s.fields(&b, "")
	return b.String()
}

const connectorsPage = "docs/connectors.md"

func TestConnectorTables(t *testing.T) {
	n := 0
	for _, k := range issuers.Kinds() {
		n++
		section(t, connectorsPage, "issuer "+k.Name(), table(t, k.Schema()))
	}
	for _, k := range targets.Kinds() {
		n++
		section(t, connectorsPage, "target "+k.Name(), table(t, k.Schema()))
	}
	if n < 3 {
		t.Fatalf("saw %d kinds", n)
	}
	if got := strings.Count(read(t, connectorsPage), "<!-- end -->"); got != n {
		t.Errorf("%s has %d tables of %d kinds", connectorsPage, got, n)
	}
}

func TestFieldRows(t *testing.T) {
	const raw = `{"type":"object","required":["b"],"properties":{
		"a":{"type":"integer","default":3,"description":"x|y"},
		"b":{"type":"string","enum":["p","q"],"description":"B"},
		"c":{"type":"array","items":{"type":"object","properties":{"d":{"writeOnly":true,"type":"string"}}}}}}`
	const want = "| Field | Type | Default | Meaning |\n|---|---|---|---|\n" +
		"| `b` | string | required | B: p, q |\n" +
		"| `a` | integer | `3` | x\\|y |\n" +
		"| `c` | list of object |  |  |\n" +
		"| `c[].d` | secret |  |  |\n"
	if got := table(t, json.RawMessage(raw)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
