package store

import (
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/revocation"
	"github.com/uptrace/bun"
)

var certificates = &entity[certctl.Certificate, certctl.CertificateFilter]{
	name: "certificate", alias: "certificate", pk: "id",
	id: func(c *certctl.Certificate) string { return c.ID }, meta: func(c *certctl.Certificate) *certctl.Meta { return &c.Meta },
	sorts: []sortBy[certctl.Certificate]{
		byTime("certificate.created_at", func(c *certctl.Certificate) time.Time { return c.CreatedAt }, "createdAt", "created_at"),
		byTime("certificate.updated_at", func(c *certctl.Certificate) time.Time { return c.UpdatedAt }, "updatedAt", "updated_at"),
		byTime("certificate.expires_at", func(c *certctl.Certificate) time.Time { return c.ExpiresAt }, "expiresAt", "expires_at", "notAfter", "not_after"),
		byTime("certificate.renew_at", func(c *certctl.Certificate) time.Time { return c.RenewAt }, "renewAt", "renew_at"),
		byText("certificate.common_name", func(c *certctl.Certificate) string { return c.CommonName }, "commonName", "common_name"),
		byText("certificate.name", func(c *certctl.Certificate) string { return c.Name }, "name"),
		byText("certificate.status", func(c *certctl.Certificate) string { return string(c.Status) }, "status"),
		byText("certificate.environment", func(c *certctl.Certificate) string { return c.Environment }, "environment"),
	},
	where: whereCertificate,
}

func whereCertificate(q query, f certctl.CertificateFilter) query {
	q = anyOf(anyOf(anyOf(q, "certificate.id", f.IDs), "certificate.name", f.Names), "certificate.status", f.Statuses)
	q = anyOf(anyOf(q, "certificate.environment", f.Environments), "certificate.owner_id", f.OwnerIDs)
	q = anyOf(anyOf(q, "certificate.team_id", f.TeamIDs), "certificate.issuer_id", f.IssuerIDs)
	q = anyOf(anyOf(q, "certificate.profile_id", f.ProfileIDs), "certificate.renewal_policy_id", f.RenewalPolicyIDs)
	if len(f.AgentIDs) > 0 {
		q = q.Where("EXISTS (SELECT 1 FROM bindings b JOIN targets t ON t.id = b.target_id WHERE b.certificate_id = certificate.id AND t.agent_id IN (?))", bun.List(f.AgentIDs))
	}
	if len(f.TargetIDs) > 0 {
		q = q.Where("EXISTS (SELECT 1 FROM bindings b WHERE b.certificate_id = certificate.id AND b.target_id IN (?))", bun.List(f.TargetIDs))
	}
	if f.Serial != "" {
		q = q.Where("EXISTS (SELECT 1 FROM certificate_versions v WHERE v.certificate_id = certificate.id AND v.serial = ?)", f.Serial)
	}
	if f.Fingerprint != "" {
		q = q.Where("EXISTS (SELECT 1 FROM certificate_versions v WHERE v.certificate_id = certificate.id AND v.fingerprint_sha256 = ?)", f.Fingerprint)
	}
	if !f.RevocableAt.IsZero() {
		q = q.Where("EXISTS (SELECT 1 FROM certificate_versions v WHERE v.certificate_id = certificate.id AND v.not_after > ? AND NOT EXISTS "+
			"(SELECT 1 FROM revocations r WHERE r.issuer_key_id = v.issuer_key_id AND r.serial = v.serial AND r.released_at IS NULL AND r.reason <> ?))",
			stamp(f.RevocableAt), int(revocation.CertificateHold))
	}
	if f.Search != "" {
		like := contains(f.Search)
		q = q.Where("(LOWER(certificate.name) LIKE ? ESCAPE '!' OR LOWER(certificate.common_name) LIKE ? ESCAPE '!' OR LOWER(CAST(certificate.sans AS TEXT)) LIKE ? ESCAPE '!')", like, like, like)
	}
	q = after(before(q, "certificate.expires_at", f.ExpiresBefore), "certificate.expires_at", f.ExpiresAfter)
	q = since(since(q, "certificate.created_at", f.CreatedAfter), "certificate.updated_at", f.UpdatedAfter)
	return before(q, "certificate.renew_at", f.RenewBefore)
}

var versions = &entity[certctl.CertificateVersion, certctl.VersionFilter]{
	name: "certificate version", alias: "certificate_version", pk: "id",
	id: func(v *certctl.CertificateVersion) string { return v.ID },
	sorts: []sortBy[certctl.CertificateVersion]{
		byTime("certificate_version.created_at", func(v *certctl.CertificateVersion) time.Time { return v.CreatedAt }, "createdAt", "created_at"),
		byTime("certificate_version.not_after", func(v *certctl.CertificateVersion) time.Time { return v.NotAfter }, "notAfter", "not_after"),
	},
	where: func(q query, f certctl.VersionFilter) query {
		q = anyOf(q, "certificate_version.certificate_id", f.CertificateIDs)
		q = equal(equal(q, "certificate_version.issuer_key_id", f.IssuerKeyID), "certificate_version.serial", f.Serial)
		q = equal(q, "certificate_version.fingerprint_sha256", f.Fingerprint)
		if f.Generation != 0 {
			q = q.Where("certificate_version.generation = ?", f.Generation)
		}
		return after(q, "certificate_version.not_after", f.ExpiresAfter)
	},
}

var bindings = &entity[certctl.Binding, certctl.BindingFilter]{
	name: "binding", alias: "binding", pk: "id",
	id: func(b *certctl.Binding) string { return b.ID }, meta: func(b *certctl.Binding) *certctl.Meta { return &b.Meta },
	sorts: []sortBy[certctl.Binding]{
		byTime("binding.created_at", func(b *certctl.Binding) time.Time { return b.CreatedAt }, "createdAt", "created_at"),
	},
	where: func(q query, f certctl.BindingFilter) query {
		q = anyOf(anyOf(q, "binding.certificate_id", f.CertificateIDs), "binding.target_id", f.TargetIDs)
		return before(anyOf(q, "binding.state", f.States), "binding.retry_at", f.RetryBefore)
	},
}

var orders = &entity[certctl.Order, certctl.OrderFilter]{
	name: "order", alias: "order", pk: "id",
	id: func(o *certctl.Order) string { return o.ID }, meta: func(o *certctl.Order) *certctl.Meta { return &o.Meta },
	sorts: []sortBy[certctl.Order]{
		byTime(`"order".created_at`, func(o *certctl.Order) time.Time { return o.CreatedAt }, "createdAt", "created_at"),
	},
	where: func(q query, f certctl.OrderFilter) query {
		q = anyOf(anyOf(q, `"order".certificate_id`, f.CertificateIDs), `"order".job_id`, f.JobIDs)
		return equal(equal(anyOf(q, `"order".state`, f.States), `"order".issuer_id`, f.IssuerID), `"order".serial`, f.Serial)
	},
}
