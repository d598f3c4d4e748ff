package rest

import (
	"cmp"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/certctl/engine"
)

type nameQuery = struct{ api.NameQuery }

func byName(q *nameQuery) (certctl.NameFilter, api.ListOptions) {
	return certctl.NameFilter{Names: q.Name}, q.ListOptions
}

func (s *service) profiles() {
	catalog[certctl.Profile, certctl.NameFilter, api.Profile, api.ProfileCreate, api.ProfileUpdate, nameQuery]{
		one: "Profile", many: "Profiles", path: "profiles", tag: "profiles", what: "a profile", whats: "profiles", write: admin,
		keep:   func() *engine.Catalog[certctl.Profile, certctl.NameFilter] { return s.engine.Profiles() },
		lookup: func(r certctl.Reader) certctl.Lookup[certctl.Profile, certctl.NameFilter] { return r.Profiles() },
		wire:   wireProfile, query: byName, fresh: newProfile, change: changeProfile,
		meta: func(p *certctl.Profile) (string, int64) { return p.ID, p.Revision },
	}.register(s)
}

func newProfile(b api.ProfileCreate) *certctl.Profile {
	return &certctl.Profile{
		ID: b.ID, Name: b.Name, Description: b.Description, AllowedKeyAlgorithms: keyRules(b.AllowedKeyAlgorithms),
		MaxTTL: duration(b.MaxTTLSeconds), AllowedEKUs: b.AllowedEKUs, RequiredSANPatterns: b.RequiredSANPatterns,
		SPIFFEURIPattern: b.SPIFFEURIPattern, AllowShortLived: b.AllowShortLived, Enabled: value(b.Enabled, true),
	}
}

func keyRules(in []api.KeyRule) []certctl.KeyRule {
	out := make([]certctl.KeyRule, len(in))
	for i, k := range in {
		out[i] = certctl.KeyRule(k)
	}
	return out
}

func changeProfile(b api.ProfileUpdate, p *certctl.Profile) {
	set(&p.Name, b.Name)
	set(&p.Description, b.Description)
	if b.AllowedKeyAlgorithms != nil {
		p.AllowedKeyAlgorithms = keyRules(*b.AllowedKeyAlgorithms)
	}
	if b.MaxTTLSeconds != nil {
		p.MaxTTL = duration(*b.MaxTTLSeconds)
	}
	set(&p.AllowedEKUs, b.AllowedEKUs)
	set(&p.RequiredSANPatterns, b.RequiredSANPatterns)
	set(&p.SPIFFEURIPattern, b.SPIFFEURIPattern)
	set(&p.AllowShortLived, b.AllowShortLived)
	set(&p.Enabled, b.Enabled)
}

func (s *service) renewalPolicies() {
	catalog[certctl.RenewalPolicy, certctl.NameFilter, api.RenewalPolicy, api.RenewalPolicyCreate, api.RenewalPolicyUpdate, nameQuery]{
		one: "RenewalPolicy", many: "RenewalPolicies", path: "renewal-policies", tag: "renewal policies",
		what: "a renewal policy", whats: "renewal policies", write: admin,
		keep: func() *engine.Catalog[certctl.RenewalPolicy, certctl.NameFilter] { return s.engine.RenewalPolicies() },
		lookup: func(r certctl.Reader) certctl.Lookup[certctl.RenewalPolicy, certctl.NameFilter] {
			return r.RenewalPolicies()
		},
		wire: wireRenewalPolicy, query: byName, fresh: newRenewalPolicy, change: changeRenewalPolicy,
		meta: func(p *certctl.RenewalPolicy) (string, int64) { return p.ID, p.Revision },
	}.register(s)
}

func newRenewalPolicy(b api.RenewalPolicyCreate) *certctl.RenewalPolicy {
	p := &certctl.RenewalPolicy{
		ID: b.ID, Name: b.Name, AutoRenew: value(b.AutoRenew, true), RenewalWindowDays: b.RenewalWindowDays,
		RemainingFraction: cmp.Or(b.RemainingFraction, 1.0/3), MaxRetries: value(b.MaxRetries, 3),
		RetryInterval: cmp.Or(duration(b.RetryIntervalSeconds), time.Hour), AlertThresholdsDays: b.AlertThresholdsDays, ProfileID: b.CertificateProfileID,
	}
	if p.AlertThresholdsDays == nil {
		p.AlertThresholdsDays = []int{30, 14, 7, 0}
	}
	return p
}

func changeRenewalPolicy(b api.RenewalPolicyUpdate, p *certctl.RenewalPolicy) {
	set(&p.Name, b.Name)
	set(&p.AutoRenew, b.AutoRenew)
	set(&p.RenewalWindowDays, b.RenewalWindowDays)
	set(&p.RemainingFraction, b.RemainingFraction)
	set(&p.MaxRetries, b.MaxRetries)
	if b.RetryIntervalSeconds != nil {
		p.RetryInterval = duration(*b.RetryIntervalSeconds)
	}
	set(&p.AlertThresholdsDays, b.AlertThresholdsDays)
	set(&p.ProfileID, b.CertificateProfileID)
}
