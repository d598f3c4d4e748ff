package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A ban names functions and variables of a package that libraries do not use,
// neither called nor as values.
type ban struct {
	pkg   string
	names []string // a trailing "*" stands for any ending
	why   string
}

var (
	ambient = []ban{
		{"time", []string{"Now", "Since", "Until"}, "the time comes in as Now func() time.Time"},
		{"os", []string{"Exit"}, "a library returns errors"},
		{"os", []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Unsetenv", "Clearenv", "UserHomeDir", "UserConfigDir", "UserCacheDir"}, "the environment is read in cmd and comes in as Config"},
		{"syscall", []string{"Getenv", "Environ", "Exit"}, "the environment is read in cmd and comes in as Config"},
		{"os", []string{"Stdin", "Stdout", "Stderr", "Args"}, "readers and writers come in"},
		{"fmt", []string{"Print*", "Scan", "Scanf", "Scanln"}, "a library prints nothing; writers come in"},
		{"log", []string{"Print*", "Fatal*", "Panic*", "Output", "Default", "SetOutput", "SetFlags", "SetPrefix", "Writer"}, "a *slog.Logger comes in"},
		{"log/slog", []string{"Default", "SetDefault", "Debug*", "Info", "InfoContext", "Warn*", "Error", "ErrorContext", "Log", "LogAttrs", "With"}, "a *slog.Logger comes in"},
		{"net/http", []string{"DefaultClient", "DefaultServeMux", "Get", "Head", "Post", "PostForm", "Handle", "HandleFunc", "ListenAndServe*"}, "clients dial through certctl/egress and have deadlines; muxes are made"},
		{"flag", []string{"*"}, "flags are read in cmd"},
	}
	sleep = []ban{{"time", []string{"Sleep"}, "wait for a condition with a deadline; time passes by itself only in a synctest bubble"}}

	// ambientRooms wire things together or are tests.
	ambientRooms = with(testRooms, "cmd/...", "examples/...", "internal/...")
)

// checkCalls reports what a Go file of the given path below the root uses that
// it must not.
func checkCalls(name string, src []byte) ([]string, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	isTest := strings.HasSuffix(name, "_test.go")
	bans := sleep
	if !isTest && !matchesAny(ambientRooms, path.Dir(name)) {
		bans = append(slices.Clone(bans), ambient...)
	}

	var found []string
	add := func(n ast.Node, format string, args ...any) {
		found = append(found, fmt.Sprintf("%s: %s", fset.Position(n.Pos()), fmt.Sprintf(format, args...)))
	}
	imports := importNames(file)
	if spec, ok := imports["."]; ok {
		add(file, "dot import of %s hides what is called", spec)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && !isTest && id.Obj == nil && (id.Name == "print" || id.Name == "println") {
				add(n, "builtin %s", id.Name)
			}
			if pkg, fn := qualified(imports, n.Fun); pkg == "testing/synctest" && fn == "Test" {
				return false
			}
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" && !isTest && !ast.IsGenerated(file) {
				add(n, "func init: nothing registers or runs by being imported")
			}
		case *ast.SelectorExpr:
			if pkg, fn := qualified(imports, n); pkg != "" {
				if why, bad := banned(bans, pkg, fn); bad {
					add(n, "%s.%s: %s", pkg, fn, why)
				}
			}
		}
		return true
	})
	return found, nil
}

// importNames maps the name under which a file knows a package to its path.
func importNames(file *ast.File) map[string]string {
	names := make(map[string]string)
	for _, spec := range file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = p
	}
	return names
}

// qualified resolves pkg.Name; a local variable of the package's name has an
// object and is none.
func qualified(imports map[string]string, e ast.Expr) (pkg, name string) {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	id, ok := sel.X.(*ast.Ident)
	if !ok || id.Obj != nil {
		return "", ""
	}
	return imports[id.Name], sel.Sel.Name
}

func banned(bans []ban, pkg, name string) (why string, bad bool) {
	for _, b := range bans {
		if b.pkg != pkg {
			continue
		}
		for _, n := range b.names {
			if prefix, open := strings.CutSuffix(n, "*"); n == name || open && strings.HasPrefix(name, prefix) {
				return b.why, true
			}
		}
	}
	return "", false
}

func TestCalls(t *testing.T) {
	eachGoFile(t, func(path string, src []byte) {
		found, err := checkCalls(path, src)
		if err != nil {
			t.Error(err)
		}
		report(t, found)
	})
}
