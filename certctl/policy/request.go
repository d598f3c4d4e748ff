package policy

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/certctl/certctl/certctl"
)

// Request is what is asked for, whoever asks.
type Request struct {
	CommonName string
	SANs       []string
	TTL        time.Duration // 0: not said
}

// minTTL keeps certificates useful: shorter ones expire on the way.
const minTTL = time.Minute

// CheckRequest judges a request by a profile, which may be nil. The error is a
// *certctl.InvalidError with all problems.
func CheckRequest(p *certctl.Profile, r Request) error {
	names, problems := SplitSANs(r.CommonName, r.SANs)
	if r.TTL != 0 && r.TTL < minTTL {
		problems = append(problems, certctl.Problem{Field: "ttl_seconds", Message: "must be at least 60, or 0 for the default"})
	}
	if p != nil {
		if p.MaxTTL > 0 && r.TTL > p.MaxTTL {
			problems = append(problems, certctl.Problem{Field: "ttl_seconds", Message: fmt.Sprintf("profile %s allows at most %d", p.ID, int64(p.MaxTTL.Seconds()))})
		}
		problems = append(problems, checkPatterns(p, names)...)
	}
	return certctl.Invalid("certificate request", problems...)
}

// checkPatterns holds names against the profile's patterns. They were compiled
// once when the profile was stored, so a failure here is the profile's.
func checkPatterns(p *certctl.Profile, names Names) []certctl.Problem {
	var problems []certctl.Problem
	if len(p.RequiredSANPatterns) > 0 {
		held := slices.Concat(names.DNS, names.IPs, names.Emails)
		if p.SPIFFEURIPattern == "" { // else URIs have a pattern of their own
			held = append(held, names.URIs...)
		}
		for _, name := range held {
			if !slices.ContainsFunc(p.RequiredSANPatterns, func(pattern string) bool { return matches(pattern, name) }) {
				problems = append(problems, certctl.Problem{Field: "sans", Message: fmt.Sprintf("%s matches none of the name patterns of profile %s", name, p.ID)})
			}
		}
	}
	if p.SPIFFEURIPattern != "" {
		for _, uri := range names.URIs {
			if !matches(p.SPIFFEURIPattern, uri) {
				problems = append(problems, certctl.Problem{Field: "sans", Message: fmt.Sprintf("%s does not match the URI pattern of profile %s", uri, p.ID)})
			}
		}
	}
	return problems
}

// anchored compiles a pattern that has to match the whole.
func anchored(pattern string) (*regexp.Regexp, error) {
	// By itself first: "a)|(?:b" would step out of the anchors.
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err
	}
	return regexp.Compile("^(?:" + pattern + ")$")
}

func matches(pattern, s string) bool {
	re, err := anchored(pattern)
	return err == nil && re.MatchString(s)
}

// EKUs are the names of extended key usages that profiles may allow (RFC 5280
// section 4.2.1.12).
var EKUs = []string{"serverAuth", "clientAuth", "codeSigning", "emailProtection", "timeStamping"}

// CheckProfile tells what is wrong with a profile.
func CheckProfile(p *certctl.Profile) []certctl.Problem {
	var problems []certctl.Problem
	bad := func(field, format string, a ...any) {
		problems = append(problems, certctl.Problem{Field: field, Message: fmt.Sprintf(format, a...)})
	}
	for i, r := range p.AllowedKeyAlgorithms {
		switch {
		case r.Algorithm != "RSA" && r.Algorithm != "ECDSA" && r.Algorithm != "Ed25519":
			bad(fmt.Sprintf("allowed_key_algorithms[%d].algorithm", i), "must be RSA, ECDSA or Ed25519")
		case r.Algorithm == "RSA" && r.MinSize != 0 && (r.MinSize < 2048 || r.MinSize > 8192):
			bad(fmt.Sprintf("allowed_key_algorithms[%d].min_size", i), "must be 2048 to 8192 for RSA")
		case r.Algorithm == "ECDSA" && !slices.Contains([]int{0, 256, 384, 521}, r.MinSize):
			bad(fmt.Sprintf("allowed_key_algorithms[%d].min_size", i), "must be 256, 384 or 521 for ECDSA")
		}
	}
	for i, e := range p.AllowedEKUs {
		if !slices.Contains(EKUs, e) {
			bad(fmt.Sprintf("allowed_ekus[%d]", i), "must be one of serverAuth, clientAuth, codeSigning, emailProtection, timeStamping")
		}
	}
	for i, pattern := range p.RequiredSANPatterns {
		if _, err := anchored(pattern); err != nil || len(pattern) > 1024 {
			bad(fmt.Sprintf("required_san_patterns[%d]", i), "is not a regular expression of at most 1024 characters: %v", err)
		}
	}
	if _, err := anchored(p.SPIFFEURIPattern); err != nil || len(p.SPIFFEURIPattern) > 1024 {
		bad("spiffe_uri_pattern", "is not a regular expression of at most 1024 characters: %v", err)
	}
	if p.MaxTTL < 0 || (p.MaxTTL > 0 && p.MaxTTL < minTTL) {
		bad("max_ttl_seconds", "must be 0 (the issuer decides), or at least 60")
	}
	return problems
}

// CheckRenewalPolicy tells what is wrong with a renewal policy, and fills what
// it leaves open.
func CheckRenewalPolicy(p *certctl.RenewalPolicy) []certctl.Problem {
	if p.RemainingFraction == 0 {
		p.RemainingFraction = defaultFraction
	}
	if p.RetryInterval == 0 {
		p.RetryInterval = time.Hour
	}
	var problems []certctl.Problem
	bad := func(field, message string) {
		problems = append(problems, certctl.Problem{Field: field, Message: message})
	}
	if p.RenewalWindowDays < 0 || p.RenewalWindowDays > 365 {
		bad("renewal_window_days", "must be 1 to 365, or 0 to renew at remaining_fraction of the lifetime")
	}
	if p.RemainingFraction < 0.05 || p.RemainingFraction > 0.9 {
		bad("remaining_fraction", "must be between 0.05 and 0.9")
	}
	if p.MaxRetries < 0 || p.MaxRetries > 10 {
		bad("max_retries", "must be 0 to 10")
	}
	if p.RetryInterval < time.Minute || p.RetryInterval > 24*time.Hour {
		bad("retry_interval_seconds", "must be 60 to 86400")
	}
	for _, d := range p.AlertThresholdsDays {
		if d < 0 || d > 365 {
			bad("alert_thresholds_days", "each must be 0 to 365")
			break
		}
	}
	if len(p.AlertThresholdsDays) > 20 {
		bad("alert_thresholds_days", "at most 20")
	}
	return problems
}
