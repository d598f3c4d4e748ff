package certctl

import (
	"encoding/json"
	"time"
)

// Meta is on every row that people edit. The store fills it: Insert sets
// Revision to 1, Update adds one and refuses with ErrStale when the row has
// moved on. It is the ETag of the HTTP API.
type Meta struct {
	CreatedAt time.Time `bun:"created_at"`
	UpdatedAt time.Time `bun:"updated_at"`
	Revision  int64     `bun:"revision"`
}

// Team groups owners.
type Team struct {
	ID          string `bun:"id,pk"`
	Name        string `bun:"name"` // unique
	Description string `bun:"description"`
	Meta
}

// Owner is the person or rota that answers for certificates.
type Owner struct {
	ID     string `bun:"id,pk"`
	Name   string `bun:"name"` // unique
	Email  string `bun:"email"`
	TeamID string `bun:"team_id,nullzero"`
	Meta
}

// Issuer is a configured certificate authority.
type Issuer struct {
	ID           string          `bun:"id,pk"`
	Name         string          `bun:"name"` // unique
	Type         string          `bun:"type"` // connector kind: "local", …
	Config       json.RawMessage `bun:"config,type:jsonb"`
	SealedConfig []byte          `bun:"sealed_config"` // the whole configuration, sealed; Config is its masked form
	Enabled      bool            `bun:"enabled"`
	Source       string          `bun:"source"` // "env" or "database"
	TestStatus   TestStatus      `bun:"test_status"`
	TestMessage  string          `bun:"test_message"`
	TestedAt     time.Time       `bun:"tested_at,nullzero"`
	Meta
}

// Target is a place on which certificates are deployed, reached by an agent.
type Target struct {
	ID           string          `bun:"id,pk"`
	Name         string          `bun:"name"`     // unique per agent
	Type         string          `bun:"type"`     // connector kind: "nginx", "files", …
	AgentID      string          `bun:"agent_id"` // who deploys to it
	Config       json.RawMessage `bun:"config,type:jsonb"`
	SealedConfig []byte          `bun:"sealed_config"`
	Paths        []string        `bun:"paths,type:jsonb"` // what it writes; two targets of an agent never share one
	Enabled      bool            `bun:"enabled"`
	Source       string          `bun:"source"`
	TestStatus   TestStatus      `bun:"test_status"`
	TestMessage  string          `bun:"test_message"`
	TestedAt     time.Time       `bun:"tested_at,nullzero"`
	RetiredAt    time.Time       `bun:"retired_at,nullzero"`
	RetiredWhy   string          `bun:"retired_reason"`
	Meta
}

// Agent is a joined agent.
type Agent struct {
	ID              string      `bun:"id,pk"`
	Name            string      `bun:"name"` // unique
	Hostname        string      `bun:"hostname"`
	Status          AgentStatus `bun:"status"`
	StatusReason    string      `bun:"status_reason"`
	OS              string      `bun:"os"`
	Architecture    string      `bun:"architecture"`
	IPAddress       string      `bun:"ip_address"`
	Version         string      `bun:"version"`
	ClockSkewMillis int64       `bun:"clock_skew_ms"` // agent's clock minus ours
	LastHeartbeatAt time.Time   `bun:"last_heartbeat_at,nullzero"`
	RegisteredAt    time.Time   `bun:"registered_at"`
	RetiredAt       time.Time   `bun:"retired_at,nullzero"`
	RetiredWhy      string      `bun:"retired_reason"`
	Meta
}

// JoinToken lets one agent join, once, until it expires. Only its hash is kept.
type JoinToken struct {
	ID        string    `bun:"id,pk"`
	Hash      string    `bun:"hash"`       // hex SHA-256 of the token; unique
	AgentName string    `bun:"agent_name"` // when set, the name the agent gets
	CreatedBy string    `bun:"created_by"`
	ExpiresAt time.Time `bun:"expires_at"`
	UsedAt    time.Time `bun:"used_at,nullzero"`
	UsedBy    string    `bun:"used_by"` // agent ID
	RevokedAt time.Time `bun:"revoked_at,nullzero"`
	Meta
}

// APIKey is a credential of a person, a program or an agent. Only its hash is
// kept. During a rotation two secrets of one key work: the new one and, until
// OldUntil, the old one.
type APIKey struct {
	ID         string    `bun:"id,pk"`
	Name       string    `bun:"name"` // unique
	Role       Role      `bun:"role"`
	AgentID    string    `bun:"agent_id,nullzero"` // set when Role is agent
	Hash       string    `bun:"hash"`              // hex SHA-256 of the secret; unique
	OldHash    string    `bun:"old_hash,nullzero"` // unique
	OldUntil   time.Time `bun:"old_until,nullzero"`
	CreatedBy  string    `bun:"created_by"`
	ExpiresAt  time.Time `bun:"expires_at,nullzero"` // zero: does not expire
	LastUsedAt time.Time `bun:"last_used_at,nullzero"`
	RevokedAt  time.Time `bun:"revoked_at,nullzero"`
	Meta
}

// KeyRule allows one kind of key from a minimal size on. Algorithm is RSA
// (size in bits), ECDSA (256, 384, 521) or Ed25519 (size ignored).
type KeyRule struct {
	Algorithm string `json:"algorithm"`
	MinSize   int    `json:"min_size,omitempty"`
}

// Profile says what a certificate may be.
type Profile struct {
	ID                   string        `bun:"id,pk"`
	Name                 string        `bun:"name"` // unique
	Description          string        `bun:"description"`
	AllowedKeyAlgorithms []KeyRule     `bun:"allowed_key_algorithms,type:jsonb"` // empty: RSA ≥ 2048, ECDSA ≥ 256, Ed25519
	MaxTTL               time.Duration `bun:"max_ttl"`                           // 0: the issuer decides
	AllowedEKUs          []string      `bun:"allowed_ekus,type:jsonb"`           // names of EKUs; empty: serverAuth
	RequiredSANPatterns  []string      `bun:"required_san_patterns,type:jsonb"`  // regular expressions, anchored; every SAN matches one
	SPIFFEURIPattern     string        `bun:"spiffe_uri_pattern"`                // regular expression, anchored, for URI SANs
	AllowShortLived      bool          `bun:"allow_short_lived"`                 // with 0 < MaxTTL < 1 h: no CRL and OCSP, noRevAvail instead
	Enabled              bool          `bun:"enabled"`
	Meta
}

// ShortLived reports whether certificates of this profile are exempt from
// revocation (RFC 9608): allowed, and never valid for an hour or more.
func (p *Profile) ShortLived() bool {
	return p != nil && p.AllowShortLived && p.MaxTTL > 0 && p.MaxTTL < time.Hour
}

// RenewalPolicy says when a certificate is renewed and how often people hear
// of it.
type RenewalPolicy struct {
	ID                  string        `bun:"id,pk"`
	Name                string        `bun:"name"` // unique
	AutoRenew           bool          `bun:"auto_renew"`
	RenewalWindowDays   int           `bun:"renewal_window_days"`              // 1–365; 0: the last RemainingFraction of the lifetime
	RemainingFraction   float64       `bun:"remaining_fraction"`               // 0 < f < 1; default 1/3
	MaxRetries          int           `bun:"max_retries"`                      // of one job, 0–10
	RetryInterval       time.Duration `bun:"retry_interval"`                   // the first pause between attempts; doubles, with jitter
	AlertThresholdsDays []int         `bun:"alert_thresholds_days,type:jsonb"` // default 30, 14, 7, 0
	ProfileID           string        `bun:"profile_id,nullzero"`
	Meta
}
