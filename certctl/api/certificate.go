package api

import "time"

// Certificate is a managed certificate.
type Certificate struct {
	ID                   string            `json:"id"`
	Name                 string            `json:"name"`
	CommonName           string            `json:"common_name,omitempty"`
	SANs                 []string          `json:"sans" nullable:"false"`
	Environment          string            `json:"environment,omitempty"`
	OwnerID              string            `json:"owner_id,omitempty"`
	TeamID               string            `json:"team_id,omitempty"`
	IssuerID             string            `json:"issuer_id"`
	RenewalPolicyID      string            `json:"renewal_policy_id"`
	CertificateProfileID string            `json:"certificate_profile_id,omitempty"`
	KeyAlgorithm         string            `json:"key_algorithm"`
	TTLSeconds           int64             `json:"ttl_seconds,omitempty" doc:"Wanted lifetime; absent: the profile's or the issuer's"`
	TargetIDs            []string          `json:"target_ids,omitempty" doc:"Targets that it is bound to; on single certificates, not in lists"`
	Tags                 map[string]string `json:"tags,omitempty"`
	Source               string            `json:"source,omitempty"`

	Status           string    `json:"status" enum:"Pending,Active,Expiring,Expired,RenewalInProgress,Failed,Revoked,Archived"`
	StatusReason     string    `json:"status_reason,omitempty" doc:"One sentence: why, what next, when"`
	Generation       int64     `json:"generation" doc:"Of the newest version; 0 before the first"`
	SerialNumber     string    `json:"serial_number,omitempty" doc:"Of the current version: lower-case hexadecimal without leading zeros"`
	Fingerprint      string    `json:"fingerprint_sha256,omitempty"`
	NotBefore        time.Time `json:"not_before,omitzero"`
	ExpiresAt        time.Time `json:"expires_at,omitzero"`
	RenewAt          time.Time `json:"renew_at,omitzero" doc:"When the next automatic renewal begins; absent: never"`
	LastRenewalAt    time.Time `json:"last_renewal_at,omitzero"`
	LastDeploymentAt time.Time `json:"last_deployment_at,omitzero"`
	RevokedAt        time.Time `json:"revoked_at,omitzero"`
	RevocationReason string    `json:"revocation_reason,omitempty"`
	RenewalFailures  int       `json:"renewal_failures" doc:"In a row"`
	Meta
}

// CertificateCreated is a new certificate and the job that issues it.
type CertificateCreated struct {
	Certificate
	JobID string `json:"job_id"`
}

// CertificateRequest asks for a managed certificate.
type CertificateRequest struct {
	ID                   string            `json:"id,omitempty" maxLength:"128" doc:"Made by the server when absent"`
	Name                 string            `json:"name,omitempty" maxLength:"255" doc:"Unique; the common name or the first SAN when absent"`
	CommonName           string            `json:"common_name,omitempty" maxLength:"253"`
	SANs                 []string          `json:"sans,omitempty" maxItems:"1000" doc:"DNS names, IP addresses, e-mail addresses, URIs"`
	Environment          string            `json:"environment,omitempty" maxLength:"255"`
	OwnerID              string            `json:"owner_id,omitempty" maxLength:"128"`
	TeamID               string            `json:"team_id,omitempty" maxLength:"128"`
	IssuerID             string            `json:"issuer_id,omitempty" maxLength:"128" doc:"Required unless exactly one issuer is enabled"`
	RenewalPolicyID      string            `json:"renewal_policy_id,omitempty" maxLength:"128" doc:"rp-default when absent"`
	CertificateProfileID string            `json:"certificate_profile_id,omitempty" maxLength:"128"`
	KeyAlgorithm         string            `json:"key_algorithm,omitempty" enum:"ECDSA-P256,ECDSA-P384,RSA-2048,RSA-3072,RSA-4096,Ed25519" doc:"What the agent makes; ECDSA-P256 when absent"`
	TTLSeconds           int64             `json:"ttl_seconds,omitempty" minimum:"0" maximum:"3153600000"`
	TargetIDs            []string          `json:"target_ids,omitempty" maxItems:"100" doc:"Bound at once"`
	Tags                 map[string]string `json:"tags,omitempty"`
	CSRPEM               string            `json:"csr_pem,omitempty" doc:"At most 65536 octets; when the key exists already; not together with target_ids, whose agent makes the key"`
}

