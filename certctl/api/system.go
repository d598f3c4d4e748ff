package api

import "time"

// Health is the answer of /health and /ready.
type Health struct {
	Status string `json:"status" enum:"healthy,ready,db_unavailable"`
}

// Version tells what is running.
type Version struct {
	Version   string `json:"version"`
	Commit    string `json:"commit,omitempty"`
	Modified  bool   `json:"modified,omitempty" doc:"Built from files that were not committed"`
	BuildTime string `json:"build_time,omitempty"`
	GoVersion string `json:"go_version,omitempty"`
}

// Summary is the fleet in numbers.
type Summary struct {
	TotalCertificates    int64            `json:"total_certificates" doc:"Archived ones are not counted"`
	CertificatesByStatus map[string]int64 `json:"certificates_by_status"`
	TotalAgents          int64            `json:"total_agents" doc:"Retired ones are not counted"`
	AgentsByStatus       map[string]int64 `json:"agents_by_status"`
	JobsByStatus         map[string]int64 `json:"jobs_by_status"`
	BindingsByState      map[string]int64 `json:"bindings_by_state"`
	NextExpiry           time.Time        `json:"next_expiry,omitzero"`
	CompletedAt          time.Time        `json:"completed_at"`
}

// AuditEntry is one line of the record.
type AuditEntry struct {
	ID           string         `json:"id"`
	Timestamp    time.Time      `json:"timestamp"`
	Actor        string         `json:"actor"`
	ActorName    string         `json:"actor_name,omitempty"`
	ActorType    string         `json:"actor_type"`
	Action       string         `json:"action" doc:"A verb in the past: certificate_requested, certificate_revoked, …"`
	ResourceType string         `json:"resource_type"`
	ResourceID   string         `json:"resource_id"`
	RequestID    string         `json:"request_id,omitempty"`
	Details      map[string]any `json:"details,omitempty"`
}

// AuditQuery filters the record.
type AuditQuery struct {
	Actor        []string  `query:"actor"`
	Action       []string  `query:"action"`
	ResourceType []string  `query:"resource_type"`
	ResourceID   []string  `query:"resource_id"`
	Since        time.Time `query:"since"`
	Until        time.Time `query:"until"`
	ListOptions
}
