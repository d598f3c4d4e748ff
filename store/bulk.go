package store

import (
	"context"
	"time"

	"github.com/certctl/certctl/certctl"
)

var bulkRevocations = &entity[certctl.BulkRevocation, certctl.BulkFilter]{
	name: "bulk revocation", alias: "bulk_revocation", pk: "id",
	id: func(b *certctl.BulkRevocation) string { return b.ID }, meta: func(b *certctl.BulkRevocation) *certctl.Meta { return &b.Meta },
	sorts: []sortBy[certctl.BulkRevocation]{
		byTime("bulk_revocation.created_at", func(b *certctl.BulkRevocation) time.Time { return b.CreatedAt }, "createdAt", "created_at"),
	},
	where: func(q query, f certctl.BulkFilter) query { return anyOf(q, "bulk_revocation.status", f.Statuses) },
}

var bulkItems = &entity[certctl.BulkItem, certctl.BulkItemFilter]{
	name: "item of a bulk revocation", alias: "bulk_item", pk: "id",
	id: func(i *certctl.BulkItem) string { return i.ID },
	sorts: []sortBy[certctl.BulkItem]{
		byText("bulk_item.certificate_id", func(i *certctl.BulkItem) string { return i.CertificateID }, "certificateID", "certificate_id"),
	},
	where: func(q query, f certctl.BulkItemFilter) query {
		q = equal(q, "bulk_item.bulk_id", f.BulkID)
		return anyOf(anyOf(q, "bulk_item.status", f.Statuses), "bulk_item.certificate_id", f.CertificateIDs)
	},
}

type bulkItemRepo struct {
	repo[certctl.BulkItem, certctl.BulkItemFilter]
}

// Enlist implements certctl.BulkItemRepo, in one statement however many they
// are.
func (r bulkItemRepo) Enlist(ctx context.Context, bulkID string, f certctl.CertificateFilter) (int64, error) {
	chosen := whereCertificate(r.tx.db.NewSelect().Model((*certctl.Certificate)(nil)), f).
		ColumnExpr("? || '/' || certificate.id, ?, certificate.id, ?, 0, ''", bulkID, bulkID, certctl.BulkItemPending)
	n, err := affected(r.tx.db.NewRaw("INSERT INTO bulk_items (id, bulk_id, certificate_id, status, serials, reason) ?", chosen).Exec(ctx))
	return n, translate(err, "item of a bulk revocation", opWrite)
}
