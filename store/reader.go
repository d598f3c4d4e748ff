package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/certctl/certctl/certctl"
)

// reader implements certctl.Reader over a transaction.
type reader struct{ t *tx }

var _ certctl.Reader = reader{}

func (r reader) Now() time.Time { return r.t.now }

func (r reader) Teams() certctl.Lookup[certctl.Team, certctl.NameFilter]       { return r.t.Teams() }
func (r reader) Owners() certctl.Lookup[certctl.Owner, certctl.NameFilter]     { return r.t.Owners() }
func (r reader) Profiles() certctl.Lookup[certctl.Profile, certctl.NameFilter] { return r.t.Profiles() }
func (r reader) RenewalPolicies() certctl.Lookup[certctl.RenewalPolicy, certctl.NameFilter] {
	return r.t.RenewalPolicies()
}
func (r reader) Issuers() certctl.Lookup[certctl.Issuer, certctl.IssuerFilter] { return r.t.Issuers() }
func (r reader) Targets() certctl.Lookup[certctl.Target, certctl.TargetFilter] { return r.t.Targets() }
func (r reader) Agents() certctl.Lookup[certctl.Agent, certctl.AgentFilter]    { return r.t.Agents() }
func (r reader) JoinTokens() certctl.Lookup[certctl.JoinToken, certctl.JoinTokenFilter] {
	return r.t.JoinTokens()
}
func (r reader) APIKeys() certctl.Lookup[certctl.APIKey, certctl.APIKeyFilter] { return r.t.APIKeys() }
func (r reader) Certificates() certctl.Lookup[certctl.Certificate, certctl.CertificateFilter] {
	return r.t.Certificates()
}
func (r reader) Versions() certctl.Lookup[certctl.CertificateVersion, certctl.VersionFilter] {
	return r.t.Versions()
}
func (r reader) Bindings() certctl.Lookup[certctl.Binding, certctl.BindingFilter] {
	return r.t.Bindings()
}
func (r reader) Orders() certctl.Lookup[certctl.Order, certctl.OrderFilter] { return r.t.Orders() }
func (r reader) Jobs() certctl.Lookup[certctl.Job, certctl.JobFilter]       { return r.t.Jobs() }
func (r reader) Revocations() certctl.Lookup[certctl.Revocation, certctl.RevocationFilter] {
	return r.t.Revocations()
}
func (r reader) CRLs() certctl.Lookup[certctl.CRL, certctl.CRLFilter] {
	return repo[certctl.CRL, certctl.CRLFilter]{r.t, crls}
}
func (r reader) CRLGenerations() certctl.Lookup[certctl.CRLGeneration, certctl.CRLGenerationFilter] {
	return r.t.CRLGenerations()
}
func (r reader) Responders() certctl.Lookup[certctl.Responder, certctl.ResponderFilter] {
	return r.t.Responders()
}
func (r reader) BulkRevocations() certctl.Lookup[certctl.BulkRevocation, certctl.BulkFilter] {
	return r.t.BulkRevocations()
}
func (r reader) BulkItems() certctl.Lookup[certctl.BulkItem, certctl.BulkItemFilter] {
	return r.t.BulkItems()
}
func (r reader) Audit() certctl.Lookup[certctl.AuditEntry, certctl.AuditFilter] {
	return repo[certctl.AuditEntry, certctl.AuditFilter]{r.t, auditEntries}
}
func (r reader) Reports() certctl.Reports { return reports(r) }

// VaultItem implements certctl.Reader.
func (r reader) VaultItem(ctx context.Context, owner, name string) (*certctl.VaultItem, error) {
	item := &certctl.VaultItem{}
	err := r.t.db.NewSelect().Model(item).Where("owner = ? AND name = ?", owner, name).Scan(ctx)
	if err != nil {
		return nil, translate(err, "vault item", opRead)
	}
	normalise(item)
	return item, nil
}

