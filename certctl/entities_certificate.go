package certctl

import "time"

// Certificate is a managed certificate: the wish for a name to be certified,
// and what has become of it. Its Versions are what CAs signed.
type Certificate struct {
	ID              string            `bun:"id,pk"`
	Name            string            `bun:"name"` // unique among those not archived
	CommonName      string            `bun:"common_name"`
	SANs            []string          `bun:"sans,type:jsonb"` // DNS names, IP addresses, e-mail addresses, URIs
	Environment     string            `bun:"environment"`
	OwnerID         string            `bun:"owner_id,nullzero"`
	TeamID          string            `bun:"team_id,nullzero"`
	IssuerID        string            `bun:"issuer_id"`
	RenewalPolicyID string            `bun:"renewal_policy_id"`
	ProfileID       string            `bun:"profile_id,nullzero"`
	KeyAlgorithm    string            `bun:"key_algorithm"` // what the agent shall make: "ECDSA-P256" (default), "ECDSA-P384", "RSA-2048", "RSA-3072", "RSA-4096", "Ed25519"
	TTL             time.Duration     `bun:"ttl"`           // wanted lifetime; 0: the profile's or the issuer's
	Tags            map[string]string `bun:"tags,type:jsonb"`
	Source          string            `bun:"source"` // "API", "Agent", …

	Status           CertificateStatus `bun:"status"`
	StatusReason     string            `bun:"status_reason"` // one sentence: why, what next, when
	Generation       int64             `bun:"generation"`    // of the newest version; 0 before the first
	CurrentVersionID string            `bun:"current_version_id,nullzero"`
	Serial           string            `bun:"serial"`             // of the current version, in SerialText's form
	Fingerprint      string            `bun:"fingerprint_sha256"` // of the current version, lower-case hex
	NotBefore        time.Time         `bun:"not_before,nullzero"`
	ExpiresAt        time.Time         `bun:"expires_at,nullzero"`
	RenewAt          time.Time         `bun:"renew_at,nullzero"` // when the next automatic renewal begins; unset: never
	RenewalFailures  int               `bun:"renewal_failures"`  // in a row
	LastRenewalAt    time.Time         `bun:"last_renewal_at,nullzero"`
	LastDeploymentAt time.Time         `bun:"last_deployment_at,nullzero"`
	RevokedAt        time.Time         `bun:"revoked_at,nullzero"`
	RevocationReason string            `bun:"revocation_reason"`
	Meta
}

// Become moves the certificate to another status, or says why it cannot.
// Becoming what it is already is a no-op.
func (c *Certificate) Become(to CertificateStatus, why string) error {
	if c.Status == to {
		c.StatusReason = why
		return nil
	}
	if !c.Status.CanBecome(to) {
		return &TransitionError{"certificate", c.ID, string(c.Status), string(to)}
	}
	c.Status, c.StatusReason = to, why
	return nil
}

// HoldReason is the RevocationReason of a certificate on hold.
const HoldReason = "certificateHold"

// Held reports whether the certificate is Revoked in the one way that can be
// undone (RFC 5280 section 5.3.1, certificateHold).
func (c *Certificate) Held() bool {
	return c.Status == CertificateRevoked && c.RevocationReason == HoldReason
}

// Release takes the certificate off hold, to what its dates and jobs make of
// it. Nothing else leads out of Revoked but the archive.
func (c *Certificate) Release(to CertificateStatus, why string) error {
	lands := to == CertificateActive || to == CertificateExpiring || to == CertificateExpired || to == CertificateRenewalInProgress
	if !c.Held() || !lands {
		return &TransitionError{"certificate", c.ID, string(c.Status), string(to)}
	}
	c.Status, c.StatusReason, c.RevokedAt, c.RevocationReason = to, why, time.Time{}, ""
	return nil
}

