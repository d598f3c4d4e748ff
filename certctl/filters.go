package certctl

import "time"

// Filters: the zero value of a field does not restrict; a slice means any of.
type (
	// NameFilter serves entities that are only looked up by name.
	NameFilter struct {
		Names  []string
		TeamID string // owners only
	}
	IssuerFilter struct {
		Names, Types []string
		Enabled      *bool
	}
	TargetFilter struct {
		IDs, Names, Types, AgentIDs []string
		Enabled                     *bool
		Retired                     *bool
	}
	AgentFilter struct {
		Names, Statuses []string
		HeartbeatBefore time.Time // never heard of counts as before
		Retired         *bool
	}
	JoinTokenFilter struct{ Hash string }
	APIKeyFilter    struct {
		Names    []string
		AgentIDs []string
		Roles    []string
		Hash     string // matches Hash or OldHash
		Revoked  *bool
	}
	CertificateFilter struct {
		IDs, Names, Statuses, Environments, OwnerIDs, TeamIDs, IssuerIDs, ProfileIDs, RenewalPolicyIDs []string
		AgentIDs                                                                                       []string // bound to a target of one of these agents
		TargetIDs                                                                                      []string
		Serial, Fingerprint                                                                            string // of any version
		ExpiresBefore, ExpiresAfter, CreatedAfter, UpdatedAfter                                        time.Time
		RenewBefore                                                                                    time.Time // RenewAt is set and not later
		Search                                                                                         string    // part of the name, common name or a SAN
		RevocableAt                                                                                    time.Time // has a version that has not expired then and is not revoked for good
	}
	VersionFilter struct {
		CertificateIDs      []string
		IssuerKeyID, Serial string
		Fingerprint         string
		ExpiresAfter        time.Time
		Generation          int64
	}
	BindingFilter struct {
		CertificateIDs, TargetIDs, States []string
		RetryBefore                       time.Time // RetryAt is set and not later
	}
	OrderFilter struct {
		CertificateIDs, JobIDs, States []string
		IssuerID, Serial               string
	}
	JobFilter struct {
		Types, Statuses, CertificateIDs, TargetIDs, AgentIDs []string
		Generation                                           int64
		DeadlineBefore                                       time.Time
		CreatedAfter                                         time.Time
	}
	RevocationFilter struct {
		IssuerIDs, CertificateIDs []string
		IssuerKeyID, Serial       string
		RetryBefore               time.Time // not yet notified, and RetryAt is not later
		Released                  *bool
	}
	BulkFilter     struct{ Statuses []string }
	BulkItemFilter struct {
		BulkID                   string
		Statuses, CertificateIDs []string
	}
	AuditFilter struct {
		Actors, Actions, ResourceTypes, ResourceIDs []string
		Since, Until                                time.Time
	}
	ResponderFilter struct{ IssuerIDs []string }
	CRLFilter       struct {
		IssuerIDs  []string
		IDs        []string
		WithoutDER bool // leave out what may be large
	}
	CRLGenerationFilter struct {
		IssuerIDs        []string
		IssuerKeyID      string
		Shard            *int
		Delta, Succeeded *bool
		Since            time.Time // StartedAt
	}
	IdempotencyFilter struct{ ExpiresBefore time.Time }
)

// Page says which part of a list is wanted.
type Page struct {
	Limit  int    // 1–500; 0: 50
	Cursor string // opaque, from Result.Next; wins over Number
	Number int    // 1, 2, …: for callers that count pages
	Sort   string // a column of the entity's white list; "" is the entity's default
	Desc   bool
	Total  bool // count all rows that match, too
}

// Result is one page.
type Result[T any] struct {
	Items []*T
	Next  string // cursor of the next page; "" at the end
	Total int64  // -1 when not asked for
}

// Summary is the fleet in numbers, counted by the database.
type Summary struct {
	Certificates map[CertificateStatus]int64
	Agents       map[AgentStatus]int64
	Jobs         map[JobStatus]int64
	Bindings     map[BindingState]int64
	NextExpiry   time.Time // of what is Active, Expiring or RenewalInProgress
	At           time.Time
}
