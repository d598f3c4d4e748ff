package certctl

import (
	"slices"
	"time"
)

// BulkStatus is the state of a bulk revocation.
type BulkStatus string

const (
	BulkPending   BulkStatus = "Pending"   // written down; nothing revoked yet
	BulkRunning   BulkStatus = "Running"   //
	BulkCompleted BulkStatus = "Completed" // every item was looked at, and says what became of it
)

// BulkStatuses lists them all.
var BulkStatuses = []BulkStatus{BulkPending, BulkRunning, BulkCompleted}

var bulkSteps = map[BulkStatus][]BulkStatus{
	BulkPending: {BulkRunning, BulkCompleted},
	BulkRunning: {BulkCompleted},
}

// CanBecome reports whether the step is legal. Staying is not a step.
func (s BulkStatus) CanBecome(to BulkStatus) bool { return slices.Contains(bulkSteps[s], to) }

// BulkCriteria say which certificates a bulk revocation is about: those that
// match all that is given.
type BulkCriteria struct {
	ProfileID      string   `json:"profile_id,omitempty"`
	OwnerID        string   `json:"owner_id,omitempty"`
	AgentID        string   `json:"agent_id,omitempty"` // bound to a target of this agent
	IssuerID       string   `json:"issuer_id,omitempty"`
	TeamID         string   `json:"team_id,omitempty"`
	CertificateIDs []string `json:"certificate_ids,omitempty"` // any of these
}

// Empty reports whether no criterion is given.
func (c *BulkCriteria) Empty() bool {
	return c.ProfileID == "" && c.OwnerID == "" && c.AgentID == "" && c.IssuerID == "" && c.TeamID == "" && len(c.CertificateIDs) == 0
}

// BulkRevocation is the revocation of many certificates. Which ones was decided
// when it was asked for; each is an item.
type BulkRevocation struct {
	ID           string       `bun:"id,pk"`
	Status       BulkStatus   `bun:"status"`
	Criteria     BulkCriteria `bun:"criteria,type:jsonb"`
	Reason       int          `bun:"reason"` // RFC 5280 section 5.3.1
	InvalidSince time.Time    `bun:"invalid_since,nullzero"`
	// Who asked for it; the audit entries of its revocations name them.
	RequestedBy     string    `bun:"requested_by"`
	RequestedByName string    `bun:"requested_by_name"`
	RequestedByType ActorType `bun:"requested_by_type"`
	RequestID       string    `bun:"request_id"`
	// How many certificates it is about, and what became of them so far.
	Affected    int64     `bun:"affected"`
	Revoked     int64     `bun:"revoked"`
	Skipped     int64     `bun:"skipped"`
	Failed      int64     `bun:"failed"`
	StartedAt   time.Time `bun:"started_at,nullzero"`
	CompletedAt time.Time `bun:"completed_at,nullzero"`
	Meta
}

// Become moves the bulk revocation to another state.
func (b *BulkRevocation) Become(to BulkStatus) error {
	if b.Status == to {
		return nil
	}
	if !b.Status.CanBecome(to) {
		return &TransitionError{"bulk revocation", b.ID, string(b.Status), string(to)}
	}
	b.Status = to
	return nil
}

// BulkItemStatus is what became of one certificate.
type BulkItemStatus string

const (
	BulkItemPending BulkItemStatus = "pending"
	BulkItemRevoked BulkItemStatus = "revoked"
	BulkItemSkipped BulkItemStatus = "skipped" // there was nothing to revoke
	BulkItemFailed  BulkItemStatus = "failed"
)

// BulkItem is one certificate of a bulk revocation.
type BulkItem struct {
	ID            string         `bun:"id,pk"` // BulkItemID
	BulkID        string         `bun:"bulk_id"`
	CertificateID string         `bun:"certificate_id"`
	Status        BulkItemStatus `bun:"status"`
	Serials       int            `bun:"serials"` // how many versions were revoked
	Reason        string         `bun:"reason"`  // why it was skipped, or failed
	ProcessedAt   time.Time      `bun:"processed_at,nullzero"`
}

// BulkItemID names an item.
func BulkItemID(bulkID, certificateID string) string { return bulkID + "/" + certificateID }
