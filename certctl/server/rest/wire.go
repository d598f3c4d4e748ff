package rest

import (
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/certctl/api"
	"github.com/certctl/certctl/revocation"
)

func wireMeta(m certctl.Meta) api.Meta {
	return api.Meta{CreatedAt: m.CreatedAt.UTC(), UpdatedAt: m.UpdatedAt.UTC(), Revision: m.Revision}
}

// utc leaves unset times unset.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func duration(n int64) time.Duration { return time.Duration(n) * time.Second }

func wireCertificate(c *certctl.Certificate) api.Certificate {
	return api.Certificate{
		ID: c.ID, Name: c.Name, CommonName: c.CommonName, SANs: list(c.SANs), Environment: c.Environment,
		OwnerID: c.OwnerID, TeamID: c.TeamID, IssuerID: c.IssuerID, RenewalPolicyID: c.RenewalPolicyID, CertificateProfileID: c.ProfileID,
		KeyAlgorithm: c.KeyAlgorithm, TTLSeconds: seconds(c.TTL), Tags: c.Tags, Source: c.Source,
		Status: string(c.Status), StatusReason: c.StatusReason, Generation: c.Generation, SerialNumber: c.Serial, Fingerprint: c.Fingerprint,
		NotBefore: utc(c.NotBefore), ExpiresAt: utc(c.ExpiresAt), RenewAt: utc(c.RenewAt), LastRenewalAt: utc(c.LastRenewalAt),
		LastDeploymentAt: utc(c.LastDeploymentAt), RevokedAt: utc(c.RevokedAt), RevocationReason: c.RevocationReason,
		RenewalFailures: c.RenewalFailures, Meta: wireMeta(c.Meta),
	}
}

// list writes an absent list as an empty one.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func wireVersion(v *certctl.CertificateVersion) api.CertificateVersion {
	return api.CertificateVersion{
		ID: v.ID, CertificateID: v.CertificateID, Generation: v.Generation, IssuerID: v.IssuerID, SerialNumber: v.Serial,
		Fingerprint: v.Fingerprint, SubjectCN: v.SubjectCN, NotBefore: utc(v.NotBefore), NotAfter: utc(v.NotAfter),
		KeyAlgorithm: v.KeyAlgorithm, KeySize: v.KeySize, CertPEM: v.CertPEM, ChainPEM: v.ChainPEM, CSRPEM: v.CSRPEM,
		NoRevocation: v.NoRevocation, CreatedAt: utc(v.CreatedAt),
	}
}

func wireBinding(b *certctl.Binding) api.Binding {
	return api.Binding{
		ID: b.ID, CertificateID: b.CertificateID, TargetID: b.TargetID, State: string(b.State), StateReason: b.StateReason,
		DeployedGeneration: b.DeployedGeneration, DeployedSerial: b.DeployedSerial, DeployedAt: utc(b.DeployedAt),
		Failures: b.Failures, RetryAt: utc(b.RetryAt), VerificationStatus: string(b.Verification), VerifiedAt: utc(b.VerifiedAt),
		Observed: wireObserved(b.Observed), Meta: wireMeta(b.Meta),
	}
}

func wireObserved(in []certctl.Observation) []api.Observation {
	out := make([]api.Observation, len(in))
	for i, o := range in {
		out[i] = api.Observation(o)
		out[i].NotAfter, out[i].At = utc(o.NotAfter), utc(o.At)
	}
	return out
}

func observed(in []api.Observation) []certctl.Observation {
	out := make([]certctl.Observation, len(in))
	for i, o := range in {
		out[i] = certctl.Observation(o)
	}
	return out
}

func wireRevocation(r *certctl.Revocation) api.Revocation {
	return api.Revocation{
		ID: r.ID, CertificateID: r.CertificateID, VersionID: r.VersionID, IssuerID: r.IssuerID, SerialNumber: r.Serial,
		Reason: revocation.Reason(r.Reason).String(), RevokedAt: utc(r.RevokedAt), RevokedBy: r.RevokedBy,
		InvalidSince: utc(r.InvalidSince), ReleasedAt: utc(r.ReleasedAt), IssuerNotified: utc(r.IssuerNotified), IssuerError: r.IssuerError,
	}
}

func wireJob(j *certctl.Job) api.Job {
	return api.Job{
		ID: j.ID, Type: string(j.Type), Status: string(j.Status), CertificateID: j.CertificateID, Generation: j.Generation,
		TargetID: j.TargetID, AgentID: j.AgentID, Attempts: j.Attempts, MaxAttempts: j.MaxAttempts, LastError: j.LastError,
		Waiting: j.Waiting, Output: j.Output, VerificationStatus: string(j.Verification), Observed: wireObserved(j.Observed),
		VerifiedAt: utc(j.VerifiedAt), RequestedBy: j.RequestedBy, ScheduledAt: utc(j.RunAt), Deadline: utc(j.Deadline),
		StartedAt: utc(j.StartedAt), CompletedAt: utc(j.CompletedAt), Meta: wireMeta(j.Meta),
	}
}

