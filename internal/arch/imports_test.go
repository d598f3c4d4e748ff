package arch

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A pkg is what `go list -json` tells about one package.
type pkg struct {
	ImportPath string
	Name       string
	Doc        string
	Standard   bool
	GoFiles    []string
	CgoFiles   []string
	Imports    []string
	Deps       []string
	Error      *struct{ Err string }
	DepsErrors []struct{ Err string }
}

// ours is the path below the module, and whether the package is of the module.
func ours(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// matches tells whether a path below the module matches a pattern of the table,
// and how much of the path the pattern spells out.
func matches(pattern, path string) (own string, ok bool) {
	pattern, deep := strings.CutSuffix(pattern, "/...")
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(have) < len(want) || len(have) > len(want) && !deep {
		return "", false
	}
	for i, w := range want {
		if w != "*" && w != have[i] {
			return "", false
		}
	}
	return strings.Join(have[:len(want)], "/"), true
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { _, ok := matches(p, path); return ok })
}

// under tells whether an import path is one of the prefixes or below it.
func under(prefixes []string, importPath string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool {
		return importPath == p || strings.HasPrefix(importPath, p+"/")
	})
}

// checkArrows reports every import between packages of the module that the
// table does not allow.
func checkArrows(pkgs []pkg, table []room) []string {
	var found []string
	for _, p := range pkgs {
		from, ok := ours(p.ImportPath)
		if !ok {
			continue
		}
		row, own, ok := rowOf(table, from)
		if !ok {
			found = append(found, fmt.Sprintf("%s: no row in the table of directions; give it one", from))
			continue
		}
		for _, imp := range p.Imports {
			to, ok := ours(imp)
			if ok && !allowed(row, own, to) {
				found = append(found, fmt.Sprintf("%s imports %s; its row %q may import only %s",
					from, to, row.pkg, strings.Join(row.may, " ")))
			}
		}
	}
	return found
}

func rowOf(table []room, path string) (row room, own string, ok bool) {
	for _, r := range table {
		if own, ok := matches(r.pkg, path); ok {
			return r, own, true
		}
	}
	return room{}, "", false
}

// allowed reads a row for a package whose room is own. Neither "issuer/..." nor
// one's own room stands for the list of all kinds or for a package of tests: who
// may import those has them by name.
func allowed(row room, own, to string) bool {
	switch {
	case to == own:
		return true
	case slices.Contains(kinds, to):
		return slices.Contains(row.may, to)
	case matchesAny(testRooms, to):
		return slices.Contains(row.may, to) || matchesAny(testRooms, own)
	case strings.HasSuffix(row.pkg, "/...") && strings.HasPrefix(to, own+"/"):
		return true
	}
	return matchesAny(row.may, to)
}

// checkVendors reports third-party packages imported outside their home, and
// databases that come along with a package that shall not need one.
func checkVendors(pkgs []pkg) []string {
	var found []string
	for _, p := range pkgs {
		from, ok := ours(p.ImportPath)
		if !ok {
			continue
		}
		for _, imp := range p.Imports {
			for _, v := range vendors {
				if under(v.packages, imp) && !matchesAny(v.home, from) && !matchesAny(testRooms, from) && !matchesAny([]string{"examples/..."}, from) {
					found = append(found, fmt.Sprintf("%s imports %s, whose home is %s", from, imp, strings.Join(v.home, " ")))
				}
			}
		}
		for _, dep := range p.Deps {
			if under(databases, dep) && !matchesAny(databaseRooms, from) {
				found = append(found, fmt.Sprintf("%s links the database package %s", from, dep))
			}
		}
	}
	return found
}

// checkStandardOnly reports third-party packages that the packages of
// standardOnly bring along. standard says what belongs to the Go distribution.
func checkStandardOnly(pkgs []pkg, standard map[string]bool) []string {
	var found []string
	for _, p := range pkgs {
		from, ok := ours(p.ImportPath)
		if !ok || !slices.Contains(standardOnly, from) {
			continue
		}
		for _, dep := range p.Deps {
			if path, ok := ours(dep); standard[dep] || ok && slices.Contains(standardOnly, path) {
				continue
			}
			found = append(found, fmt.Sprintf("%s needs %s; it is to need the standard library alone", from, dep))
		}
	}
	return found
}

// checkTestImports reports what is for tests in packages that are not.
func checkTestImports(pkgs []pkg) []string {
	var found []string
	for _, p := range pkgs {
		from, ok := ours(p.ImportPath)
		if !ok || matchesAny(testRooms, from) {
			continue
		}
		for _, imp := range p.Imports {
			if under(testImports, imp) {
				found = append(found, fmt.Sprintf("%s imports %s outside its tests", from, imp))
			}
		}
		if p.Name == "main" && slices.Contains(p.Deps, "testing") {
			found = append(found, fmt.Sprintf("%s links testing", from))
		}
	}
	return found
}

// checkPackageComments reports packages that do not say what they are for.
func checkPackageComments(pkgs []pkg) []string {
	var found []string
	for _, p := range pkgs {
		if from, ok := ours(p.ImportPath); ok && p.Doc == "" && len(p.GoFiles)+len(p.CgoFiles) > 0 {
			found = append(found, from+": no package comment")
		}
	}
	return found
}

func TestImports(t *testing.T) {
	for _, platform := range []string{"linux", "darwin", "windows"} {
		t.Run(platform, func(t *testing.T) {
			pkgs := list(t, platform)
			standard := make(map[string]bool)
			own := 0
			for _, p := range pkgs {
				standard[p.ImportPath] = p.Standard
				if _, ok := ours(p.ImportPath); ok {
					own++
					if p.Error != nil {
						t.Errorf("%s: %s", p.ImportPath, p.Error.Err)
					}
				}
			}
			if own < 5 || !standard["fmt"] {
				t.Fatalf("go list told of %d packages of ours and fmt standard=%v; the test sees too little", own, standard["fmt"])
			}
			report(t, checkArrows(pkgs, rooms))
			report(t, checkVendors(pkgs))
			report(t, checkStandardOnly(pkgs, standard))
			report(t, checkTestImports(pkgs))
			report(t, checkPackageComments(pkgs))
		})
	}
}

func report(t *testing.T, found []string) {
	t.Helper()
	for _, f := range found {
		t.Error(f)
	}
}
