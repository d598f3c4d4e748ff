package rest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/engine"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Types of authentication.
const (
	AuthAPIKey = "api-key"
	AuthNone   = "none" // everybody who reaches the listener is an administrator; for loopback alone
)

// Options configure the API.
type Options struct {
	// Engine runs the use cases. Required.
	Engine *engine.Engine
	// Now is the clock. Required.
	Now func() time.Time
	// Logger is silent when nil.
	Logger *slog.Logger
	// AuthType is AuthAPIKey when empty.
	AuthType string
	// MaxBody is the largest request body in bytes; 1 MiB when 0.
	MaxBody int64
	// CORSOrigins may read answers from a browser: "https://ui.example.com".
	// None: no other origin may.
	CORSOrigins []string
	RateLimit   RateLimit
	// Version is what GET /api/v1/version tells.
	Version api.Version
	// Heartbeat is how often agents shall tell that they live; 60 s when 0.
	Heartbeat time.Duration
	// Done ends waiting requests with an empty answer when it is closed, so
	// that a shutdown need not wait for them. Nil: never.
	Done <-chan struct{}
}

type service struct {
	engine    *engine.Engine
	now       func() time.Time
	log       *slog.Logger
	authType  string
	maxBody   int64
	origins   map[string]bool
	version   api.Version
	heartbeat time.Duration
	done      <-chan struct{}
	limits    *limits
	api       huma.API
	docs      map[string][]byte
}

// New makes the handler. It contacts nobody.
func New(o Options) (http.Handler, error) {
	if o.Engine == nil || o.Now == nil {
		return nil, errors.New("rest: Options lack Engine or Now")
	}
	s, err := newService(o)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	if err := s.mount(mux); err != nil {
		return nil, err
	}
	protection := http.NewCrossOriginProtection()
	for origin := range s.origins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("rest: CORS origin: %w", err)
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		write(w, r, problem(http.StatusForbidden, api.CodeForbidden, "a page of another origin may not change anything here"))
	}))
	return s.edge(s.headers(protection.Handler(s.cors(s.sameHost(route(mux)))))), nil
}

func newService(o Options) (*service, error) {
	s := &service{
		engine: o.Engine, now: o.Now, log: o.Logger, authType: o.AuthType, maxBody: o.MaxBody,
		version: o.Version, heartbeat: o.Heartbeat, done: o.Done,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.authType == "" {
		s.authType = AuthAPIKey
	}
	if s.authType != AuthAPIKey && s.authType != AuthNone {
		return nil, fmt.Errorf("rest: unknown authentication type %q; known are %s and %s", s.authType, AuthAPIKey, AuthNone)
	}
	if s.maxBody <= 0 {
		s.maxBody = 1 << 20
	}
	if s.heartbeat <= 0 {
		s.heartbeat = time.Minute
	}
	var err error
	if s.origins, err = allowedOrigins(o.CORSOrigins); err != nil {
		return nil, err
	}
	s.limits, err = newLimits(o.RateLimit, o.Now)
	return s, err
}

// mount registers every operation and the documents that describe them.
func (s *service) mount(mux *http.ServeMux) error {
	s.api = humago.New(mux, s.config())
	s.api.UseMiddleware(s.guard, s.body, s.idempotent, s.conditional)
	s.certificates()
	s.bindings()
	s.bulkRevocations()
	s.crlCache()
	s.jobs()
	s.agents()
	s.agentWork()
	s.issuers()
	s.targets()
	s.profiles()
	s.renewalPolicies()
	s.people()
	s.apiKeys()
	s.audit()
	s.system()
	return s.documents(mux)
}