// CertificateUpdate changes the fields that are present. Names, issuer and
// profile take effect with the next version.
type CertificateUpdate struct {
	Name                 *string            `json:"name,omitempty" maxLength:"255"`
	CommonName           *string            `json:"common_name,omitempty" maxLength:"253"`
	SANs                 *[]string          `json:"sans,omitempty" maxItems:"1000"`
	Environment          *string            `json:"environment,omitempty" maxLength:"255"`
	OwnerID              *string            `json:"owner_id,omitempty" maxLength:"128"`
	TeamID               *string            `json:"team_id,omitempty" maxLength:"128"`
	IssuerID             *string            `json:"issuer_id,omitempty" maxLength:"128"`
	RenewalPolicyID      *string            `json:"renewal_policy_id,omitempty" maxLength:"128"`
	CertificateProfileID *string            `json:"certificate_profile_id,omitempty" maxLength:"128"`
	KeyAlgorithm         *string            `json:"key_algorithm,omitempty" enum:"ECDSA-P256,ECDSA-P384,RSA-2048,RSA-3072,RSA-4096,Ed25519"`
	TTLSeconds           *int64             `json:"ttl_seconds,omitempty" minimum:"0" maximum:"3153600000"`
	Tags                 *map[string]string `json:"tags,omitempty"`
}

// CertificateQuery filters a list of certificates. A list of values means any
// of them.
type CertificateQuery struct {
	Status          []string  `query:"status" enum:"Pending,Active,Expiring,Expired,RenewalInProgress,Failed,Revoked,Archived"`
	Name            []string  `query:"name"`
	Environment     []string  `query:"environment"`
	OwnerID         []string  `query:"owner_id"`
	TeamID          []string  `query:"team_id"`
	IssuerID        []string  `query:"issuer_id"`
	AgentID         []string  `query:"agent_id" doc:"Bound to a target of one of these agents"`
	TargetID        []string  `query:"target_id"`
	ProfileID       []string  `query:"profile_id"`
	RenewalPolicyID []string  `query:"renewal_policy_id"`
	SerialNumber    string    `query:"serial_number" maxLength:"96" doc:"Of any version; upper case and colons do no harm"`
	Fingerprint     string    `query:"fingerprint_sha256" maxLength:"96" doc:"Of any version"`
	Search          string    `query:"search" maxLength:"253" doc:"Part of the name, the common name or a SAN"`
	ExpiresBefore   time.Time `query:"expires_before"`
	ExpiresAfter    time.Time `query:"expires_after"`
	CreatedAfter    time.Time `query:"created_after"`
	UpdatedAfter    time.Time `query:"updated_after"`
	ListOptions
}

// CertificateVersion is one certificate that a CA signed.
type CertificateVersion struct {
	ID            string    `json:"id"`
	CertificateID string    `json:"certificate_id"`
	Generation    int64     `json:"generation" doc:"1, 2, …"`
	IssuerID      string    `json:"issuer_id"`
	SerialNumber  string    `json:"serial_number"`
	Fingerprint   string    `json:"fingerprint_sha256"`
	SubjectCN     string    `json:"subject_cn,omitempty"`
	NotBefore     time.Time `json:"not_before"`
	NotAfter      time.Time `json:"not_after"`
	KeyAlgorithm  string    `json:"key_algorithm"`
	KeySize       int       `json:"key_size" doc:"Bits"`
	CertPEM       string    `json:"cert_pem"`
	ChainPEM      string    `json:"chain_pem" doc:"The leaf's issuer first, the root left out"`
	CSRPEM        string    `json:"csr_pem,omitempty"`
	NoRevocation  bool      `json:"no_revocation,omitempty" doc:"Short-lived: exempt from CRL and OCSP (RFC 9608)"`
	CreatedAt     time.Time `json:"created_at"`
	// Revocation is set while the version is revoked, or on hold.
	Revocation *Revocation `json:"revocation,omitempty" doc:"While it is revoked, or on hold"`
}

// Binding says that a certificate belongs on a target, and what is there.
type Binding struct {
	ID                 string        `json:"id"`
	CertificateID      string        `json:"certificate_id"`
	TargetID           string        `json:"target_id"`
	State              string        `json:"state" enum:"Pending,InSync,OutOfSync,Failed,RollbackFailed"`
	StateReason        string        `json:"state_reason,omitempty"`
	DeployedGeneration int64         `json:"deployed_generation" doc:"0: none"`
	DeployedSerial     string        `json:"deployed_serial,omitempty"`
	DeployedAt         time.Time     `json:"deployed_at,omitzero"`
	Failures           int           `json:"failures" doc:"In a row"`
	RetryAt            time.Time     `json:"retry_at,omitzero"`
	VerificationStatus string        `json:"verification_status" enum:"pending,success,failed,skipped"`
	VerifiedAt         time.Time     `json:"verified_at,omitzero"`
	Observed           []Observation `json:"observed,omitempty" doc:"What the last probe saw"`
	Meta
}

