package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

type operation struct {
	Summary    string `yaml:"summary"`
	Role       string `yaml:"x-certctl-role"`
	Parameters []struct {
		Name string `yaml:"name"`
		In   string `yaml:"in"`
	} `yaml:"parameters"`
}

// methods in the order of a life.
var methods = []string{"get", "post", "put", "patch", "delete"}

func operations(t *testing.T, document string) string {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]operation `yaml:"paths"`
	}
	if err := yaml.Unmarshal([]byte(document), &doc); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| Operation | Role | Once | Does |\n|---|---|---|---|\n")
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for method := range doc.Paths[path] {
			if !slices.Contains(methods, method) {
				t.Errorf("%s: the table does not know the method %q", path, method)
			}
		}
		for _, method := range methods {
			o, ok := doc.Paths[path][method]
			if !ok {
				continue
			}
			once := ""
			for _, p := range o.Parameters {
				if p.In == "header" && p.Name == "Idempotency-Key" {
					once = "yes"
				}
			}
			fmt.Fprintf(&b, "| `%s %s` | %s | %s | %s |\n", strings.ToUpper(method), path, o.Role, once, o.Summary)
		}
	}
	return b.String()
}

func TestOperationsTable(t *testing.T) {
	want := operations(t, read(t, "certctl/api/openapi.yaml"))
	if n := strings.Count(want, "\n"); n < 60 {
		t.Fatalf("saw only %d operations", n)
	}
	section(t, "docs/api.md", "operations", want)
}

// codes renders the constants Code… of a file, whose comments say their status
// and meaning.
func codes(t *testing.T, file string) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| Code | Status and meaning |\n|---|---|\n")
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Names) != 1 || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "Code") {
			return true
		}
		lit, ok := v.Values[0].(*ast.BasicLit)
		if !ok {
			t.Errorf("%s is no literal", v.Names[0].Name)
			return true
		}
		code, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", code, strings.TrimSpace(v.Comment.Text()))
		return true
	})
	return b.String()
}

func TestProblemCodes(t *testing.T) {
	want := codes(t, filepath.Join(root, "certctl", "api", "problem.go"))
	if n := strings.Count(want, "\n"); n < 15 {
		t.Fatalf("saw only %d codes", n)
	}
	section(t, "docs/api.md", "problem codes", want)
}
