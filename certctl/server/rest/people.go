package rest

import (
	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/engine"
)

type ownerQuery = struct{ api.OwnerQuery }

func (s *service) people() {
	catalog[certctl.Owner, certctl.NameFilter, api.Owner, api.OwnerCreate, api.OwnerUpdate, ownerQuery]{
		one: "Owner", many: "Owners", path: "owners", tag: "owners", what: "an owner", whats: "owners", write: operator,
		keep:   func() *engine.Catalog[certctl.Owner, certctl.NameFilter] { return s.engine.Owners() },
		lookup: func(r certctl.Reader) certctl.Lookup[certctl.Owner, certctl.NameFilter] { return r.Owners() },
		wire:   wireOwner,
		query: func(q *ownerQuery) (certctl.NameFilter, api.ListOptions) {
			return certctl.NameFilter{Names: q.Name, TeamID: q.TeamID}, q.ListOptions
		},
		meta: func(o *certctl.Owner) (string, int64) { return o.ID, o.Revision },
		fresh: func(b api.OwnerCreate) *certctl.Owner {
			return &certctl.Owner{ID: b.ID, Name: b.Name, Email: b.Email, TeamID: b.TeamID}
		},
		change: func(b api.OwnerUpdate, o *certctl.Owner) {
			set(&o.Name, b.Name)
			set(&o.Email, b.Email)
			set(&o.TeamID, b.TeamID)
		},
	}.register(s)
	catalog[certctl.Team, certctl.NameFilter, api.Team, api.TeamCreate, api.TeamUpdate, nameQuery]{
		one: "Team", many: "Teams", path: "teams", tag: "teams", what: "a team", whats: "teams", write: operator,
		keep:   func() *engine.Catalog[certctl.Team, certctl.NameFilter] { return s.engine.Teams() },
		lookup: func(r certctl.Reader) certctl.Lookup[certctl.Team, certctl.NameFilter] { return r.Teams() },
		wire:   wireTeam, query: byName,
		meta: func(t *certctl.Team) (string, int64) { return t.ID, t.Revision },
		fresh: func(b api.TeamCreate) *certctl.Team {
			return &certctl.Team{ID: b.ID, Name: b.Name, Description: b.Description}
		},
		change: func(b api.TeamUpdate, t *certctl.Team) {
			set(&t.Name, b.Name)
			set(&t.Description, b.Description)
		},
	}.register(s)
}
