package rest

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

const challenge = `Bearer realm="certctl"`

// guard lets a request through to its operation: rate limits, then who it is,
// then whether they may.
func (s *service) guard(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	o := entry(ctx.Operation())
	e := exchangeOf(r.Context())
	e.operation = o.id
	if o.access == public || o.access == joining {
		if s.allowAddress(w, r) {
			next(ctx)
		}
		return
	}
	actor, f := s.authenticate(r)
	if f == nil {
		actor.RequestID = e.id
		e.actor = actor
		f = s.limits.actor(actor.ID)
	}
	if f == nil {
		f = permit(o.access, actor, r.PathValue("id"))
	}
	if f != nil {
		write(w, r, f)
		return
	}
	next(humago.NewContext(ctx.Operation(), r.WithContext(certctl.WithActor(r.Context(), actor)), w))
}

// authenticate finds out whose key a request carries. Failures are limited by
// address; an address with too many is refused before the database is asked,
// but for keys that were good before.
func (s *service) authenticate(r *http.Request) (certctl.Actor, *failure) {
	address := exchangeOf(r.Context()).address
	token, sent := bearer(r)
	if !sent && s.authType == AuthNone {
		return certctl.Actor{ID: "anonymous", Name: "anonymous", Type: certctl.ActorUser, Role: certctl.RoleAdmin}, nil
	}
	hash := sha256.Sum256([]byte(token))
	if f := s.limits.suspicious(address, hash); f != nil {
		return certctl.Actor{}, f
	}
	if token == "" {
		s.limits.failed(address)
		return certctl.Actor{}, problem(http.StatusUnauthorized, api.CodeUnauthenticated,
			"a key is needed; send it as 'Authorization: Bearer KEY'").with("WWW-Authenticate", challenge)
	}
	actor, err := s.engine.Authenticate(r.Context(), token)
	if err != nil {
		if errors.Is(err, certctl.ErrUnauthenticated) || errors.Is(err, certctl.ErrGone) {
			s.limits.failed(address)
		} else if !errors.Is(err, context.Canceled) {
			exchangeOf(r.Context()).cause = err
		}
		return certctl.Actor{}, translate(err)
	}
	s.limits.good(hash)
	return actor, nil
}

// bearer returns the token of a request, and whether the request tries to
// authenticate at all.
func bearer(r *http.Request) (token string, sent bool) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", true
	}
	return strings.TrimSpace(token), true
}

var ranks = map[access]int{viewer: 1, operator: 2, admin: 3}

// permit decides whether an actor may call an operation. Agents see nothing
// but their own work, and of other agents not even that they exist.
func permit(need access, a certctl.Actor, id string) *failure {
	if need == anyone {
		return nil
	}
	if need == itself {
		switch {
		case a.Role != certctl.RoleAgent || a.AgentID == "":
			return problem(http.StatusForbidden, api.CodeForbidden, "this is for the agent itself, with its own credential")
		case a.AgentID != id:
			return problem(http.StatusNotFound, api.CodeNotFound, "no such agent")
		}
		return nil
	}
	have, known := ranks[access(a.Role)]
	if known && ranks[need] > 0 && have >= ranks[need] {
		return nil
	}
	return problem(http.StatusForbidden, api.CodeForbidden, "this needs a key of role "+string(need)+"; this key's role is "+string(a.Role))
}

// allowAddress limits what is asked without a key.
func (s *service) allowAddress(w http.ResponseWriter, r *http.Request) bool {
	if f := s.limits.address(exchangeOf(r.Context()).address); f != nil {
		write(w, r, f)
		return false
	}
	return true
}
