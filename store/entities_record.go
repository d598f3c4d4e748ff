package store

import (
	"context"
	"time"

	"github.com/certctl/certctl/certctl"
)

var revocations = &entity[certctl.Revocation, certctl.RevocationFilter]{
	name: "revocation", alias: "revocation", pk: "id",
	id: func(r *certctl.Revocation) string { return r.ID }, meta: func(r *certctl.Revocation) *certctl.Meta { return &r.Meta },
	sorts: []sortBy[certctl.Revocation]{
		byTime("revocation.revoked_at", func(r *certctl.Revocation) time.Time { return r.RevokedAt }, "revokedAt", "revoked_at"),
	},
	where: func(q query, f certctl.RevocationFilter) query {
		q = anyOf(anyOf(q, "revocation.issuer_id", f.IssuerIDs), "revocation.certificate_id", f.CertificateIDs)
		q = equal(equal(q, "revocation.issuer_key_id", f.IssuerKeyID), "revocation.serial", f.Serial)
		if !f.RetryBefore.IsZero() {
			q = q.Where("revocation.issuer_notified IS NULL")
		}
		q = isSet(q, "revocation.released_at", f.Released)
		return before(q, "revocation.retry_at", f.RetryBefore)
	},
	before: func(ctx context.Context, t *tx, r *certctl.Revocation) error {
		if r.Sequence != 0 {
			return nil
		}
		// The counter's row makes the revocations of one CA wait for each other, so
		// that a lower sequence never commits after a higher one was read.
		err := t.db.NewRaw("INSERT INTO revocation_counters (issuer_key_id, sequence) VALUES (?, 1) "+
			"ON CONFLICT (issuer_key_id) DO UPDATE SET sequence = revocation_counters.sequence + 1 RETURNING sequence", r.IssuerKeyID).
			Scan(ctx, &r.Sequence)
		return translate(err, "revocation counter", opWrite)
	},
}

var crls = &entity[certctl.CRL, certctl.CRLFilter]{
	name: "CRL", alias: "crl", pk: "id",
	id: func(c *certctl.CRL) string { return c.ID },
	sorts: []sortBy[certctl.CRL]{
		byTime("crl.this_update", func(c *certctl.CRL) time.Time { return c.ThisUpdate }, "thisUpdate", "this_update"),
	},
	where: func(q query, f certctl.CRLFilter) query {
		q = anyOf(anyOf(q, "crl.issuer_id", f.IssuerIDs), "crl.id", f.IDs)
		if f.WithoutDER {
			q = q.ExcludeColumn("crl_der")
		}
		return q
	},
}

var crlGenerations = &entity[certctl.CRLGeneration, certctl.CRLGenerationFilter]{
	name: "CRL generation", alias: "crl_generation", pk: "id",
	id: func(c *certctl.CRLGeneration) string { return c.ID },
	sorts: []sortBy[certctl.CRLGeneration]{
		byTime("crl_generation.started_at", func(c *certctl.CRLGeneration) time.Time { return c.StartedAt }, "startedAt", "started_at"),
	},
	where: func(q query, f certctl.CRLGenerationFilter) query {
		q = anyOf(q, "crl_generation.issuer_id", f.IssuerIDs)
		q = equal(q, "crl_generation.issuer_key_id", f.IssuerKeyID)
		if f.Shard != nil {
			q = q.Where("crl_generation.crl_shard = ?", *f.Shard)
		}
		q = flag(flag(q, "crl_generation.delta", f.Delta), "crl_generation.succeeded", f.Succeeded)
		return since(q, "crl_generation.started_at", f.Since)
	},
}

var responders = &entity[certctl.Responder, certctl.ResponderFilter]{
	name: "OCSP responder", alias: "responder", pk: "issuer_key_id",
	id: func(r *certctl.Responder) string { return r.IssuerKeyID }, meta: func(r *certctl.Responder) *certctl.Meta { return &r.Meta },
	sorts: []sortBy[certctl.Responder]{
		byTime("responder.not_after", func(r *certctl.Responder) time.Time { return r.NotAfter }, "notAfter", "not_after"),
	},
	where: func(q query, f certctl.ResponderFilter) query { return anyOf(q, "responder.issuer_id", f.IssuerIDs) },
}

var auditEntries = &entity[certctl.AuditEntry, certctl.AuditFilter]{
	name: "audit entry", alias: "audit_entry", pk: "id",
	id: func(a *certctl.AuditEntry) string { return a.ID },
	sorts: []sortBy[certctl.AuditEntry]{
		byTime("audit_entry.at", func(a *certctl.AuditEntry) time.Time { return a.At }, "at", "timestamp"),
	},
	where: func(q query, f certctl.AuditFilter) query {
		q = anyOf(anyOf(q, "audit_entry.actor", f.Actors), "audit_entry.action", f.Actions)
		q = anyOf(anyOf(q, "audit_entry.resource_type", f.ResourceTypes), "audit_entry.resource_id", f.ResourceIDs)
		return before(since(q, "audit_entry.at", f.Since), "audit_entry.at", f.Until)
	},
}

var idempotency = &entity[certctl.IdempotencyRecord, certctl.IdempotencyFilter]{
	name: "idempotency key", alias: "idempotency_record", pk: "id",
	id:   func(r *certctl.IdempotencyRecord) string { return r.ID },
	meta: func(r *certctl.IdempotencyRecord) *certctl.Meta { return &r.Meta },
	sorts: []sortBy[certctl.IdempotencyRecord]{
		byTime("idempotency_record.expires_at", func(r *certctl.IdempotencyRecord) time.Time { return r.ExpiresAt }, "expiresAt", "expires_at"),
	},
	where: func(q query, f certctl.IdempotencyFilter) query {
		return before(q, "idempotency_record.expires_at", f.ExpiresBefore)
	},
}