// EventsAfter implements certctl.Reader. On Postgres cursors are handed out
// before they commit: events are read in the order of their transactions, and
// only those older than every transaction that is still open.
func (r reader) EventsAfter(ctx context.Context, cursor int64, n int) ([]*certctl.Envelope, error) {
	rows := []*certctl.Envelope{}
	q := r.t.db.NewSelect().Model(&rows).Limit(int64(n))
	if !r.t.s.postgres {
		q = q.Where("envelope.cursor > ?", cursor).OrderExpr("envelope.cursor")
	} else {
		q = q.Where("envelope.txid < pg_snapshot_xmin(pg_current_snapshot())").OrderExpr("envelope.txid, envelope.cursor")
		if cursor != 0 {
			q = q.Where("(envelope.txid, envelope.cursor) > (SELECT e.txid, e.cursor FROM envelopes e WHERE e.cursor = ?)", cursor)
		}
	}
	if err := q.Scan(ctx); err != nil {
		return nil, translate(err, "event", opRead)
	}
	for _, e := range rows {
		normalise(e)
	}
	return rows, nil
}

// RevocationSequence implements certctl.Reader.
func (r reader) RevocationSequence(ctx context.Context, issuerKeyID string, shard int) (int64, error) {
	var n int64
	if shard > 0 {
		err := r.t.db.NewRaw("SELECT COALESCE(MAX(sequence), 0) FROM revocations WHERE issuer_key_id = ? AND crl_shard = ?", issuerKeyID, shard).Scan(ctx, &n)
		return n, translate(err, "revocation", opRead)
	}
	err := r.t.db.NewRaw("SELECT sequence FROM revocation_counters WHERE issuer_key_id = ?", issuerKeyID).Scan(ctx, &n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, translate(err, "revocation counter", opRead)
}

// Leases implements certctl.Reader.
func (r reader) Leases(ctx context.Context) ([]*certctl.Lease, error) {
	rows := []*certctl.Lease{}
	if err := r.t.db.NewSelect().Model(&rows).OrderExpr("lease.name").Scan(ctx); err != nil {
		return nil, translate(err, "lease", opRead)
	}
	for _, l := range rows {
		normalise(l)
	}
	return rows, nil
}

type reports reader

// Summary implements certctl.Reports.
func (r reports) Summary(ctx context.Context) (*certctl.Summary, error) {
	s := &certctl.Summary{
		Certificates: map[certctl.CertificateStatus]int64{}, Agents: map[certctl.AgentStatus]int64{},
		Jobs: map[certctl.JobStatus]int64{}, Bindings: map[certctl.BindingState]int64{}, At: r.t.now,
	}
	count := func(query string, put func(string, int64)) error {
		var rows []struct {
			K string
			N int64
		}
		if err := r.t.db.NewRaw(query).Scan(ctx, &rows); err != nil {
			return translate(err, "summary", opRead)
		}
		for _, row := range rows {
			put(row.K, row.N)
		}
		return nil
	}
	err := errors.Join(
		count("SELECT status AS k, COUNT(*) AS n FROM certificates GROUP BY status", func(k string, n int64) { s.Certificates[certctl.CertificateStatus(k)] = n }),
		count("SELECT status AS k, COUNT(*) AS n FROM agents GROUP BY status", func(k string, n int64) { s.Agents[certctl.AgentStatus(k)] = n }),
		count("SELECT status AS k, COUNT(*) AS n FROM jobs GROUP BY status", func(k string, n int64) { s.Jobs[certctl.JobStatus(k)] = n }),
		count("SELECT state AS k, COUNT(*) AS n FROM bindings GROUP BY state", func(k string, n int64) { s.Bindings[certctl.BindingState(k)] = n }),
	)
	if err != nil {
		return nil, err
	}
	page, err := repo[certctl.Certificate, certctl.CertificateFilter]{r.t, certificates}.List(ctx, certctl.CertificateFilter{
		Statuses: []string{string(certctl.CertificateActive), string(certctl.CertificateExpiring), string(certctl.CertificateRenewalInProgress)},
	}, certctl.Page{Limit: 1, Sort: "expiresAt"})
	if err == nil && len(page.Items) > 0 {
		s.NextExpiry = page.Items[0].ExpiresAt
	}
	return s, err
}