// CertificateVersion is one certificate that a CA signed.
type CertificateVersion struct {
	ID            string    `bun:"id,pk"`
	CertificateID string    `bun:"certificate_id"`
	Generation    int64     `bun:"generation"` // 1, 2, …; unique per certificate
	OrderID       string    `bun:"order_id"`
	IssuerID      string    `bun:"issuer_id"`
	IssuerKeyID   string    `bun:"issuer_key_id"` // revocation.KeyID of the CA certificate that signed it
	Serial        string    `bun:"serial"`        // unique per IssuerKeyID
	Fingerprint   string    `bun:"fingerprint_sha256"`
	SubjectCN     string    `bun:"subject_cn"`
	NotBefore     time.Time `bun:"not_before"`
	NotAfter      time.Time `bun:"not_after"`
	KeyAlgorithm  string    `bun:"key_algorithm"` // "RSA", "ECDSA", "Ed25519"
	KeySize       int       `bun:"key_size"`      // bits
	CertPEM       string    `bun:"cert_pem"`      // the leaf
	ChainPEM      string    `bun:"chain_pem"`     // the issuers above it, leaf's issuer first, root left out
	CSRPEM        string    `bun:"csr_pem"`
	IssuerState   []byte    `bun:"issuer_state"` // what the connector wants back at revocation
	NoRevocation  bool      `bun:"no_revocation"`
	CRLShard      int       `bun:"crl_shard"` // partition that its CRL pointer names; 0 for none
	CreatedAt     time.Time `bun:"created_at"`
}

// Binding says that a certificate belongs on a target.
type Binding struct {
	ID                 string             `bun:"id,pk"`
	CertificateID      string             `bun:"certificate_id"` // unique with TargetID
	TargetID           string             `bun:"target_id"`      // one certificate a target
	State              BindingState       `bun:"state"`
	StateReason        string             `bun:"state_reason"`
	DeployedGeneration int64              `bun:"deployed_generation"` // 0: none
	DeployedSerial     string             `bun:"deployed_serial"`
	DeployedAt         time.Time          `bun:"deployed_at,nullzero"`
	Failures           int                `bun:"failures"`          // in a row
	RetryAt            time.Time          `bun:"retry_at,nullzero"` // when a failed deployment is tried again
	Verification       VerificationStatus `bun:"verification_status"`
	Observed           []Observation      `bun:"observed,type:jsonb"` // of the last probe
	VerifiedAt         time.Time          `bun:"verified_at,nullzero"`
	Meta
}

// Observation is what a TLS probe saw at one endpoint.
type Observation struct {
	Endpoint    string    `json:"endpoint"`              // host:port
	ServerName  string    `json:"server_name,omitempty"` // SNI that was sent
	Fingerprint string    `json:"fingerprint_sha256,omitempty"`
	Serial      string    `json:"serial,omitempty"`
	Subject     string    `json:"subject,omitempty"`
	Issuer      string    `json:"issuer,omitempty"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	TLSVersion  string    `json:"tls_version,omitempty"`
	CipherSuite string    `json:"cipher_suite,omitempty"`
	ChainLength int       `json:"chain_length,omitempty"`
	ChainOK     bool      `json:"chain_ok"` // a verifier that trusts only the issuer's root accepts the chain as served
	NameOK      bool      `json:"name_ok"`
	Served      bool      `json:"served"` // it is exactly the certificate that was deployed
	Problem     string    `json:"problem,omitempty"`
	At          time.Time `json:"at"`
	Millis      int64     `json:"millis"` // of the handshake
}

// Order is one attempt at one generation of a certificate, committed before
// any CA acts. At most one order is open per certificate.
type Order struct {
	ID            string     `bun:"id,pk"`
	CertificateID string     `bun:"certificate_id"`
	Generation    int64      `bun:"generation"`
	JobID         string     `bun:"job_id"`
	IssuerID      string     `bun:"issuer_id"`
	State         OrderState `bun:"state"`
	Serial        string     `bun:"serial,nullzero"` // reserved for a CA that lets us choose; unique per issuer
	NotBefore     time.Time  `bun:"not_before"`
	NotAfter      time.Time  `bun:"not_after,nullzero"` // unset: the issuer decides
	CSRPEM        string     `bun:"csr_pem"`
	// What is asked for is frozen with the order, so that every attempt asks
	// for the same, whatever is edited meanwhile.
	CommonName   string   `bun:"common_name"`
	SANs         []string `bun:"sans,type:jsonb"`
	EKUs         []string `bun:"ekus,type:jsonb"`
	NoRevocation bool     `bun:"no_revocation"`
	CRLShard     int      `bun:"crl_shard"` // frozen here, so that signing again makes the same certificate

	IssuerState []byte    `bun:"issuer_state"` // the connector's own, such as an order URL
	PollAt      time.Time `bun:"poll_at,nullzero"`
	LastError   string    `bun:"last_error"`
	Meta
}

// Become moves the order to another state.
func (o *Order) Become(to OrderState) error {
	if o.State == to {
		return nil
	}
	if !o.State.CanBecome(to) {
		return &TransitionError{"order", o.ID, string(o.State), string(to)}
	}
	o.State = to
	return nil
}
