package certctl

import (
	"encoding/json"
	"time"
)

// AuditEntry is one line of the record: who did what to what, and when. It is
// written in the transaction that it records, and never changed.
type AuditEntry struct {
	ID           string         `bun:"id,pk"`
	At           time.Time      `bun:"at"`
	Actor        string         `bun:"actor"`
	ActorName    string         `bun:"actor_name"`
	ActorType    ActorType      `bun:"actor_type"`
	Action       string         `bun:"action"` // verb in the past: "certificate_requested", "certificate_revoked", …
	ResourceType string         `bun:"resource_type"`
	ResourceID   string         `bun:"resource_id"`
	RequestID    string         `bun:"request_id"`
	Details      map[string]any `bun:"details,type:jsonb"` // never a secret
}

// Event is something that happened, told to whoever reads the outbox. Its
// name and fields are stable.
type Event interface{ event() string }

// Envelope is a stored event.
type Envelope struct {
	Cursor int64           `bun:"cursor,pk,autoincrement"`
	ID     string          `bun:"id"`
	Name   string          `bun:"name"`
	At     time.Time       `bun:"at"`
	Data   json.RawMessage `bun:"data,type:jsonb"`
}

// EventName returns the stable name of an event.
func EventName(e Event) string { return e.event() }

// The events. Each is emitted in the transaction that makes it true.
type (
	CertificateChanged struct {
		CertificateID string            `json:"certificate_id"`
		From          CertificateStatus `json:"from,omitempty"`
		To            CertificateStatus `json:"to"`
		Reason        string            `json:"reason,omitempty"`
	}
	CertificateIssued struct {
		CertificateID string    `json:"certificate_id"`
		VersionID     string    `json:"version_id"`
		Generation    int64     `json:"generation"`
		Serial        string    `json:"serial"`
		NotAfter      time.Time `json:"not_after"`
	}
	RenewalFailed struct {
		CertificateID string    `json:"certificate_id"`
		Error         string    `json:"error"`
		Failures      int       `json:"failures"`
		ExpiresAt     time.Time `json:"expires_at"`
		NextAttempt   time.Time `json:"next_attempt,omitzero"`
	}
	ExpirationWarning struct {
		CertificateID string    `json:"certificate_id"`
		ThresholdDays int       `json:"threshold_days"`
		ExpiresAt     time.Time `json:"expires_at"`
	}
	DeploymentFinished struct {
		CertificateID string       `json:"certificate_id"`
		TargetID      string       `json:"target_id"`
		Generation    int64        `json:"generation"`
		State         BindingState `json:"state"`
		Error         string       `json:"error,omitempty"`
	}
	CertificateVersionRevoked struct {
		CertificateID string `json:"certificate_id"`
		Serial        string `json:"serial"`
		Reason        string `json:"reason"`
	}
	// CertificateVersionReleased: a hold was lifted.
	CertificateVersionReleased struct {
		CertificateID string `json:"certificate_id"`
		Serial        string `json:"serial"`
	}
	BulkRevocationFinished struct {
		BulkID  string `json:"bulk_id"`
		Revoked int64  `json:"revoked"`
		Skipped int64  `json:"skipped"`
		Failed  int64  `json:"failed"`
	}
	AgentChanged struct {
		AgentID string      `json:"agent_id"`
		From    AgentStatus `json:"from,omitempty"`
		To      AgentStatus `json:"to"`
		Reason  string      `json:"reason,omitempty"`
	}
	JobFinished struct {
		JobID         string    `json:"job_id"`
		Type          JobType   `json:"type"`
		CertificateID string    `json:"certificate_id"`
		Status        JobStatus `json:"status"`
		Error         string    `json:"error,omitempty"`
	}
)

func (CertificateChanged) event() string         { return "certificate.changed" }
func (CertificateIssued) event() string          { return "certificate.issued" }
func (RenewalFailed) event() string              { return "certificate.renewal_failed" }
func (ExpirationWarning) event() string          { return "certificate.expiration_warning" }
func (DeploymentFinished) event() string         { return "deployment.finished" }
func (CertificateVersionRevoked) event() string  { return "certificate.revoked" }
func (CertificateVersionReleased) event() string { return "certificate.released" }
func (BulkRevocationFinished) event() string     { return "bulk_revocation.finished" }
func (AgentChanged) event() string               { return "agent.changed" }
func (JobFinished) event() string                { return "job.finished" }

// Lease is one scheduler loop's row: whoever holds it runs the tick.
type Lease struct {
	Name       string    `bun:"name,pk"`
	Holder     string    `bun:"holder"`
	Fence      int64     `bun:"fence"` // rises with every taking
	LeaseUntil time.Time `bun:"lease_until,nullzero"`
	LastRun    time.Time `bun:"last_run,nullzero"` // when the last tick was begun
	LastError  string    `bun:"last_error"`
}

// IdempotencyRecord remembers the answer to a keyed request.
type IdempotencyRecord struct {
	ID          string    `bun:"id,pk"`        // actor ID + "/" + operation + "/" + key
	RequestHash string    `bun:"request_hash"` // hex SHA-256 of method, path and body
	Status      int       `bun:"status"`       // 0 while in flight
	Header      string    `bun:"header"`       // JSON object
	Body        []byte    `bun:"body"`
	ExpiresAt   time.Time `bun:"expires_at"`
	Meta
}

// VaultItem is a small sealed value that a connector must keep: a CA key, an
// account key.
type VaultItem struct {
	Owner     string    `bun:"owner,pk"` // issuer or target ID
	Name      string    `bun:"name,pk"`
	Sealed    []byte    `bun:"sealed"`
	CreatedAt time.Time `bun:"created_at"`
}
