package arch

// module is the prefix that patterns in this package leave out.
const module = "github.com/certctl/certctl"

// A room is one row of the table of directions. Patterns are import paths below
// the module: "a/..." is a and everything below it, "*" one path element. A
// package may always import what lies in its own room (the part of its path
// that the pattern spells out before "/...").
type room struct {
	pkg string
	may []string
}

// leaves know nothing of certificates' lives, and each other at most.
var leaves = []string{
	"certctl/connector", "certctl/secret", "certctl/egress",
	"certctl/keys", "certctl/chain", "certctl/lint", "certctl/command",
}

// seams are the roots of the connector topics: interfaces and vocabulary.
var seams = []string{"issuer", "target", "notifier", "discovery", "revocation"}

// public is all that a stranger can import.
var public = []string{
	"certctl", "certctl/...", "issuer/...", "target/...", "notifier/...",
	"discovery/...", "revocation/...", "store/...", "migrations/...",
}

// kinds are the lists of all connectors, for binaries alone.
var kinds = []string{"issuer/all", "target/all", "notifier/all", "discovery/all"}

// rooms is the table of directions; the first row that matches a package holds.
var rooms = []room{
	// Wiring. An agent and the clients run on other machines than the database.
	{"cmd/certctl-agent/...", with(leaves, "certctl/agent/...", "certctl/client", "certctl/api", "target", "target/all", "discovery", "discovery/all")},
	{"cmd/certctl-cli/...", with(leaves, "certctl/cli/...", "certctl/client", "certctl/api")},
	{"cmd/certctl-mcp/...", with(leaves, "certctl/mcp/...", "certctl/client", "certctl/api")},
	{"cmd/certctl-responder/...", with(leaves, "certctl", "store", "migrations", "revocation/...")},
	{"cmd/certctl-server/...", with(public, kinds...)},
	{"examples/...", with(public, kinds...)},

	// For tests.
	{"internal/arch", nil},
	{"internal/peer/...", leaves},
	{"internal/flagdoctest", nil},
	{"internal/e2e", nil},
	{"internal/docs", nil},
	{"internal/bench/...", public},
	{"certctl/certctltest/...", public},
	{"store/storetest/...", with(leaves, "certctl", "store", "migrations", "revocation", "internal/peer")},
	{"issuer/issuertest/...", with(leaves, "issuer", "revocation")},
	{"target/targettest/...", with(leaves, "target")},
	{"notifier/notifiertest/...", with(leaves, "notifier")},
	{"discovery/discoverytest/...", with(leaves, "discovery")},
	{"revocation/revocationtest/...", with(leaves, "revocation/...")},

	// The server as a library, and the clients over the API.
	{"certctl/server", with(leaves, with(seams, "certctl", "certctl/engine", "certctl/policy", "certctl/api", "certctl/client", "certctl/agent", "certctl/server/...", "revocation/...")...)},
	{"certctl/server/rest/...", with(leaves, with(seams, "certctl", "certctl/engine", "certctl/policy", "certctl/api")...)},
	{"certctl/server/*/...", with(leaves, "certctl", "certctl/api", "revocation/...")},
	{"certctl/agent/...", with(leaves, "certctl/client", "certctl/api", "target", "discovery")},
	{"certctl/cli/...", with(leaves, "certctl/client", "certctl/api", "revocation", "revocation/ocsp")},
	{"certctl/mcp/...", with(leaves, "certctl/client", "certctl/api")},
	{"certctl/client", []string{"certctl/api"}},

	// The core.
	{"certctl/engine/...", with(leaves, with(seams, "certctl", "certctl/policy", "revocation/...")...)},
	{"certctl/policy/...", with(leaves, "certctl", "revocation")},
	{"store/...", with(leaves, "certctl", "revocation", "migrations")},
	{"migrations/...", nil},
	{"certctl", []string{"revocation"}},

	// Connectors: their root and the leaves; one kind never knows another.
	{"issuer", with(leaves, "revocation")},
	{"issuer/all", with(leaves, "issuer/...")},
	{"issuer/*/...", with(leaves, "issuer", "revocation")},
	{"target", leaves},
	{"target/all", with(leaves, "target/...")},
	{"target/files/...", with(leaves, "target")},
	{"target/*/...", with(leaves, "target", "target/files")},
	{"notifier", leaves},
	{"notifier/all", with(leaves, "notifier/...")},
	{"notifier/*/...", with(leaves, "notifier")},
	{"discovery", leaves},
	{"discovery/all", with(leaves, "discovery/...")},
	{"discovery/*/...", with(leaves, "discovery")},
	{"revocation", leaves},
	{"revocation/...", with(leaves, "revocation")},

	// Leaves.
	{"certctl/api", nil},
	{"certctl/connector", leaves},
	{"certctl/secret", leaves},
	{"certctl/egress", leaves},
	{"certctl/keys", leaves},
	{"certctl/chain", leaves},
	{"certctl/lint", leaves},
	{"certctl/command", leaves},
}

// A vendor is a third-party module that is at home in few rooms, so that who
// embeds another room does not get it. Packages are import path prefixes.
type vendor struct {
	packages []string
	home     []string
}

var vendors = []vendor{
	{[]string{"database/sql", "github.com/uptrace/bun", "github.com/jackc/pgx", "modernc.org/sqlite"}, []string{"store/...", "migrations/..."}},
	{[]string{"github.com/danielgtaylor/huma"}, []string{"certctl/server/...", "cmd/certctl-server/..."}},
	{[]string{"github.com/urfave/cli"}, []string{"certctl/cli/...", "cmd/...", "internal/flagdoctest"}},
	{[]string{"github.com/robfig/cron"}, []string{"certctl/engine/..."}},
	{[]string{"github.com/zmap"}, []string{"certctl/lint"}},
	{[]string{"github.com/valyala/fasthttp"}, []string{"revocation/responder/fast", "cmd/certctl-responder/...", "internal/bench/..."}},
	{[]string{"github.com/mholt/acmez", "github.com/miekg/dns"}, []string{"issuer/acme"}},
	{[]string{"github.com/go-jose"}, []string{"issuer/stepca"}},
	{[]string{"github.com/prometheus"}, []string{"cmd/certctl-responder/..."}},
}

// databases are what only the packages in databaseRooms may bring along, by
// whatever way: an embedder of any other links no database.
var (
	databases     = []string{"database/sql", "github.com/uptrace/bun", "github.com/jackc/pgx", "modernc.org/sqlite"}
	databaseRooms = []string{
		"store/...", "migrations/...", "certctl/certctltest/...", "examples/...",
		"cmd/certctl-server/...", "cmd/certctl-responder/...",
	}
)

// standardOnly need nothing but the standard library and each other.
var standardOnly = []string{"certctl/client", "certctl/api"}

// testRooms may import testing; nothing but tests imports them.
var testRooms = []string{
	"internal/peer/...", "internal/flagdoctest", "certctl/certctltest/...", "store/storetest/...",
	"issuer/issuertest/...", "target/targettest/...", "notifier/notifiertest/...",
	"discovery/discoverytest/...", "revocation/revocationtest/...",
}

// testImports are at home in tests.
var testImports = []string{
	"testing", "net/http/httptest", "github.com/google/go-cmp", "pgregory.net/rapid",
}

func with(list []string, more ...string) []string {
	return append(append([]string(nil), list...), more...)
}
