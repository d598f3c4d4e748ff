package arch

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// direct is a line of go.mod that requires a module which we import ourselves.
var direct = regexp.MustCompile(`(?m)^\t(\S+) (v\S+)$`)

// checkDependencies reports modules of go.mod that the document does not name,
// or names without their version.
func checkDependencies(gomod, doc string) []string {
	var found []string
	for _, m := range direct.FindAllStringSubmatch(gomod, -1) {
		// bun's dialects stand in bun's row, by their last element.
		name := m[1]
		if i := strings.Index(name, "/dialect/"); i > 0 {
			name = name[:i]
		}
		named := false
		for row := range strings.Lines(doc) {
			if strings.HasPrefix(row, "| `"+name+"`") {
				named = true
				if !strings.Contains(row, " "+m[2]+" ") {
					found = append(found, fmt.Sprintf("docs/dependencies.md: %s is at %s", m[1], m[2]))
				}
			}
		}
		if !named {
			found = append(found, fmt.Sprintf("docs/dependencies.md: no row for %s %s", m[1], m[2]))
		}
	}
	return found
}

func TestDependenciesAreDocumented(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	gomod := read("go.mod")
	if !direct.MatchString(gomod) {
		t.Fatal("go.mod requires nothing; the test sees too little")
	}
	report(t, checkDependencies(gomod, read("docs/dependencies.md")))
}

func TestDependencyRuleReports(t *testing.T) {
	const gomod = "require (\n\texample.org/a v1.2.3\n\texample.org/b v1.0.0 // indirect\n)\n"
	for doc, wants := range map[string]int{
		"| `example.org/a` | v1.2.3 | x |": 0,
		"| `example.org/a` | v1.2.2 | x |": 1,
		"| `example.org/c` | v1.2.3 | x |": 1,
	} {
		if found := checkDependencies(gomod, doc); len(found) != wants {
			t.Errorf("%q: found %q, want %d findings", doc, found, wants)
		}
	}
}