func wireAgent(a *certctl.Agent) api.Agent {
	return api.Agent{
		ID: a.ID, Name: a.Name, Hostname: a.Hostname, Status: string(a.Status), StatusReason: a.StatusReason, OS: a.OS,
		Architecture: a.Architecture, IPAddress: a.IPAddress, Version: a.Version, ClockSkewMillis: a.ClockSkewMillis,
		LastHeartbeatAt: utc(a.LastHeartbeatAt), RegisteredAt: utc(a.RegisteredAt), RetiredAt: utc(a.RetiredAt),
		RetiredReason: a.RetiredWhy, Meta: wireMeta(a.Meta),
	}
}

func wireJoinToken(t *certctl.JoinToken) api.JoinToken {
	return api.JoinToken{
		ID: t.ID, AgentName: t.AgentName, CreatedBy: t.CreatedBy, ExpiresAt: utc(t.ExpiresAt), UsedAt: utc(t.UsedAt),
		UsedBy: t.UsedBy, RevokedAt: utc(t.RevokedAt), Meta: wireMeta(t.Meta),
	}
}

func wireIssuer(i *certctl.Issuer) api.Issuer {
	return api.Issuer{
		ID: i.ID, Name: i.Name, Type: i.Type, Config: i.Config, Enabled: i.Enabled, Source: i.Source,
		TestStatus: string(i.TestStatus), TestMessage: i.TestMessage, TestedAt: utc(i.TestedAt), Meta: wireMeta(i.Meta),
	}
}

func wireTarget(t *certctl.Target) api.Target {
	return api.Target{
		ID: t.ID, Name: t.Name, Type: t.Type, AgentID: t.AgentID, Config: t.Config, Paths: t.Paths, Enabled: t.Enabled, Source: t.Source,
		TestStatus: string(t.TestStatus), TestMessage: t.TestMessage, TestedAt: utc(t.TestedAt),
		RetiredAt: utc(t.RetiredAt), RetiredReason: t.RetiredWhy, Meta: wireMeta(t.Meta),
	}
}

func wireOwner(o *certctl.Owner) api.Owner {
	return api.Owner{ID: o.ID, Name: o.Name, Email: o.Email, TeamID: o.TeamID, Meta: wireMeta(o.Meta)}
}

func wireTeam(t *certctl.Team) api.Team {
	return api.Team{ID: t.ID, Name: t.Name, Description: t.Description, Meta: wireMeta(t.Meta)}
}

func wireAPIKey(k *certctl.APIKey) api.APIKey {
	return api.APIKey{
		ID: k.ID, Name: k.Name, Role: string(k.Role), AgentID: k.AgentID, CreatedBy: k.CreatedBy, ExpiresAt: utc(k.ExpiresAt),
		OldUntil: utc(k.OldUntil), LastUsedAt: utc(k.LastUsedAt), RevokedAt: utc(k.RevokedAt), Meta: wireMeta(k.Meta),
	}
}

func wireAudit(a *certctl.AuditEntry) api.AuditEntry {
	return api.AuditEntry{
		ID: a.ID, Timestamp: utc(a.At), Actor: a.Actor, ActorName: a.ActorName, ActorType: string(a.ActorType), Action: a.Action,
		ResourceType: a.ResourceType, ResourceID: a.ResourceID, RequestID: a.RequestID, Details: a.Details,
	}
}

func wireProfile(p *certctl.Profile) api.Profile {
	out := api.Profile{
		ID: p.ID, Name: p.Name, Description: p.Description, MaxTTLSeconds: seconds(p.MaxTTL), AllowedEKUs: p.AllowedEKUs,
		RequiredSANPatterns: p.RequiredSANPatterns, SPIFFEURIPattern: p.SPIFFEURIPattern, AllowShortLived: p.AllowShortLived,
		Enabled: p.Enabled, Meta: wireMeta(p.Meta),
	}
	for _, k := range p.AllowedKeyAlgorithms {
		out.AllowedKeyAlgorithms = append(out.AllowedKeyAlgorithms, api.KeyRule(k))
	}
	return out
}

func wireRenewalPolicy(p *certctl.RenewalPolicy) api.RenewalPolicy {
	return api.RenewalPolicy{
		ID: p.ID, Name: p.Name, AutoRenew: p.AutoRenew, RenewalWindowDays: p.RenewalWindowDays, RemainingFraction: p.RemainingFraction,
		MaxRetries: p.MaxRetries, RetryIntervalSeconds: seconds(p.RetryInterval), AlertThresholdsDays: list(p.AlertThresholdsDays),
		CertificateProfileID: p.ProfileID, Meta: wireMeta(p.Meta),
	}
}