// Deployment is a binding together with its target.
type Deployment struct {
	Binding
	Target DeploymentTarget `json:"target"`
}

// DeploymentTarget is the target of a Deployment in short.
type DeploymentTarget struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Type    string `json:"type"`
	AgentID string `json:"agent_id"`
	Enabled bool   `json:"enabled"`
}

// RenewRequest asks for a new version now.
type RenewRequest struct {
	Force  bool   `json:"force,omitempty" doc:"Also when a job is live that waits: it is cancelled first"`
	CSRPEM string `json:"csr_pem,omitempty" doc:"At most 65536 octets; for certificates without a target"`
}

// RenewResponse tells the job that renews.
type RenewResponse struct {
	Status string `json:"status" enum:"renewal_triggered"`
	JobID  string `json:"job_id"`
}

// DeployRequest asks for a deployment now.
type DeployRequest struct {
	TargetID string `json:"target_id,omitempty" maxLength:"128" doc:"All bindings when absent"`
}

// DeployResponse tells the jobs that deploy.
type DeployResponse struct {
	Status string   `json:"status" enum:"deployment_triggered"`
	JobIDs []string `json:"job_ids" nullable:"false"`
}

// RevokeRequest revokes a certificate.
type RevokeRequest struct {
	Reason       string    `json:"reason,omitempty" enum:"unspecified,keyCompromise,caCompromise,affiliationChanged,superseded,cessationOfOperation,certificateHold,privilegeWithdrawn" doc:"RFC 5280 section 5.3.1; unspecified when absent"`
	SerialNumber string    `json:"serial_number,omitempty" maxLength:"96" doc:"One version only; absent: every version that has not expired, and the certificate becomes Revoked"`
	InvalidSince time.Time `json:"invalid_since,omitzero" doc:"Invalidity date (RFC 5280 section 5.3.2): since when the certificate must not be trusted, if that is known; not in the future"`
}

// HoldRequest puts a certificate on hold.
type HoldRequest struct {
	SerialNumber string `json:"serial_number,omitempty" maxLength:"96" doc:"One version only; absent: every version that has not expired, and the certificate becomes Revoked with reason certificateHold"`
}

// HoldResponse tells what is on hold.
type HoldResponse struct {
	Status      string       `json:"status" enum:"held"`
	Revocations []Revocation `json:"revocations" nullable:"false"`
}

// ReleaseRequest lifts a hold.
type ReleaseRequest struct {
	SerialNumber string `json:"serial_number,omitempty" maxLength:"96" doc:"One version only; absent: every version on hold"`
}

// ReleaseResponse tells what was released.
type ReleaseResponse struct {
	Status      string       `json:"status" enum:"released"`
	Revocations []Revocation `json:"revocations" nullable:"false"`
}

// RevokeResponse tells what was revoked.
type RevokeResponse struct {
	Status      string       `json:"status" enum:"revoked"`
	Revocations []Revocation `json:"revocations" nullable:"false"`
}

// Revocation is one revoked serial.
type Revocation struct {
	ID             string    `json:"id"`
	CertificateID  string    `json:"certificate_id"`
	VersionID      string    `json:"version_id"`
	IssuerID       string    `json:"issuer_id"`
	SerialNumber   string    `json:"serial_number"`
	Reason         string    `json:"reason"`
	RevokedAt      time.Time `json:"revoked_at"`
	RevokedBy      string    `json:"revoked_by"`
	InvalidSince   time.Time `json:"invalid_since,omitzero"`
	ReleasedAt     time.Time `json:"released_at,omitzero" doc:"When the hold was lifted: it is not revoked any more"`
	IssuerNotified time.Time `json:"issuer_notified_at,omitzero" doc:"When an outside CA confirmed it; at once for our own"`
	IssuerError    string    `json:"issuer_error,omitempty"`
}

// Export is a certificate for whoever has its key; never a key.
type Export struct {
	SerialNumber string `json:"serial_number"`
	CertPEM      string `json:"cert_pem"`
	ChainPEM     string `json:"chain_pem"`
	FullPEM      string `json:"full_pem"`
}
