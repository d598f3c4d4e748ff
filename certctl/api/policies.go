package api

// KeyRule allows one kind of key from a minimal size on.
type KeyRule struct {
	Algorithm string `json:"algorithm" enum:"RSA,ECDSA,Ed25519"`
	MinSize   int    `json:"min_size,omitempty" minimum:"0" maximum:"16384"`
}

// Profile says what a certificate may be.
type Profile struct {
	ID                   string    `json:"id"`
	Name                 string    `json:"name"`
	Description          string    `json:"description,omitempty"`
	AllowedKeyAlgorithms []KeyRule `json:"allowed_key_algorithms,omitempty" doc:"Absent: RSA from 2048, ECDSA from 256, Ed25519"`
	MaxTTLSeconds        int64     `json:"max_ttl_seconds,omitempty" doc:"Absent: the issuer decides"`
	AllowedEKUs          []string  `json:"allowed_ekus,omitempty" doc:"Absent: serverAuth"`
	RequiredSANPatterns  []string  `json:"required_san_patterns,omitempty" doc:"Regular expressions, anchored; every SAN matches one"`
	SPIFFEURIPattern     string    `json:"spiffe_uri_pattern,omitempty"`
	AllowShortLived      bool      `json:"allow_short_lived" doc:"With a lifetime below one hour: no CRL and OCSP, noRevAvail instead (RFC 9608)"`
	Enabled              bool      `json:"enabled"`
	Meta
}

// ProfileCreate makes a profile.
type ProfileCreate struct {
	ID                   string    `json:"id,omitempty" maxLength:"128"`
	Name                 string    `json:"name" minLength:"1" maxLength:"255"`
	Description          string    `json:"description,omitempty" maxLength:"4096"`
	AllowedKeyAlgorithms []KeyRule `json:"allowed_key_algorithms,omitempty" maxItems:"16"`
	MaxTTLSeconds        int64     `json:"max_ttl_seconds,omitempty" minimum:"0" maximum:"3153600000"`
	AllowedEKUs          []string  `json:"allowed_ekus,omitempty" maxItems:"32"`
	RequiredSANPatterns  []string  `json:"required_san_patterns,omitempty" maxItems:"100"`
	SPIFFEURIPattern     string    `json:"spiffe_uri_pattern,omitempty" maxLength:"1024"`
	AllowShortLived      bool      `json:"allow_short_lived,omitempty"`
	Enabled              *bool     `json:"enabled,omitempty" doc:"true when absent"`
}

// ProfileUpdate changes the fields that are present.
type ProfileUpdate struct {
	Name                 *string    `json:"name,omitempty" minLength:"1" maxLength:"255"`
	Description          *string    `json:"description,omitempty" maxLength:"4096"`
	AllowedKeyAlgorithms *[]KeyRule `json:"allowed_key_algorithms,omitempty" maxItems:"16"`
	MaxTTLSeconds        *int64     `json:"max_ttl_seconds,omitempty" minimum:"0" maximum:"3153600000"`
	AllowedEKUs          *[]string  `json:"allowed_ekus,omitempty" maxItems:"32"`
	RequiredSANPatterns  *[]string  `json:"required_san_patterns,omitempty" maxItems:"100"`
	SPIFFEURIPattern     *string    `json:"spiffe_uri_pattern,omitempty" maxLength:"1024"`
	AllowShortLived      *bool      `json:"allow_short_lived,omitempty"`
	Enabled              *bool      `json:"enabled,omitempty"`
}

// RenewalPolicy says when a certificate is renewed.
type RenewalPolicy struct {
	ID                   string  `json:"id"`
	Name                 string  `json:"name"`
	AutoRenew            bool    `json:"auto_renew"`
	RenewalWindowDays    int     `json:"renewal_window_days,omitempty" doc:"Days before expiry; absent: remaining_fraction counts"`
	RemainingFraction    float64 `json:"remaining_fraction,omitempty" doc:"Renewed when this part of the lifetime is left"`
	MaxRetries           int     `json:"max_retries" doc:"Of one job"`
	RetryIntervalSeconds int64   `json:"retry_interval_seconds" doc:"The first pause; it doubles, with jitter"`
	AlertThresholdsDays  []int   `json:"alert_thresholds_days" nullable:"false"`
	CertificateProfileID string  `json:"certificate_profile_id,omitempty"`
	Meta
}

