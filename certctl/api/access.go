package api

import "time"

// Roles of API keys.
const (
	RoleAdmin    = "admin"    // everything
	RoleOperator = "operator" // also issues, deploys, renews, revokes, lets agents join
	RoleViewer   = "viewer"   // reads, but no keys and tokens
	RoleAgent    = "agent"    // its own agent's work; got by joining
)

// APIKey is a credential of a person or a program. Its secret is never shown
// again.
type APIKey struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Role       string    `json:"role" enum:"admin,operator,viewer,agent"`
	AgentID    string    `json:"agent_id,omitempty"`
	CreatedBy  string    `json:"created_by"`
	ExpiresAt  time.Time `json:"expires_at,omitzero" doc:"Absent: does not expire"`
	OldUntil   time.Time `json:"old_until,omitzero" doc:"Until when the secret before the last rotation works"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
	Meta
}

// APIKeyCreate makes an API key.
type APIKeyCreate struct {
	Name       string `json:"name" minLength:"1" maxLength:"255"`
	Role       string `json:"role" enum:"admin,operator,viewer"`
	TTLSeconds int64  `json:"ttl_seconds,omitempty" minimum:"0" maximum:"3153600000" doc:"Does not expire when absent"`
}

// APIKeyRotate gives a key a new secret.
type APIKeyRotate struct {
	OverlapSeconds int64 `json:"overlap_seconds,omitempty" minimum:"0" maximum:"604800" doc:"How long the old secret still works; not at all when absent"`
}

// APIKeySecret carries a key's secret, once.
type APIKeySecret struct {
	APIKey
	Key string `json:"key" doc:"Shown once; the server keeps a hash"`
}

// APIKeyQuery filters a list of API keys.
type APIKeyQuery struct {
	Name    []string `query:"name"`
	Role    []string `query:"role" enum:"admin,operator,viewer,agent"`
	Revoked string   `query:"revoked" enum:"true,false"`
	ListOptions
}

// AuthInfo tells how to authenticate.
type AuthInfo struct {
	AuthType string `json:"auth_type" enum:"api-key,none"`
	Required bool   `json:"required"`
}

// AuthCheck tells whom the server takes the caller for.
type AuthCheck struct {
	Status  string `json:"status" enum:"authenticated"`
	User    string `json:"user" doc:"Name of the key"`
	ID      string `json:"id"`
	Type    string `json:"type" enum:"User,APIKey,Agent,System"`
	Role    string `json:"role" enum:"admin,operator,viewer,agent"`
	Admin   bool   `json:"admin"`
	AgentID string `json:"agent_id,omitempty"`
}
