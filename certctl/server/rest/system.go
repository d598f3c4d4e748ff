package rest

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/danielgtaylor/huma/v2"
)

func (s *service) system() {
	const tag = "system"
	health := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Health](), true, "Health")
	add(s, operation{id: "getHealth", method: http.MethodGet, path: "/health", tag: tag, summary: "Tell whether the server answers", access: public}, s.health)
	add(s, operation{id: "getReady", method: http.MethodGet, path: "/ready", tag: tag, summary: "Tell whether the server can work", access: public,
		responses: map[string]*huma.Response{"503": {Description: "The database does not answer", Content: map[string]*huma.MediaType{"application/json": {Schema: health}}}}}, s.ready)
	add(s, operation{id: "getVersion", method: http.MethodGet, path: v1 + "/version", tag: tag, summary: "Tell what is running", access: public}, s.getVersion)
	add(s, operation{id: "getAuthInfo", method: http.MethodGet, path: v1 + "/auth/info", tag: tag, summary: "Tell how to authenticate", access: public}, s.authInfo)
	add(s, operation{id: "checkAuth", method: http.MethodGet, path: v1 + "/auth/check", tag: tag, summary: "Tell whom the server takes the caller for", access: anyone}, s.authCheck)
	add(s, operation{id: "getSummary", method: http.MethodGet, path: v1 + "/stats/summary", tag: tag, summary: "The fleet in numbers", access: viewer}, s.summary)
}

func (s *service) health(context.Context, *nothing) (*plain[api.Health], error) {
	return &plain[api.Health]{Body: api.Health{Status: "healthy"}}, nil
}

type readiness struct {
	Status int
	Body   api.Health
}

func (s *service) ready(ctx context.Context, _ *nothing) (*readiness, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := s.engine.Ready(ctx); err != nil {
		exchangeOf(ctx).cause = err
		return &readiness{Status: http.StatusServiceUnavailable, Body: api.Health{Status: "db_unavailable"}}, nil
	}
	return &readiness{Status: http.StatusOK, Body: api.Health{Status: "ready"}}, nil
}

func (s *service) getVersion(context.Context, *nothing) (*plain[api.Version], error) {
	return &plain[api.Version]{Body: s.version}, nil
}

func (s *service) authInfo(context.Context, *nothing) (*plain[api.AuthInfo], error) {
	return &plain[api.AuthInfo]{Body: api.AuthInfo{AuthType: s.authType, Required: s.authType != AuthNone}}, nil
}

func (s *service) authCheck(ctx context.Context, _ *nothing) (*plain[api.AuthCheck], error) {
	a := certctl.ActorFrom(ctx)
	return &plain[api.AuthCheck]{Body: api.AuthCheck{
		Status: "authenticated", User: a.Name, ID: a.ID, Type: string(a.Type), Role: string(a.Role),
		Admin: a.Role == certctl.RoleAdmin, AgentID: a.AgentID,
	}}, nil
}

func (s *service) summary(ctx context.Context, _ *nothing) (*plain[api.Summary], error) {
	out := &plain[api.Summary]{}
	err := s.engine.View(ctx, func(ctx context.Context, r certctl.Reader) error {
		sum, err := r.Reports().Summary(ctx)
		if err != nil {
			return err
		}
		out.Body = api.Summary{
			CertificatesByStatus: counts(sum.Certificates), AgentsByStatus: counts(sum.Agents),
			JobsByStatus: counts(sum.Jobs), BindingsByState: counts(sum.Bindings), NextExpiry: utc(sum.NextExpiry), CompletedAt: utc(sum.At),
			TotalCertificates: total(sum.Certificates) - sum.Certificates[certctl.CertificateArchived],
			TotalAgents:       total(sum.Agents) - sum.Agents[certctl.AgentRetired],
		}
		return nil
	})
	return out, err
}

func counts[K ~string](in map[K]int64) map[string]int64 {
	out := make(map[string]int64, len(in))
	for k, n := range in {
		out[string(k)] = n
	}
	return out
}

func total[K comparable](in map[K]int64) int64 {
	var n int64
	for _, x := range in {
		n += x
	}
	return n
}
