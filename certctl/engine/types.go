package engine

import (
	"encoding/json"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/revocation"
)

// CertificateRequest asks for a managed certificate.
type CertificateRequest struct {
	ID              string // optional; made when empty
	Name            string // unique; the common name when empty
	CommonName      string
	SANs            []string
	Environment     string
	OwnerID         string
	TeamID          string
	IssuerID        string // required unless exactly one issuer is enabled
	RenewalPolicyID string // "rp-default" when empty
	ProfileID       string
	KeyAlgorithm    string        // for agents; "ECDSA-P256" when empty
	TTL             time.Duration // 0: the profile's or issuer's
	TargetIDs       []string      // bound at once
	Tags            map[string]string
	CSRPEM          string // when the key exists already; refused together with TargetIDs
	Source          string // "API" when empty
}

// CertificateChange is a partial update: nil leaves a field as it is. Names,
// issuer and profile take effect with the next generation.
type CertificateChange struct {
	Name, CommonName, Environment, OwnerID, TeamID, IssuerID, RenewalPolicyID, ProfileID, KeyAlgorithm *string
	SANs                                                                                               *[]string
	TTL                                                                                                *time.Duration
	Tags                                                                                               *map[string]string
}

// RenewOptions of Renew.
type RenewOptions struct {
	Force  bool   // also when a job is live that waits for nobody: it is cancelled first
	CSRPEM string // for certificates without a target
}

// RevokeOptions of Revoke.
type RevokeOptions struct {
	Reason revocation.Reason
	Serial string // one version only; empty: every unexpired version, and the certificate becomes Revoked
	// InvalidSince is since when the certificate must not be trusted (RFC 5280
	// section 5.3.2), if that is known; not in the future.
	InvalidSince time.Time
}

// Export is a certificate for whoever has its key.
type Export struct {
	Serial                     string
	CertPEM, ChainPEM, FullPEM string
}

// Issuance is what RequestCertificate and Renew answer.
type Issuance struct {
	Certificate *certctl.Certificate
	Job         *certctl.Job
}

// ConnectorInput creates or changes an issuer or a target; nil and empty
// leave a field as it is on a change.
type ConnectorInput struct {
	ID      string
	Name    string
	Type    string
	AgentID string          // targets only
	Config  json.RawMessage // strict; a masked secret keeps the stored one
	Enabled *bool
}

// KindInfo describes a connector kind for forms and documentation.
type KindInfo struct {
	Name, Title string
	Schema      json.RawMessage
}

// JoinTokenInput of CreateJoinToken.
type JoinTokenInput struct {
	AgentName string
	TTL       time.Duration // 1 h when 0; at most 7 days
}

// APIKeyInput of CreateAPIKey.
type APIKeyInput struct {
	Name string
	Role certctl.Role
	TTL  time.Duration // 0: does not expire
}

// Work is what an agent gets: a claimed job with all that it needs.
type Work struct {
	Job         *certctl.Job
	Certificate *certctl.Certificate
	Version     *certctl.CertificateVersion // deployments
	Target      *certctl.Target             // deployments
	Config      json.RawMessage             // deployments: the target's, with real values
	RootsPEM    string                      // deployments
}

// AgentReport is an agent's answer to a job.
type AgentReport struct {
	Fence    int64
	Outcome  string // as in package target
	Final    bool
	Error    string
	Output   string
	Observed []certctl.Observation
}

// AgentFacts are told by a heartbeat or a join.
type AgentFacts struct {
	Name, Hostname, OS, Architecture, Version, IPAddress, Problem string
	Clock                                                         time.Time // the agent's; zero: not told
}
