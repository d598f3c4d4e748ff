package api

import "time"

// BulkCriteria say which certificates are meant: those that match everything
// that is given.
type BulkCriteria struct {
	ProfileID      string   `json:"profile_id,omitempty" maxLength:"128"`
	OwnerID        string   `json:"owner_id,omitempty" maxLength:"128"`
	AgentID        string   `json:"agent_id,omitempty" maxLength:"128" doc:"Bound to a target of this agent"`
	IssuerID       string   `json:"issuer_id,omitempty" maxLength:"128"`
	TeamID         string   `json:"team_id,omitempty" maxLength:"128"`
	CertificateIDs []string `json:"certificate_ids,omitempty" maxItems:"10000" doc:"Any of these; each is answered for, also when there is nothing to revoke"`
}

// BulkRevokeRequest revokes many certificates. At least one criterion is
// needed.
type BulkRevokeRequest struct {
	BulkCriteria
	Reason       string    `json:"reason,omitempty" enum:"unspecified,keyCompromise,caCompromise,affiliationChanged,superseded,cessationOfOperation,certificateHold,privilegeWithdrawn" doc:"RFC 5280 section 5.3.1; unspecified when absent"`
	InvalidSince time.Time `json:"invalid_since,omitzero" doc:"Invalidity date (RFC 5280 section 5.3.2); not in the future"`
	DryRun       bool      `json:"dry_run,omitempty" doc:"Only count"`
}

// BulkRevokeResponse tells what was begun.
type BulkRevokeResponse struct {
	JobID         string       `json:"job_id,omitempty" doc:"Of the bulk revocation; absent after a dry run"`
	Criteria      BulkCriteria `json:"criteria"`
	AffectedCount int64        `json:"affected_count" doc:"Certificates that match and have something to revoke, and all that are named"`
	Status        string       `json:"status" enum:"Pending,DryRun"`
}

// BulkRevocation is the revocation of many certificates.
type BulkRevocation struct {
	ID              string       `json:"id"`
	Status          string       `json:"status" enum:"Pending,Running,Completed"`
	Criteria        BulkCriteria `json:"criteria"`
	Reason          string       `json:"reason"`
	InvalidSince    time.Time    `json:"invalid_since,omitzero"`
	RequestedBy     string       `json:"requested_by"`
	RequestedByName string       `json:"requested_by_name,omitempty"`
	AffectedCount   int64        `json:"affected_count"`
	PendingCount    int64        `json:"pending_count" doc:"Not looked at yet"`
	RevokedCount    int64        `json:"revoked_count"`
	SkippedCount    int64        `json:"skipped_count" doc:"There was nothing to revoke"`
	FailedCount     int64        `json:"failed_count"`
	StartedAt       time.Time    `json:"started_at,omitzero"`
	CompletedAt     time.Time    `json:"completed_at,omitzero"`
	Meta
}

// BulkQuery filters a list of bulk revocations.
type BulkQuery struct {
	Status []string `query:"status" enum:"Pending,Running,Completed"`
	ListOptions
}

// BulkItem is what became of one certificate of a bulk revocation.
type BulkItem struct {
	CertificateID  string    `json:"certificate_id"`
	Status         string    `json:"status" enum:"pending,revoked,skipped,failed"`
	RevokedSerials int       `json:"revoked_serials" doc:"How many of its versions were revoked"`
	Reason         string    `json:"reason,omitempty" doc:"Why it was skipped, or failed"`
	ProcessedAt    time.Time `json:"processed_at,omitzero"`
}

// BulkItemQuery filters the items of a bulk revocation.
type BulkItemQuery struct {
	Status        []string `query:"status" enum:"pending,revoked,skipped,failed"`
	CertificateID []string `query:"certificate_id"`
	ListOptions
}
