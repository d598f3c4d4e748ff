package arch

import (
	"strings"
	"testing"
)

// The rules are code too: here each one meets what it must report, and what it
// must let pass.

func graph(from string, imports ...string) []pkg {
	return []pkg{{ImportPath: module + "/" + from, Name: "x", Doc: "x", GoFiles: []string{"x.go"}, Imports: imports, Deps: imports}}
}

func TestArrowsReportWrongOnes(t *testing.T) {
	tests := []struct{ from, to string }{
		{"issuer/vault", "certctl"},
		{"issuer/vault", "store"},
		{"issuer/vault", "certctl/engine"},
		{"issuer/vault", "issuer/acme"},
		{"issuer/vault", "issuer/all"},
		{"issuer/vault", "issuer/issuertest"},
		{"issuer/vault", "target"},
		{"target/nginx", "certctl"},
		{"target/nginx", "target/apache"},
		{"target/nginx", "revocation"},
		{"notifier/smtp", "notifier/slack"},
		{"discovery/network", "certctl/client"},
		{"issuer", "issuer/local"},
		{"target", "target/files"},
		{"certctl", "certctl/engine"},
		{"certctl", "certctl/secret"},
		{"certctl/policy", "certctl/engine"},
		{"certctl/engine", "store"},
		{"certctl/engine", "issuer/local"},
		{"certctl/engine", "certctl/server"},
		{"certctl/engine", "certctl/api"},
		{"certctl/server", "store"},
		{"certctl/server", "issuer/all"},
		{"certctl/server/est", "certctl/engine"},
		{"certctl/server/est", "certctl/server/scep"},
		{"certctl/server/rest", "certctl/server"},
		{"certctl/agent", "certctl"},
		{"certctl/agent", "target/nginx"},
		{"certctl/agent", "target/all"},
		{"certctl/cli", "store"},
		{"certctl/client", "certctl"},
		{"certctl/client", "certctl/secret"},
		{"certctl/api", "certctl/keys"},
		{"certctl/keys", "certctl"},
		{"certctl/lint", "revocation"},
		{"store", "certctl/engine"},
		{"store", "store/storetest"},
		{"revocation", "certctl"},
		{"revocation/ocsp", "certctl"},
		{"revocation/ocsp", "revocation/revocationtest"},
		{"revocation/responder", "store"},
		{"cmd/certctl-agent", "store"},
		{"cmd/certctl-agent", "certctl/server"},
		{"cmd/certctl-cli", "certctl/engine"},
		{"cmd/certctl-server", "store/storetest"},
		{"cmd/certctl-server", "internal/peer"},
		{"examples/embed", "internal/peer"},
		{"examples/embed", "cmd/certctl-server"},
		{"certctl/a-new-one", "fmt"}, // no row
	}
	for _, tt := range tests {
		to := module + "/" + tt.to
		if found := checkArrows(graph(tt.from, to), rooms); len(found) != 1 {
			t.Errorf("%s imports %s: found %q, want one finding", tt.from, tt.to, found)
		}
	}
}

func TestArrowsLetRightOnesPass(t *testing.T) {
	tests := []struct{ from, to string }{
		{"issuer/vault", "issuer"},
		{"issuer/vault", "issuer/vault/internal/token"},
		{"issuer/vault/internal/token", "issuer/vault"},
		{"issuer/local", "certctl/lint"},
		{"issuer/local", "revocation"},
		{"issuer/all", "issuer/vault"},
		{"target/nginx", "target/files"},
		{"certctl/engine", "revocation/ocsp"},
		{"certctl/engine", "issuer"},
		{"certctl/server", "certctl/server/rest"},
		{"certctl/server/rest", "certctl/engine"},
		{"certctl/client", "certctl/api"},
		{"store", "migrations"},
		{"store/storetest", "internal/peer"},
		{"revocation/responder", "revocation/ocsp"},
		{"cmd/certctl-server", "issuer/all"},
		{"cmd/certctl-server", "store"},
		{"cmd/certctl-agent", "target/all"},
		{"examples/embed", "store"},
	}
	for _, tt := range tests {
		if found := checkArrows(graph(tt.from, module+"/"+tt.to, "fmt"), rooms); len(found) != 0 {
			t.Errorf("%s imports %s: found %q, want none", tt.from, tt.to, found)
		}
	}
}

