package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/certctl/certctl/revocation"
)

// maxBulkIDs bounds a list of certificates that a caller makes.
const maxBulkIDs = 10_000

// BulkRevocation asks for the revocation of many certificates.
type BulkRevocation struct {
	Criteria     certctl.BulkCriteria // at least one
	Reason       revocation.Reason
	InvalidSince time.Time // as in RevokeOptions
	DryRun       bool      // only tell how many there are
}

// BulkRevoke writes down which certificates are to be revoked: those that match
// all criteria and have a version that can be revoked, and every one that is
// named. A loop then revokes them, goes on after a crash, and notes for each
// what became of it. A dry run writes nothing, and its answer has no ID.
func (e *Engine) BulkRevoke(ctx context.Context, in BulkRevocation) (*certctl.BulkRevocation, error) {
	options := RevokeOptions{Reason: in.Reason, InvalidSince: in.InvalidSince}
	if err := e.judgeRevocation(&options); err != nil {
		return nil, err
	}
	criteria := in.Criteria
	criteria.CertificateIDs = slices.Compact(slices.Sorted(slices.Values(criteria.CertificateIDs)))
	who := certctl.ActorFrom(ctx)
	var b *certctl.BulkRevocation
	run := func(ctx context.Context, r certctl.Reader, write func(certctl.CertificateFilter, []string) (int64, error)) error {
		b = &certctl.BulkRevocation{
			ID: certctl.NewID(certctl.PrefixBulk, r.Now()), Status: certctl.BulkPending, Criteria: criteria, Reason: int(options.Reason), InvalidSince: options.InvalidSince,
			RequestedBy: who.ID, RequestedByName: who.Name, RequestedByType: who.Type, RequestID: who.RequestID,
		}
		if err := judgeCriteria(ctx, r, criteria); err != nil {
			return err
		}
		missing, err := unknownCertificates(ctx, r, criteria.CertificateIDs)
		if err != nil {
			return err
		}
		n, err := write(bulkFilter(criteria, r.Now()), missing)
		b.Affected, b.Failed = n+int64(len(missing)), int64(len(missing))
		return err
	}
	if in.DryRun {
		err := e.store.View(ctx, func(ctx context.Context, r certctl.Reader) error {
			return run(ctx, r, func(f certctl.CertificateFilter, _ []string) (int64, error) { return r.Certificates().Count(ctx, f) })
		})
		if err != nil {
			return nil, err
		}
		b.ID, b.Status = "", ""
		return b, nil
	}
	err := e.store.Update(ctx, func(ctx context.Context, tx certctl.Tx) error {
		err := run(ctx, tx.Reader(), func(f certctl.CertificateFilter, missing []string) (int64, error) {
			return enlist(ctx, tx, b, f, missing)
		})
		if err != nil {
			return err
		}
		if err := tx.BulkRevocations().Update(ctx, b); err != nil {
			return err
		}
		d := details{"criteria": criteria, "reason": in.Reason.String(), "affected": b.Affected}
		if !b.InvalidSince.IsZero() {
			d["invalid_since"] = b.InvalidSince
		}
		return audit(ctx, tx, "bulk_revocation_initiated", "bulk_revocation", b.ID, d)
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// enlist writes the items, those of unknown certificates as failed.
func enlist(ctx context.Context, tx certctl.Tx, b *certctl.BulkRevocation, f certctl.CertificateFilter, missing []string) (int64, error) {
	if err := tx.BulkRevocations().Insert(ctx, b); err != nil {
		return 0, err
	}
	n, err := tx.BulkItems().Enlist(ctx, b.ID, f)
	if err != nil {
		return 0, err
	}
	for part := range slices.Chunk(missing, 500) {
		rows := make([]*certctl.BulkItem, len(part))
		for i, id := range part {
			rows[i] = &certctl.BulkItem{
				ID: certctl.BulkItemID(b.ID, id), BulkID: b.ID, CertificateID: id, Status: certctl.BulkItemFailed, Reason: "no certificate " + id, ProcessedAt: tx.Now(),
			}
		}
		if err := tx.BulkItems().Insert(ctx, rows...); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// bulkFilter finds what matches: of the named ones all, so that each gets an
// answer, otherwise what can be revoked.
func bulkFilter(c certctl.BulkCriteria, now time.Time) certctl.CertificateFilter {
	one := func(s string) []string {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	f := certctl.CertificateFilter{
		IDs: c.CertificateIDs, ProfileIDs: one(c.ProfileID), OwnerIDs: one(c.OwnerID), AgentIDs: one(c.AgentID), IssuerIDs: one(c.IssuerID), TeamIDs: one(c.TeamID),
	}
	if len(c.CertificateIDs) == 0 {
		f.RevocableAt = now
	}
	return f
}

// judgeCriteria refuses criteria that match everything, and names that do not
// exist: a typing error must not look like a revocation.
func judgeCriteria(ctx context.Context, r certctl.Reader, c certctl.BulkCriteria) error {
	if c.Empty() {
		return certctl.Invalid("bulk revocation", certctl.Problem{Message: "give at least one of profile_id, owner_id, agent_id, issuer_id, team_id and certificate_ids"})
	}
	var problems []certctl.Problem
	if len(c.CertificateIDs) > maxBulkIDs {
		problems = append(problems, certctl.Problem{Field: "certificate_ids", Message: fmt.Sprintf("has more than %d entries; ask in parts", maxBulkIDs)})
	}
	for i, id := range c.CertificateIDs {
		if !certctl.ValidID(id) {
			problems = append(problems, certctl.Problem{Field: fmt.Sprintf("certificate_ids[%d]", i), Message: "is no ID"})
			break
		}
	}
	for _, x := range []struct {
		field, id string
		get       func(string) error
	}{
		{"profile_id", c.ProfileID, func(id string) error { _, err := r.Profiles().Get(ctx, id); return err }},
		{"owner_id", c.OwnerID, func(id string) error { _, err := r.Owners().Get(ctx, id); return err }},
		{"agent_id", c.AgentID, func(id string) error { _, err := r.Agents().Get(ctx, id); return err }},
		{"issuer_id", c.IssuerID, func(id string) error { _, err := r.Issuers().Get(ctx, id); return err }},
		{"team_id", c.TeamID, func(id string) error { _, err := r.Teams().Get(ctx, id); return err }},
	} {
		if x.id == "" {
			continue
		}
		if err := orProblem(x.get(x.id), x.field, "there is none with the ID "+x.id, &problems); err != nil {
			return err
		}
	}
	return certctl.Invalid("bulk revocation", problems...)
}

func unknownCertificates(ctx context.Context, r certctl.Reader, ids []string) ([]string, error) {
	known := make(map[string]bool, len(ids))
	for part := range slices.Chunk(ids, 500) {
		rows, err := all(ctx, r.Certificates(), certctl.CertificateFilter{IDs: part})
		if err != nil {
			return nil, err
		}
		for _, c := range rows {
			known[c.ID] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return known[id] }), nil
}
