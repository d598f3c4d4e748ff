// Package docs_test keeps README.md and docs/ true: links lead somewhere, tables
// are those of the code, code compiles, variables exist.
package docs_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

var update = flag.Bool("update", false, "write generated tables instead of comparing them")

// pages are the documents that users and maintainers read, by their path below root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, name := range append(names, filepath.Join(root, "README.md"), filepath.Join(root, "CHANGELOG.md")) {
		rel, err := filepath.Rel(root, name)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.ToSlash(rel)] = read(t, rel)
	}
	if len(found) < 5 {
		t.Fatalf("found only %d pages", len(found))
	}
	return found
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	fence   = regexp.MustCompile("(?m:^)```(?s:.*?)\n```")
	inline  = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notSlug = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// prose is a page without its code.
func prose(page string) string { return fence.ReplaceAllString(page, "") }

// anchors are the fragments that headings of a page can be linked to by.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(prose(page), -1) {
		slug := notSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		found[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return found
}

// brokenLinks lists the links of a page, which lies at name, that lead nowhere.
// exists and anchor tell what there is.
func brokenLinks(name, page string, exists func(string) bool, anchor func(file, fragment string) bool) []string {
	var broken []string
	for _, m := range link.FindAllStringSubmatch(inline.ReplaceAllString(prose(page), ""), -1) {
		if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
			continue
		}
		file, fragment, _ := strings.Cut(m[1], "#")
		to := name
		if file != "" {
			to = filepath.ToSlash(filepath.Join(filepath.Dir(name), file))
		}
		if !exists(to) || fragment != "" && !anchor(to, fragment) {
			broken = append(broken, m[1])
		}
	}
	return broken
}

func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	links := 0
	for name, page := range all {
		links += len(link.FindAllString(page, -1))
		broken := brokenLinks(name, page,
			func(file string) bool { _, err := os.Stat(filepath.Join(root, file)); return err == nil },
			func(file, fragment string) bool { return anchors(all[file])[fragment] })
		for _, to := range broken {
			t.Errorf("%s: the link to %s leads nowhere", name, to)
		}
	}
	if links < 10 {
		t.Fatalf("saw only %d links", links)
	}
}

func TestBrokenLinksAreFound(t *testing.T) {
	const page = "# A b\n[x](b.md) [y](c.md) [z](#a-b) [w](#c) [v](b.md#d) `[u](e.md)`\n```\n[t](f.md)\n```\n[s](https://example.com/)\n"
	got := brokenLinks("docs/a.md", page,
		func(file string) bool { return file == "docs/b.md" || file == "docs/a.md" },
		func(file, fragment string) bool { return file == "docs/a.md" && anchors(page)[fragment] })
	if want := "c.md #c b.md#d"; strings.Join(got, " ") != want {
		t.Errorf("broken links %q, want %q", got, want)
	}
}

// Every page is reached from the README, so that none is forgotten.
func TestEveryPageIsListed(t *testing.T) {
	readme := read(t, "README.md")
	for name := range pages(t) {
		if strings.HasPrefix(name, "docs/") && !strings.Contains(readme, "("+name+")") {
			t.Errorf("README.md does not link to %s", name)
		}
	}
}

// section is the part of a page between "<!-- name -->" and "<!-- end -->". With
// -update it is replaced by want first.
func section(t *testing.T, file, name, want string) {
	t.Helper()
	page := read(t, file)
	begin := "<!-- " + name + " -->\n"
	head, rest, ok := strings.Cut(page, begin)
	if !ok {
		t.Fatalf("%s has no line %q", file, strings.TrimSpace(begin))
	}
	old, tail, ok := strings.Cut(rest, "<!-- end -->")
	if !ok {
		t.Fatalf("%s has no end after %q", file, strings.TrimSpace(begin))
	}
	if old == want {
		return
	}
	if !*update {
		t.Errorf("%s, %s is stale; run: go test ./internal/docs -update\nis:\n%s\nwant:\n%s", file, name, old, want)
		return
	}
	if err := os.WriteFile(filepath.Join(root, file), []byte(head+begin+want+"<!-- end -->"+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
