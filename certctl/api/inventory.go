package api

import (
	"encoding/json"
	"time"
)

// Agent is a joined agent.
type Agent struct {
	ID              string    `json:"id"`
	Name            string    `json:"name"`
	Hostname        string    `json:"hostname"`
	Status          string    `json:"status" enum:"Online,Offline,Degraded,Retired"`
	StatusReason    string    `json:"status_reason,omitempty"`
	OS              string    `json:"os,omitempty"`
	Architecture    string    `json:"architecture,omitempty"`
	IPAddress       string    `json:"ip_address,omitempty"`
	Version         string    `json:"version,omitempty"`
	ClockSkewMillis int64     `json:"clock_skew_ms" doc:"The agent's clock minus the server's"`
	LastHeartbeatAt time.Time `json:"last_heartbeat_at,omitzero"`
	RegisteredAt    time.Time `json:"registered_at"`
	RetiredAt       time.Time `json:"retired_at,omitzero"`
	RetiredReason   string    `json:"retired_reason,omitempty"`
	Meta
}

// AgentQuery filters a list of agents; retired ones have a list of their own.
type AgentQuery struct {
	Status []string `query:"status" enum:"Online,Offline,Degraded,Retired"`
	Name   []string `query:"name"`
	ListOptions
}

// RetireOptions of an agent's retirement. With active targets, certificates or
// jobs it takes force and a reason.
type RetireOptions struct {
	Force  bool   `query:"force"`
	Reason string `query:"reason" maxLength:"1024"`
}

// JoinToken lets one agent join, once, until it expires.
type JoinToken struct {
	ID        string    `json:"id"`
	AgentName string    `json:"agent_name,omitempty"`
	CreatedBy string    `json:"created_by"`
	ExpiresAt time.Time `json:"expires_at"`
	UsedAt    time.Time `json:"used_at,omitzero"`
	UsedBy    string    `json:"used_by,omitempty" doc:"Agent ID"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	Meta
}

// JoinTokenRequest creates a join token.
type JoinTokenRequest struct {
	AgentName  string `json:"agent_name,omitempty" maxLength:"128" doc:"The name that the agent gets; its own choice when absent"`
	TTLSeconds int64  `json:"ttl_seconds,omitempty" minimum:"60" maximum:"604800" doc:"1 hour when absent"`
}

// JoinTokenCreated carries the token, once.
type JoinTokenCreated struct {
	JoinToken
	Token string `json:"token" doc:"Shown once; the server keeps a hash"`
}

// Issuer is a configured certificate authority.
type Issuer struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Type        string          `json:"type" doc:"Connector kind"`
	Config      json.RawMessage `json:"config,omitempty" doc:"Secrets are masked"`
	Enabled     bool            `json:"enabled"`
	Source      string          `json:"source,omitempty"`
	TestStatus  string          `json:"test_status" enum:"untested,success,failed"`
	TestMessage string          `json:"test_message,omitempty"`
	TestedAt    time.Time       `json:"last_tested_at,omitzero"`
	Meta
}

// IssuerCreate configures a certificate authority.
type IssuerCreate struct {
	ID      string          `json:"id,omitempty" maxLength:"128" doc:"Made by the server when absent"`
	Name    string          `json:"name" minLength:"1" maxLength:"255"`
	Type    string          `json:"type" minLength:"1" maxLength:"64" doc:"One of the issuer kinds"`
	Config  json.RawMessage `json:"config,omitempty" doc:"As the kind's schema says"`
	Enabled *bool           `json:"enabled,omitempty" doc:"true when absent"`
}

// IssuerUpdate changes the fields that are present.
type IssuerUpdate struct {
	Name    *string         `json:"name,omitempty" minLength:"1" maxLength:"255"`
	Config  json.RawMessage `json:"config,omitempty" doc:"The whole configuration; a secret sent back masked stays as it is"`
	Enabled *bool           `json:"enabled,omitempty"`
}

// IssuerQuery filters a list of issuers.
type IssuerQuery struct {
	Name    []string `query:"name"`
	Type    []string `query:"type"`
	Enabled string   `query:"enabled" enum:"true,false"`
	ListOptions
}

// Target is a place on which certificates are deployed, reached by an agent.
type Target struct {
	ID            string          `json:"id"`
	Name          string          `json:"name"`
	Type          string          `json:"type" doc:"Connector kind"`
	AgentID       string          `json:"agent_id"`
	Config        json.RawMessage `json:"config,omitempty" doc:"Secrets are masked"`
	Paths         []string        `json:"paths,omitempty" doc:"What it writes"`
	Enabled       bool            `json:"enabled"`
	Source        string          `json:"source,omitempty"`
	TestStatus    string          `json:"test_status" enum:"untested,success,failed"`
	TestMessage   string          `json:"test_message,omitempty"`
	TestedAt      time.Time       `json:"last_tested_at,omitzero"`
	RetiredAt     time.Time       `json:"retired_at,omitzero"`
	RetiredReason string          `json:"retired_reason,omitempty"`
	Meta
}

// TargetCreate configures a place to deploy to.
type TargetCreate struct {
	ID      string          `json:"id,omitempty" maxLength:"128" doc:"Made by the server when absent"`
	Name    string          `json:"name" minLength:"1" maxLength:"255"`
	Type    string          `json:"type" minLength:"1" maxLength:"64" doc:"One of the target kinds"`
	AgentID string          `json:"agent_id" minLength:"1" maxLength:"128"`
	Config  json.RawMessage `json:"config,omitempty" doc:"As the kind's schema says"`
	Enabled *bool           `json:"enabled,omitempty" doc:"true when absent"`
}

// TargetUpdate changes the fields that are present.
type TargetUpdate struct {
	Name    *string         `json:"name,omitempty" minLength:"1" maxLength:"255"`
	Config  json.RawMessage `json:"config,omitempty" doc:"The whole configuration; a secret sent back masked stays as it is"`
	Enabled *bool           `json:"enabled,omitempty"`
}

// TargetQuery filters a list of targets.
type TargetQuery struct {
	Name    []string `query:"name"`
	Type    []string `query:"type"`
	AgentID []string `query:"agent_id"`
	Enabled string   `query:"enabled" enum:"true,false"`
	Retired string   `query:"retired" enum:"true,false" doc:"false when absent"`
	ListOptions
}

// TestResult is the outcome of a connection test.
type TestResult struct {
	Status   string    `json:"status" enum:"untested,success,failed"`
	Message  string    `json:"message,omitempty"`
	TestedAt time.Time `json:"tested_at,omitzero"`
}

// Kind describes a connector kind.
type Kind struct {
	Name   string          `json:"name"`
	Title  string          `json:"title"`
	Schema json.RawMessage `json:"schema" doc:"JSON Schema of its configuration"`
}

// CACertificates are the certificates of an issuer.
type CACertificates struct {
	PEM string `json:"pem" doc:"The issuing CA first, the root last if it is known"`
}