func TestGraphRulesReport(t *testing.T) {
	standard := map[string]bool{"fmt": true, "testing": true}
	checks := map[string]func([]pkg) []string{
		"vendors":  checkVendors,
		"standard": func(p []pkg) []string { return checkStandardOnly(p, standard) },
		"tests":    checkTestImports,
		"comments": checkPackageComments,
	}
	tests := []struct {
		rule  string
		pkgs  []pkg
		wants int
	}{
		{"vendors", graph("issuer/local", "database/sql"), 2}, // outside its home, and linked
		{"vendors", []pkg{{ImportPath: module + "/issuer/local", Deps: []string{"modernc.org/sqlite/lib"}}}, 1},
		{"vendors", []pkg{{ImportPath: module + "/revocation/responder", Deps: []string{"github.com/jackc/pgx/v5"}}}, 1},
		{"vendors", []pkg{{ImportPath: module + "/certctl/server", Deps: []string{"github.com/uptrace/bun"}}}, 1},
		{"vendors", graph("certctl/policy", "github.com/zmap/zlint/v3"), 1},
		{"vendors", graph("certctl/engine", "github.com/danielgtaylor/huma/v2"), 1},
		{"vendors", graph("store", "github.com/uptrace/bun", "database/sql"), 0},
		{"vendors", graph("certctl/engine", "github.com/uptrace/bungalow"), 0},
		{"standard", graph("certctl/client", "golang.org/x/time/rate"), 1},
		{"standard", graph("certctl/api", module+"/certctl/secret"), 1},
		{"standard", graph("certctl/client", "fmt", module+"/certctl/api"), 0},
		{"tests", graph("certctl/engine", "testing"), 1},
		{"tests", graph("certctl/engine", "testing/fstest"), 1},
		{"tests", graph("certctl/engine", "net/http/httptest"), 1},
		{"tests", graph("target", "github.com/google/go-cmp/cmp"), 1},
		{"tests", []pkg{{ImportPath: module + "/cmd/x", Name: "main", Deps: []string{"testing"}}}, 1},
		{"tests", graph("target/targettest", "testing"), 0},
		{"comments", []pkg{{ImportPath: module + "/target", GoFiles: []string{"a.go"}}}, 1},
		{"comments", graph("target"), 0},
	}
	for _, tt := range tests {
		if found := checks[tt.rule](tt.pkgs); len(found) != tt.wants {
			t.Errorf("%s of %s: found %q, want %d findings", tt.rule, tt.pkgs[0].ImportPath, found, tt.wants)
		}
	}
}

