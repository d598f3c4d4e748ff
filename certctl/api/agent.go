package api

import (
	"encoding/json"
	"time"
)

// The agent's protocol. An agent joins once with a token, then speaks with its
// own credential and sees nothing but its own work.

// JoinRequest is sent once, with the join token as bearer token.
type JoinRequest struct {
	Name         string `json:"name,omitempty" doc:"Name of the agent; the token's own, or the host name, when empty" maxLength:"128"`
	Hostname     string `json:"hostname" doc:"Host name of the machine" maxLength:"255"`
	OS           string `json:"os,omitempty" maxLength:"64"`
	Architecture string `json:"architecture,omitempty" maxLength:"64"`
	Version      string `json:"version,omitempty" maxLength:"64"`
}

// JoinResponse carries the agent's credential, once.
type JoinResponse struct {
	AgentID    string `json:"agent_id"`
	Name       string `json:"name"`
	Credential string `json:"credential" doc:"Shown once; the server keeps a hash"`
}

// CredentialResponse is the answer to a rotation: the old credential works
// until OldUntil.
type CredentialResponse struct {
	Credential string    `json:"credential" doc:"Shown once; the server keeps a hash"`
	OldUntil   time.Time `json:"old_until"`
}

// Heartbeat tells that the agent lives, and on what.
type Heartbeat struct {
	Hostname     string    `json:"hostname" maxLength:"255"`
	OS           string    `json:"os" maxLength:"64"`
	Architecture string    `json:"architecture" maxLength:"64"`
	Version      string    `json:"version" maxLength:"64"`
	IPAddress    string    `json:"ip_address,omitempty" maxLength:"64"`
	Clock        time.Time `json:"clock" doc:"The agent's own time; the server tells skew"`
	Problem      string    `json:"problem,omitempty" doc:"What is wrong on the agent's side, if anything" maxLength:"1024"`
}

// HeartbeatResponse tells the agent what the server makes of it.
type HeartbeatResponse struct {
	Status          string    `json:"status" enum:"Online,Degraded"`
	ServerTime      time.Time `json:"server_time"`
	IntervalSeconds int       `json:"interval_seconds" doc:"When to send the next one"`
}

// WorkRequest claims work, waiting for some at most WaitSeconds.
type WorkRequest struct {
	WaitSeconds int  `json:"wait_seconds,omitempty" minimum:"0" maximum:"60"`
	Fresh       bool `json:"fresh,omitempty" doc:"The first of a new process: what the one before had claimed is given up"`
	Max         int  `json:"max,omitempty" minimum:"0" maximum:"16" doc:"At most so many items; 0 is 1"`
}

// WorkResponse is what was claimed; empty when there was nothing.
type WorkResponse struct {
	Work []Work `json:"work"`
}

// Kinds of work.
const (
	WorkCSR    = "csr"    // make a key, send a CSR
	WorkDeploy = "deploy" // put the certificate onto the target and prove it
)

// Work is one claimed job. The lease is the agent's until LeaseUntil; a report
// or Extend with the Fence after that may be refused, and then the work is
// somebody else's.
type Work struct {
	JobID         string    `json:"job_id"`
	Kind          string    `json:"kind" enum:"csr,deploy"`
	Fence         int64     `json:"fence"`
	LeaseUntil    time.Time `json:"lease_until"`
	CertificateID string    `json:"certificate_id"`
	Generation    int64     `json:"generation"`

	// For csr.
	CommonName   string   `json:"common_name,omitempty"`
	SANs         []string `json:"sans,omitempty"`
	KeyAlgorithm string   `json:"key_algorithm,omitempty" doc:"ECDSA-P256, ECDSA-P384, RSA-2048, RSA-3072, RSA-4096 or Ed25519"`

	// For deploy.
	TargetID     string          `json:"target_id,omitempty"`
	TargetType   string          `json:"target_type,omitempty"`
	TargetConfig json.RawMessage `json:"target_config,omitempty" doc:"With real values: for this agent alone"`
	CertPEM      string          `json:"cert_pem,omitempty"`
	ChainPEM     string          `json:"chain_pem,omitempty"`
	RootsPEM     string          `json:"roots_pem,omitempty" doc:"What a relying party trusts; the probe judges by it"`
}

// CSRSubmission answers work of kind csr.
type CSRSubmission struct {
	Fence  int64  `json:"fence"`
	CSRPEM string `json:"csr_pem" doc:"At most 65536 octets"`
}

// Outcomes of a deployment, as in package target.
const (
	OutcomeDeployed       = "deployed"
	OutcomeUnchanged      = "unchanged"
	OutcomeRolledBack     = "rolled_back"
	OutcomeNotStarted     = "not_started"
	OutcomeRollbackFailed = "rollback_failed"
)

// Report answers work: of kind deploy in all cases, of kind csr only when the
// agent could not make one.
type Report struct {
	Fence    int64         `json:"fence"`
	Outcome  string        `json:"outcome" enum:"deployed,unchanged,rolled_back,not_started,rollback_failed"`
	Final    bool          `json:"final,omitempty" doc:"Repeating the same work cannot succeed"`
	Error    string        `json:"error,omitempty" maxLength:"4096"`
	Output   string        `json:"output,omitempty" maxLength:"65536" doc:"Of commands; no secrets"`
	Observed []Observation `json:"observed,omitempty"`
}

// LeaseExtension keeps a claimed job.
type LeaseExtension struct {
	Fence int64 `json:"fence"`
}

// LeaseResponse says until when the job is the agent's.
type LeaseResponse struct {
	LeaseUntil time.Time `json:"lease_until"`
}

// Observation is what a TLS probe saw at one endpoint.
type Observation struct {
	Endpoint    string    `json:"endpoint"`
	ServerName  string    `json:"server_name,omitempty"`
	Fingerprint string    `json:"fingerprint_sha256,omitempty"`
	Serial      string    `json:"serial,omitempty"`
	Subject     string    `json:"subject,omitempty"`
	Issuer      string    `json:"issuer,omitempty"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	TLSVersion  string    `json:"tls_version,omitempty"`
	CipherSuite string    `json:"cipher_suite,omitempty"`
	ChainLength int       `json:"chain_length,omitempty"`
	ChainOK     bool      `json:"chain_ok"`
	NameOK      bool      `json:"name_ok"`
	Served      bool      `json:"served"`
	Problem     string    `json:"problem,omitempty"`
	At          time.Time `json:"at"`
	Millis      int64     `json:"millis"`
}