// RenewalPolicyCreate makes a renewal policy.
type RenewalPolicyCreate struct {
	ID                   string  `json:"id,omitempty" maxLength:"128"`
	Name                 string  `json:"name" minLength:"1" maxLength:"255"`
	AutoRenew            *bool   `json:"auto_renew,omitempty" doc:"true when absent"`
	RenewalWindowDays    int     `json:"renewal_window_days,omitempty" minimum:"0" maximum:"365" doc:"Days before expiry; 0: remaining_fraction counts"`
	RemainingFraction    float64 `json:"remaining_fraction,omitempty" minimum:"0" maximum:"1" doc:"One third when absent"`
	MaxRetries           *int    `json:"max_retries,omitempty" minimum:"0" maximum:"10" doc:"3 when absent"`
	RetryIntervalSeconds int64   `json:"retry_interval_seconds,omitempty" minimum:"0" maximum:"86400" doc:"3600 when absent"`
	AlertThresholdsDays  []int   `json:"alert_thresholds_days,omitempty" maxItems:"32" doc:"30, 14, 7, 0 when absent"`
	CertificateProfileID string  `json:"certificate_profile_id,omitempty" maxLength:"128"`
}

// RenewalPolicyUpdate changes the fields that are present.
type RenewalPolicyUpdate struct {
	Name                 *string  `json:"name,omitempty" minLength:"1" maxLength:"255"`
	AutoRenew            *bool    `json:"auto_renew,omitempty"`
	RenewalWindowDays    *int     `json:"renewal_window_days,omitempty" minimum:"0" maximum:"365"`
	RemainingFraction    *float64 `json:"remaining_fraction,omitempty" minimum:"0" maximum:"1"`
	MaxRetries           *int     `json:"max_retries,omitempty" minimum:"0" maximum:"10"`
	RetryIntervalSeconds *int64   `json:"retry_interval_seconds,omitempty" minimum:"0" maximum:"86400"`
	AlertThresholdsDays  *[]int   `json:"alert_thresholds_days,omitempty" maxItems:"32"`
	CertificateProfileID *string  `json:"certificate_profile_id,omitempty" maxLength:"128"`
}

// Owner is the person or rota that answers for certificates.
type Owner struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Email  string `json:"email,omitempty"`
	TeamID string `json:"team_id,omitempty"`
	Meta
}

// OwnerCreate makes an owner.
type OwnerCreate struct {
	ID     string `json:"id,omitempty" maxLength:"128"`
	Name   string `json:"name" minLength:"1" maxLength:"255"`
	Email  string `json:"email,omitempty" maxLength:"320"`
	TeamID string `json:"team_id,omitempty" maxLength:"128"`
}

// OwnerUpdate changes the fields that are present.
type OwnerUpdate struct {
	Name   *string `json:"name,omitempty" minLength:"1" maxLength:"255"`
	Email  *string `json:"email,omitempty" maxLength:"320"`
	TeamID *string `json:"team_id,omitempty" maxLength:"128"`
}

// OwnerQuery filters a list of owners.
type OwnerQuery struct {
	Name   []string `query:"name"`
	TeamID string   `query:"team_id" maxLength:"128"`
	ListOptions
}

// Team groups owners.
type Team struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Meta
}

// TeamCreate makes a team.
type TeamCreate struct {
	ID          string `json:"id,omitempty" maxLength:"128"`
	Name        string `json:"name" minLength:"1" maxLength:"255"`
	Description string `json:"description,omitempty" maxLength:"4096"`
}

// TeamUpdate changes the fields that are present.
type TeamUpdate struct {
	Name        *string `json:"name,omitempty" minLength:"1" maxLength:"255"`
	Description *string `json:"description,omitempty" maxLength:"4096"`
}

// NameQuery filters a list by names.
type NameQuery struct {
	Name []string `query:"name"`
	ListOptions
}