func TestCallsReport(t *testing.T) {
	const library, binary, test = "certctl/engine/x.go", "cmd/certctl-server/x.go", "certctl/engine/x_test.go"
	tests := []struct {
		name, file, src string
		wants           string // part of the finding; empty: none
	}{
		{"clock", library, `import "time"; var _ = time.Now()`, "time.Now"},
		{"clock as a value", library, `import "time"; var now = time.Now`, "time.Now"},
		{"clock renamed", library, `import clock "time"; var _ = clock.Until`, "time.Until"},
		{"clock in a binary", binary, `import "time"; var _ = time.Now()`, ""},
		{"clock in a test", test, `import "time"; var _ = time.Now()`, ""},
		{"clock in a suite", "target/targettest/x.go", `import "time"; var _ = time.Now()`, ""},
		{"method of that name", library, `type c struct{}; func (c) Now() {}; func f() { var time c; time.Now() }`, ""},
		{"exit", library, `import "os"; func f() { os.Exit(1) }`, "os.Exit"},
		{"log.Fatal", library, `import "log"; func f() { log.Fatalf("x") }`, "log.Fatalf"},
		{"environment", library, `import "os"; var _ = os.Getenv("X")`, "os.Getenv"},
		{"looked up environment", library, `import "os"; var _, _ = os.LookupEnv("X")`, "os.LookupEnv"},
		{"stdout", library, `import "os"; var _ = os.Stdout`, "os.Stdout"},
		{"print", library, `import "fmt"; func f() { fmt.Println() }`, "fmt.Println"},
		{"print to a writer", library, `import ("fmt"; "io"); func f(w io.Writer) { fmt.Fprintln(w) }`, ""},
		{"builtin print", library, `func f() { println("x") }`, "builtin println"},
		{"default logger", library, `import "log/slog"; var _ = slog.Default()`, "slog.Default"},
		{"logging to it", library, `import "log/slog"; func f() { slog.Info("x") }`, "slog.Info"},
		{"given logger", library, `import "log/slog"; func f(l *slog.Logger) { l.Info("x", slog.Int("n", 1)) }`, ""},
		{"default client", library, `import "net/http"; var _ = http.DefaultClient`, "http.DefaultClient"},
		{"init", library, `func init() {}`, "func init"},
		{"init in a binary", binary, `func init() {}`, "func init"},
		{"init method", library, `type t struct{}; func (t) init() {}`, ""},
		{"dot import", library, `import . "time"`, "dot import"},
		{"sleep in a test", test, `import "time"; func f() { time.Sleep(1) }`, "time.Sleep"},
		{"sleep in a library", library, `import "time"; func f() { time.Sleep(1) }`, "time.Sleep"},
		{"sleep in a bubble", test, `import ("testing/synctest"; "time"); func f() { synctest.Test(nil, func() { time.Sleep(1) }) }`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, err := checkCalls(tt.file, []byte("package x; "+tt.src))
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(found, "\n")
			if tt.wants == "" && all != "" || !strings.Contains(all, tt.wants) {
				t.Errorf("found %q, want %q", all, tt.wants)
			}
		})
	}
}

func TestFileRulesReport(t *testing.T) {
	slash := func(s string) string { return strings.ReplaceAll(s, "|", "/") } // so that this file passes
	tests := []struct {
		name  string
		found []string
		wants int
	}{
		{"long", checkGoFile("x.go", []byte(strings.Repeat("\n", maxLines+1))), 1},
		{"just not too long", checkGoFile("x.go", []byte(strings.Repeat("\n", maxLines))), 0},
		{"long and generated", checkGoFile("x.go", []byte("// Code generated by x. DO NOT EDIT.\n"+strings.Repeat("\n", maxLines))), 0},
		{"leftovers", checkGoFile("x.go", []byte("// TO"+"DO\n// FIX"+"ME x\n// good enough for n"+"ow\n// not im"+"plemented\n")), 4},
		{"no leftovers", checkGoFile("x.go", []byte("// for nowhere\nhttp.StatusNotImplemented\n")), 0},
		{"working folder", checkPrivate("x", []byte(slash("see |work|main"))), 1},
		{"root's home", checkPrivate("x", []byte(slash("\n\"|root|go\""))), 1},
		{"somebody's home", checkPrivate("x", []byte(slash("cd |home|ann|x"))), 1},
		{"lock file", checkPrivate("x", []byte(`"resolve`+`d": "https://`)), 1},
		{"neither", checkPrivate("x", []byte(slash("https:||example.com|work|main, ./work/x, $GIT|root|x"))), 0},
	}
	for _, tt := range tests {
		if len(tt.found) != tt.wants {
			t.Errorf("%s: found %q, want %d findings", tt.name, tt.found, tt.wants)
		}
	}
}
