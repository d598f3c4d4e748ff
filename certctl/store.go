package certctl

import (
	"context"
	"time"
)

// Store is what certctl asks of a database. Its contract is the suite
// store/storetest; package store implements it for Postgres and SQLite.
//
// Every write is inside a caller's transaction. One now per transaction, in
// UTC with microseconds. Errors match the sentinels of this package:
// ErrNotFound, ErrConflict (a unique row exists; the message names it),
// ErrStale, ErrFenced, ErrInvalid (a bad cursor or sort), ErrUnavailable
// (the database cannot be reached).
type Store interface {
	// View runs f in a read-only snapshot. f may run again after a failure
	// of the connection.
	View(ctx context.Context, f func(context.Context, Reader) error) error
	// Update runs f in a transaction and commits when it returns nil. f runs
	// again, at most 10 times, after a serialisation failure, a deadlock or
	// ErrStale; so it must have no other side effect, and must not use the
	// store but through tx.
	Update(ctx context.Context, f func(context.Context, Tx) error) error
	// Watch returns a channel that gets a value soon after a transaction
	// nudged one of the topics, in this process or another. It is a hint:
	// values are merged, may be spurious, and may be lost with a connection.
	// It closes when ctx ends.
	Watch(ctx context.Context, topics ...string) (<-chan struct{}, error)
	// Ping reports whether the database answers.
	Ping(ctx context.Context) error
}

// Topics of Watch and Tx.Nudge.
const (
	TopicJobs        = "jobs"        // a job for the server became runnable
	TopicRevocations = "revocations" // a revocation was written
	TopicConfig      = "config"      // issuers, targets, policies, keys changed
	TopicEvents      = "events"      // the outbox grew
	TopicCatalog     = "catalog"     // certificates or jobs changed state: for those who wait on one
)

// TopicAgent is the topic of one agent's work.
func TopicAgent(agentID string) string { return "agent:" + agentID }

// Lookup reads one kind of entity.
type Lookup[T, F any] interface {
	// Get returns the row, or ErrNotFound.
	Get(ctx context.Context, id string) (*T, error)
	// List returns a page, stable under inserts when read by cursor.
	List(ctx context.Context, filter F, page Page) (*Result[T], error)
	Count(ctx context.Context, filter F) (int64, error)
}

// Repo reads and writes one kind of entity.
type Repo[T, F any] interface {
	Lookup[T, F]
	// Insert writes new rows, all or none, and fills their Meta.
	Insert(ctx context.Context, rows ...*T) error
	// Update writes the whole row if its Revision is still the stored one
	// (else ErrStale), and raises it.
	Update(ctx context.Context, row *T) error
	Delete(ctx context.Context, id string) error
}

// Reader is a read-only snapshot.
type Reader interface {
	Now() time.Time
	Teams() Lookup[Team, NameFilter]
	Owners() Lookup[Owner, NameFilter]
	Profiles() Lookup[Profile, NameFilter]
	RenewalPolicies() Lookup[RenewalPolicy, NameFilter]
	Issuers() Lookup[Issuer, IssuerFilter]
	Targets() Lookup[Target, TargetFilter]
	Agents() Lookup[Agent, AgentFilter]
	JoinTokens() Lookup[JoinToken, JoinTokenFilter]
	APIKeys() Lookup[APIKey, APIKeyFilter]
	Certificates() Lookup[Certificate, CertificateFilter]
	Versions() Lookup[CertificateVersion, VersionFilter]
	Bindings() Lookup[Binding, BindingFilter]
	Orders() Lookup[Order, OrderFilter]
	Jobs() Lookup[Job, JobFilter]
	Revocations() Lookup[Revocation, RevocationFilter]
	CRLs() Lookup[CRL, CRLFilter]
	CRLGenerations() Lookup[CRLGeneration, CRLGenerationFilter]
	Responders() Lookup[Responder, ResponderFilter]
	BulkRevocations() Lookup[BulkRevocation, BulkFilter]
	BulkItems() Lookup[BulkItem, BulkItemFilter]
	Audit() Lookup[AuditEntry, AuditFilter]
	Reports() Reports
	// VaultItem returns the sealed value, or ErrNotFound.
	VaultItem(ctx context.Context, owner, name string) (*VaultItem, error)
	// EventsAfter returns up to n events after the cursor, oldest first. It
	// never skips one that a slower transaction commits later.
	EventsAfter(ctx context.Context, cursor int64, n int) ([]*Envelope, error)
	// RevocationSequence is the highest Sequence of one CA key, or of one shard
	// (1, 2, …) of it; 0 for none.
	RevocationSequence(ctx context.Context, issuerKeyID string, shard int) (int64, error)
	Leases(ctx context.Context) ([]*Lease, error)
}

