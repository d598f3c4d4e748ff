// Package flagdoctest keeps the tables of docs/configuration.md equal to the flags
// of the programs. It is for their tests.
package flagdoctest

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

var update = flag.Bool("update", false, "write the tables instead of comparing them")

// Table renders flags as Markdown.
func Table(flags []cli.Flag) string {
	var b strings.Builder
	b.WriteString("| Flag | Environment | Default | Meaning |\n|---|---|---|---|\n")
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		names := make([]string, 0, len(f.Names()))
		for _, n := range f.Names() {
			names = append(names, "`--"+n+"`")
		}
		env := make([]string, 0, len(d.GetEnvVars()))
		for _, e := range d.GetEnvVars() {
			env = append(env, "`"+e+"`")
		}
		def := strings.Trim(d.GetDefaultText(), `"`)
		if !d.TakesValue() {
			def = d.GetValue()
		}
		usage := strings.ReplaceAll(strings.ReplaceAll(d.GetUsage(), "`", ""), "|", `\|`)
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", strings.Join(names, ", "), strings.Join(env, ", "), def, usage)
	}
	return b.String()
}

// Check compares a table with the part of a file between "<!-- name -->" and
// "<!-- end -->", or writes it with -update.
func Check(t *testing.T, file, name, table string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begin := "<!-- " + name + " -->\n"
	head, rest, ok := strings.Cut(string(text), begin)
	if !ok {
		t.Fatalf("%s has no line %q", file, strings.TrimSpace(begin))
	}
	old, tail, ok := strings.Cut(rest, "<!-- end -->")
	if !ok {
		t.Fatalf("%s has no end after %q", file, strings.TrimSpace(begin))
	}
	if *update {
		if err := os.WriteFile(file, []byte(head+begin+table+"<!-- end -->"+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != table {
		t.Errorf("%s is stale; run: go test ./cmd/... -run TestConfigurationDoc -update", file)
	}
}
