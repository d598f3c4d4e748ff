package certctl

import (
	"strconv"
	"time"
)

// Revocation is one revoked serial.
type Revocation struct {
	ID            string    `bun:"id,pk"`
	IssuerID      string    `bun:"issuer_id"`
	IssuerKeyID   string    `bun:"issuer_key_id"`
	Serial        string    `bun:"serial"` // unique per IssuerKeyID
	CertificateID string    `bun:"certificate_id"`
	VersionID     string    `bun:"version_id"`
	Reason        int       `bun:"reason"` // RFC 5280 section 5.3.1
	RevokedAt     time.Time `bun:"revoked_at"`
	RevokedBy     string    `bun:"revoked_by"`
	InvalidSince  time.Time `bun:"invalid_since,nullzero"` // invalidity date (RFC 5280 section 5.3.2), if known
	// ReleasedAt is when a hold was lifted: the row is kept, for delta CRLs and
	// the record, and the certificate is not revoked.
	ReleasedAt time.Time `bun:"released_at,nullzero"`
	NotAfter   time.Time `bun:"not_after"` // of the certificate; it stays on CRLs until one CRL after this
	CRLShard   int       `bun:"crl_shard"` // of the certificate; 0 for none
	// Sequence rises with every change of a status under one IssuerKeyID. The
	// store assigns it on Insert, and on an Update of a row where it is 0.
	Sequence int64 `bun:"sequence"`
	// IssuerNotified is when an outside CA confirmed the revocation; set at
	// once for issuers whose CRL we sign ourselves.
	IssuerNotified time.Time `bun:"issuer_notified,nullzero"`
	IssuerError    string    `bun:"issuer_error"`
	Attempts       int       `bun:"attempts"`
	RetryAt        time.Time `bun:"retry_at,nullzero"`
	Meta
}

// CRL is the newest list of one scope: of a CA key, all of it or one shard; and
// of each the delta.
type CRL struct {
	ID           string        `bun:"id,pk"` // CRLID
	IssuerKeyID  string        `bun:"issuer_key_id"`
	IssuerID     string        `bun:"issuer_id"`
	Shard        int           `bun:"crl_shard"` // 0: all certificates of the CA key
	Delta        bool          `bun:"delta"`
	BaseNumber   int64         `bun:"base_number"` // of a delta
	DER          []byte        `bun:"crl_der"`
	Number       int64         `bun:"crl_number"`
	ThisUpdate   time.Time     `bun:"this_update"`
	NextUpdate   time.Time     `bun:"next_update"`
	GeneratedAt  time.Time     `bun:"generated_at"`
	Duration     time.Duration `bun:"generation_duration"`
	RevokedCount int           `bun:"revoked_count"`
	Sequence     int64         `bun:"sequence"` // Revocation.Sequence that it covers
}

// CRLID names a scope.
func CRLID(issuerKeyID string, shard int, delta bool) string {
	id := issuerKeyID
	if shard > 0 {
		id += "/" + strconv.Itoa(shard)
	}
	if delta {
		id += "/delta"
	}
	return id
}

// CRLGeneration is one attempt to make a CRL.
type CRLGeneration struct {
	ID           string        `bun:"id,pk"`
	IssuerKeyID  string        `bun:"issuer_key_id"`
	IssuerID     string        `bun:"issuer_id"`
	Shard        int           `bun:"crl_shard"`
	Delta        bool          `bun:"delta"`
	Number       int64         `bun:"crl_number"`
	Sequence     int64         `bun:"sequence"` // that it covers
	StartedAt    time.Time     `bun:"started_at"`
	Duration     time.Duration `bun:"duration"`
	RevokedCount int           `bun:"revoked_count"`
	Succeeded    bool          `bun:"succeeded"`
	Error        string        `bun:"error"`
}

// Responder is the delegated OCSP signer of one CA key (RFC 6960 section
// 4.2.2.2). Its private key is a vault item.
type Responder struct {
	IssuerKeyID string    `bun:"issuer_key_id,pk"`
	IssuerID    string    `bun:"issuer_id"`
	CertPEM     string    `bun:"cert_pem"`
	Serial      string    `bun:"cert_serial"`
	CAPEM       string    `bun:"ca_pem"` // the CA certificate that it signs for
	SealedKey   []byte    `bun:"sealed_key"`
	KeyAlg      string    `bun:"key_alg"`
	NotBefore   time.Time `bun:"not_before"`
	NotAfter    time.Time `bun:"not_after"`
	RotatedFrom string    `bun:"rotated_from"` // serial of the one before
	Meta
}