// Tx is a transaction.
type Tx interface {
	Now() time.Time
	// Reader is the same transaction, for helpers that only read.
	Reader() Reader
	Teams() Repo[Team, NameFilter]
	Owners() Repo[Owner, NameFilter]
	Profiles() Repo[Profile, NameFilter]
	RenewalPolicies() Repo[RenewalPolicy, NameFilter]
	Issuers() Repo[Issuer, IssuerFilter]
	Targets() Repo[Target, TargetFilter]
	Agents() Repo[Agent, AgentFilter]
	JoinTokens() Repo[JoinToken, JoinTokenFilter]
	APIKeys() Repo[APIKey, APIKeyFilter]
	Certificates() Repo[Certificate, CertificateFilter]
	Versions() Repo[CertificateVersion, VersionFilter]
	Bindings() Repo[Binding, BindingFilter]
	Orders() Repo[Order, OrderFilter]
	Jobs() JobRepo
	Revocations() Repo[Revocation, RevocationFilter] // Insert assigns Sequence
	CRLGenerations() Repo[CRLGeneration, CRLGenerationFilter]
	Responders() Repo[Responder, ResponderFilter]
	BulkRevocations() Repo[BulkRevocation, BulkFilter]
	BulkItems() BulkItemRepo
	Idempotency() Repo[IdempotencyRecord, IdempotencyFilter]
	Leases() LeaseRepo
	Journal
	// PutCRL stores a CRL if its number is greater than the stored one's;
	// ErrConflict otherwise.
	PutCRL(ctx context.Context, crl *CRL) error
	// CreateVaultItem writes the item unless one is there, and returns the
	// one that is stored then: the first writer wins.
	CreateVaultItem(ctx context.Context, item *VaultItem) (*VaultItem, error)
	// Nudge wakes the watchers of these topics when the transaction commits.
	Nudge(topics ...string)
}

// Journal writes the record.
type Journal interface {
	// Append adds to the audit trail. ID, At and the actor are filled from the
	// transaction and its context when empty.
	Append(ctx context.Context, entry *AuditEntry) error
	// Emit adds events to the outbox.
	Emit(ctx context.Context, events ...Event) error
}

// JobRepo adds the queue to jobs. Its fourth method is what lets a restart go
// on at once.
type JobRepo interface {
	Repo[Job, JobFilter]
	// Claim leases up to n runnable jobs of an executor to a worker, oldest
	// RunAt first: status Pending, AwaitingCSR or Running, RunAt not later
	// than now, no lease or an expired one. A Pending job becomes Running;
	// Fence rises by one; Attempts rises by one when an expired lease is
	// taken over, for its worker died with it; StartedAt is set once.
	Claim(ctx context.Context, executor, worker string, n int, lease time.Duration) ([]*Job, error)
	// Release ends the leases of an executor's worker, or of all its workers
	// when worker is empty, because they are known to work no more. The next
	// claim counts as no new attempt.
	Release(ctx context.Context, executor, worker string) (int64, error)
	// Hold returns the job if it is live, claimed, and its fence is still
	// this one; ErrFenced otherwise. Every write of a worker begins with it.
	Hold(ctx context.Context, id string, fence int64) (*Job, error)
}

// BulkItemRepo adds whole fleets to the items of bulk revocations.
type BulkItemRepo interface {
	Repo[BulkItem, BulkItemFilter]
	// Enlist writes a pending item for every certificate that matches, and
	// returns how many these are.
	Enlist(ctx context.Context, bulkID string, f CertificateFilter) (int64, error)
}

// LeaseRepo runs each tick of a loop once over all replicas.
type LeaseRepo interface {
	// Take gives the loop to holder for ttl if nobody else holds it and the
	// last tick began at least every ago. It returns nil without an error
	// when there is nothing to run.
	Take(ctx context.Context, name, holder string, every, ttl time.Duration) (*Lease, error)
	// Hold returns ErrFenced unless the fence is still the lease's.
	Hold(ctx context.Context, name string, fence int64) error
	// Release ends the tick; lastError is kept for operators.
	Release(ctx context.Context, name string, fence int64, lastError string) error
}

// Reports are aggregates computed by the database.
type Reports interface {
	Summary(ctx context.Context) (*Summary, error)
}
