package store

import (
	"strings"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/uptrace/bun"
)

type query = *bun.SelectQuery

// anyOf restricts a column to a list, unless the list is empty.
func anyOf(q query, column string, values []string) query {
	if len(values) == 0 {
		return q
	}
	return q.Where(column+" IN (?)", bun.List(values))
}

func equal(q query, column, value string) query {
	if value == "" {
		return q
	}
	return q.Where(column+" = ?", value)
}

func flag(q query, column string, value *bool) query {
	if value == nil {
		return q
	}
	return q.Where(column+" = ?", *value)
}

// isSet restricts a time to being set, or not.
func isSet(q query, column string, value *bool) query {
	switch {
	case value == nil:
		return q
	case *value:
		return q.Where(column + " IS NOT NULL")
	default:
		return q.Where(column + " IS NULL")
	}
}

func before(q query, column string, t time.Time) query {
	if t.IsZero() {
		return q
	}
	return q.Where(column+" <= ?", stamp(t))
}

func after(q query, column string, t time.Time) query {
	if t.IsZero() {
		return q
	}
	return q.Where(column+" > ?", stamp(t))
}

func since(q query, column string, t time.Time) query {
	if t.IsZero() {
		return q
	}
	return q.Where(column+" >= ?", stamp(t))
}

// contains is a LIKE pattern for a part of a text, in lower case.
func contains(s string) string {
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(strings.ToLower(s)) + "%"
}

var teams = &entity[certctl.Team, certctl.NameFilter]{
	name: "team", alias: "team", pk: "id",
	id: func(t *certctl.Team) string { return t.ID }, meta: func(t *certctl.Team) *certctl.Meta { return &t.Meta },
	sorts: []sortBy[certctl.Team]{
		byText("team.name", func(t *certctl.Team) string { return t.Name }, "name"),
		byTime("team.created_at", func(t *certctl.Team) time.Time { return t.CreatedAt }, "createdAt", "created_at"),
	},
	where: func(q query, f certctl.NameFilter) query { return anyOf(q, "team.name", f.Names) },
}

var owners = &entity[certctl.Owner, certctl.NameFilter]{
	name: "owner", alias: "owner", pk: "id",
	id: func(o *certctl.Owner) string { return o.ID }, meta: func(o *certctl.Owner) *certctl.Meta { return &o.Meta },
	sorts: []sortBy[certctl.Owner]{
		byText("owner.name", func(o *certctl.Owner) string { return o.Name }, "name"),
		byTime("owner.created_at", func(o *certctl.Owner) time.Time { return o.CreatedAt }, "createdAt", "created_at"),
	},
	where: func(q query, f certctl.NameFilter) query {
		return equal(anyOf(q, "owner.name", f.Names), "owner.team_id", f.TeamID)
	},
}

var profiles = &entity[certctl.Profile, certctl.NameFilter]{
	name: "profile", alias: "profile", pk: "id",
	id: func(p *certctl.Profile) string { return p.ID }, meta: func(p *certctl.Profile) *certctl.Meta { return &p.Meta },
	sorts: []sortBy[certctl.Profile]{
		byText("profile.name", func(p *certctl.Profile) string { return p.Name }, "name"),
		byTime("profile.created_at", func(p *certctl.Profile) time.Time { return p.CreatedAt }, "createdAt", "created_at"),
	},
	where: func(q query, f certctl.NameFilter) query { return anyOf(q, "profile.name", f.Names) },
}

var renewalPolicies = &entity[certctl.RenewalPolicy, certctl.NameFilter]{
	name: "renewal policy", alias: "renewal_policy", pk: "id",
	id:   func(p *certctl.RenewalPolicy) string { return p.ID },
	meta: func(p *certctl.RenewalPolicy) *certctl.Meta { return &p.Meta },
	sorts: []sortBy[certctl.RenewalPolicy]{
		byText("renewal_policy.name", func(p *certctl.RenewalPolicy) string { return p.Name }, "name"),
		byTime("renewal_policy.created_at", func(p *certctl.RenewalPolicy) time.Time { return p.CreatedAt }, "createdAt", "created_at"),
	},
	where: func(q query, f certctl.NameFilter) query { return anyOf(q, "renewal_policy.name", f.Names) },
}

var issuers = &entity[certctl.Issuer, certctl.IssuerFilter]{
	name: "issuer", alias: "issuer", pk: "id",
	id: func(i *certctl.Issuer) string { return i.ID }, meta: func(i *certctl.Issuer) *certctl.Meta { return &i.Meta },
	sorts: []sortBy[certctl.Issuer]{
		byText("issuer.name", func(i *certctl.Issuer) string { return i.Name }, "name"),
		byTime("issuer.created_at", func(i *certctl.Issuer) time.Time { return i.CreatedAt }, "createdAt", "created_at"),
	},
	where: func(q query, f certctl.IssuerFilter) query {
		return flag(anyOf(anyOf(q, "issuer.name", f.Names), "issuer.type", f.Types), "issuer.enabled", f.Enabled)
	},
}

var targets = &entity[certctl.Target, certctl.TargetFilter]{
	name: "target", alias: "target", pk: "id",
	id: func(t *certctl.Target) string { return t.ID }, meta: func(t *certctl.Target) *certctl.Meta { return &t.Meta },
	sorts: []sortBy[certctl.Target]{
		byText("target.name", func(t *certctl.Target) string { return t.Name }, "name"),
		byTime("target.created_at", func(t *certctl.Target) time.Time { return t.CreatedAt }, "createdAt", "created_at"),
	},
	where: func(q query, f certctl.TargetFilter) query {
		q = anyOf(anyOf(q, "target.id", f.IDs), "target.name", f.Names)
		q = anyOf(anyOf(q, "target.type", f.Types), "target.agent_id", f.AgentIDs)
		return isSet(flag(q, "target.enabled", f.Enabled), "target.retired_at", f.Retired)
	},
}

var agents = &entity[certctl.Agent, certctl.AgentFilter]{
	name: "agent", alias: "agent", pk: "id",
	id: func(a *certctl.Agent) string { return a.ID }, meta: func(a *certctl.Agent) *certctl.Meta { return &a.Meta },
	sorts: []sortBy[certctl.Agent]{
		byText("agent.name", func(a *certctl.Agent) string { return a.Name }, "name"),
		byTime("agent.registered_at", func(a *certctl.Agent) time.Time { return a.RegisteredAt }, "registeredAt", "registered_at"),
		byTime("agent.last_heartbeat_at", func(a *certctl.Agent) time.Time { return a.LastHeartbeatAt }, "lastHeartbeatAt", "last_heartbeat_at"),
	},
	where: func(q query, f certctl.AgentFilter) query {
		q = anyOf(anyOf(q, "agent.name", f.Names), "agent.status", f.Statuses)
		if !f.HeartbeatBefore.IsZero() {
			q = q.Where("(agent.last_heartbeat_at IS NULL OR agent.last_heartbeat_at <= ?)", stamp(f.HeartbeatBefore))
		}
		return isSet(q, "agent.retired_at", f.Retired)
	},
}

var joinTokens = &entity[certctl.JoinToken, certctl.JoinTokenFilter]{
	name: "join token", alias: "join_token", pk: "id",
	id: func(j *certctl.JoinToken) string { return j.ID }, meta: func(j *certctl.JoinToken) *certctl.Meta { return &j.Meta },
	sorts: []sortBy[certctl.JoinToken]{
		byTime("join_token.created_at", func(j *certctl.JoinToken) time.Time { return j.CreatedAt }, "createdAt", "created_at"),
	},
	where: func(q query, f certctl.JoinTokenFilter) query { return equal(q, "join_token.hash", f.Hash) },
}

var apiKeys = &entity[certctl.APIKey, certctl.APIKeyFilter]{
	name: "API key", alias: "api_key", pk: "id",
	id: func(k *certctl.APIKey) string { return k.ID }, meta: func(k *certctl.APIKey) *certctl.Meta { return &k.Meta },
	sorts: []sortBy[certctl.APIKey]{
		byText("api_key.name", func(k *certctl.APIKey) string { return k.Name }, "name"),
		byTime("api_key.created_at", func(k *certctl.APIKey) time.Time { return k.CreatedAt }, "createdAt", "created_at"),
		byTime("api_key.last_used_at", func(k *certctl.APIKey) time.Time { return k.LastUsedAt }, "lastUsedAt", "last_used_at"),
	},
	where: func(q query, f certctl.APIKeyFilter) query {
		q = anyOf(anyOf(q, "api_key.name", f.Names), "api_key.agent_id", f.AgentIDs)
		q = anyOf(q, "api_key.role", f.Roles)
		if f.Hash != "" {
			q = q.Where("(api_key.hash = ? OR api_key.old_hash = ?)", f.Hash, f.Hash)
		}
		return isSet(q, "api_key.revoked_at", f.Revoked)
	},
}
