package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/certctl/certctl/certctl"
	"github.com/uptrace/bun"
)

func isNotFound(err error) bool { return errors.Is(err, certctl.ErrNotFound) }

func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// tx implements certctl.Tx.
type tx struct {
	s      *Store
	db     bun.Tx
	now    time.Time
	topics map[string]struct{}
}

var _ certctl.Tx = (*tx)(nil)

func (t *tx) Now() time.Time         { return t.now }
func (t *tx) Reader() certctl.Reader { return reader{t} }

func (t *tx) Nudge(topics ...string) {
	if t.topics == nil {
		t.topics = map[string]struct{}{}
	}
	for _, topic := range topics {
		t.topics[topic] = struct{}{}
	}
}

func (t *tx) Teams() certctl.Repo[certctl.Team, certctl.NameFilter] {
	return repo[certctl.Team, certctl.NameFilter]{t, teams}
}
func (t *tx) Owners() certctl.Repo[certctl.Owner, certctl.NameFilter] {
	return repo[certctl.Owner, certctl.NameFilter]{t, owners}
}
func (t *tx) Profiles() certctl.Repo[certctl.Profile, certctl.NameFilter] {
	return repo[certctl.Profile, certctl.NameFilter]{t, profiles}
}
func (t *tx) RenewalPolicies() certctl.Repo[certctl.RenewalPolicy, certctl.NameFilter] {
	return repo[certctl.RenewalPolicy, certctl.NameFilter]{t, renewalPolicies}
}
func (t *tx) Issuers() certctl.Repo[certctl.Issuer, certctl.IssuerFilter] {
	return repo[certctl.Issuer, certctl.IssuerFilter]{t, issuers}
}
func (t *tx) Targets() certctl.Repo[certctl.Target, certctl.TargetFilter] {
	return repo[certctl.Target, certctl.TargetFilter]{t, targets}
}
func (t *tx) Agents() certctl.Repo[certctl.Agent, certctl.AgentFilter] {
	return repo[certctl.Agent, certctl.AgentFilter]{t, agents}
}
func (t *tx) JoinTokens() certctl.Repo[certctl.JoinToken, certctl.JoinTokenFilter] {
	return repo[certctl.JoinToken, certctl.JoinTokenFilter]{t, joinTokens}
}
func (t *tx) APIKeys() certctl.Repo[certctl.APIKey, certctl.APIKeyFilter] {
	return repo[certctl.APIKey, certctl.APIKeyFilter]{t, apiKeys}
}
func (t *tx) Certificates() certctl.Repo[certctl.Certificate, certctl.CertificateFilter] {
	return repo[certctl.Certificate, certctl.CertificateFilter]{t, certificates}
}
func (t *tx) Versions() certctl.Repo[certctl.CertificateVersion, certctl.VersionFilter] {
	return repo[certctl.CertificateVersion, certctl.VersionFilter]{t, versions}
}
func (t *tx) Bindings() certctl.Repo[certctl.Binding, certctl.BindingFilter] {
	return repo[certctl.Binding, certctl.BindingFilter]{t, bindings}
}
func (t *tx) Orders() certctl.Repo[certctl.Order, certctl.OrderFilter] {
	return repo[certctl.Order, certctl.OrderFilter]{t, orders}
}
func (t *tx) Jobs() certctl.JobRepo { return jobRepo{repo[certctl.Job, certctl.JobFilter]{t, jobs}} }
func (t *tx) Revocations() certctl.Repo[certctl.Revocation, certctl.RevocationFilter] {
	return repo[certctl.Revocation, certctl.RevocationFilter]{t, revocations}
}
func (t *tx) CRLGenerations() certctl.Repo[certctl.CRLGeneration, certctl.CRLGenerationFilter] {
	return repo[certctl.CRLGeneration, certctl.CRLGenerationFilter]{t, crlGenerations}
}
func (t *tx) Responders() certctl.Repo[certctl.Responder, certctl.ResponderFilter] {
	return repo[certctl.Responder, certctl.ResponderFilter]{t, responders}
}
func (t *tx) BulkRevocations() certctl.Repo[certctl.BulkRevocation, certctl.BulkFilter] {
	return repo[certctl.BulkRevocation, certctl.BulkFilter]{t, bulkRevocations}
}
func (t *tx) BulkItems() certctl.BulkItemRepo {
	return bulkItemRepo{repo[certctl.BulkItem, certctl.BulkItemFilter]{t, bulkItems}}
}
func (t *tx) Idempotency() certctl.Repo[certctl.IdempotencyRecord, certctl.IdempotencyFilter] {
	return repo[certctl.IdempotencyRecord, certctl.IdempotencyFilter]{t, idempotency}
}
func (t *tx) Leases() certctl.LeaseRepo { return leaseRepo{t} }

// Append implements certctl.Journal.
func (t *tx) Append(ctx context.Context, e *certctl.AuditEntry) error {
	if e.ID == "" {
		e.ID = certctl.NewID(certctl.PrefixAudit, t.now)
	}
	if e.At.IsZero() {
		e.At = t.now
	}
	if e.Actor == "" {
		a := certctl.ActorFrom(ctx)
		e.Actor, e.ActorName, e.ActorType, e.RequestID = a.ID, a.Name, a.Type, a.RequestID
	}
	_, err := t.db.NewInsert().Model(e).Exec(ctx)
	return translate(err, "audit entry", opWrite)
}

// Emit implements certctl.Journal.
func (t *tx) Emit(ctx context.Context, events ...certctl.Event) error {
	if len(events) == 0 {
		return nil
	}
	rows := make([]*certctl.Envelope, len(events))
	for i, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		rows[i] = &certctl.Envelope{ID: certctl.NewID(certctl.PrefixEvent, t.now), Name: certctl.EventName(e), At: t.now, Data: data}
	}
	_, err := t.db.NewInsert().Model(&rows).Exec(ctx)
	t.Nudge(certctl.TopicEvents)
	return translate(err, "event", opWrite)
}

// PutCRL implements certctl.Tx.
func (t *tx) PutCRL(ctx context.Context, c *certctl.CRL) error {
	normalise(c)
	n, err := affected(t.db.NewInsert().Model(c).On("CONFLICT (id) DO UPDATE").
		Set("issuer_id = EXCLUDED.issuer_id, base_number = EXCLUDED.base_number, crl_der = EXCLUDED.crl_der, crl_number = EXCLUDED.crl_number").
		Set("this_update = EXCLUDED.this_update, next_update = EXCLUDED.next_update, generated_at = EXCLUDED.generated_at").
		Set("generation_duration = EXCLUDED.generation_duration, revoked_count = EXCLUDED.revoked_count, sequence = EXCLUDED.sequence").
		Where("crl.crl_number < EXCLUDED.crl_number").Exec(ctx))
	if err != nil {
		return translate(err, "CRL", opWrite)
	}
	if n == 0 {
		return certctl.Errorf(certctl.ErrConflict, "a CRL with number %d or higher is stored already", c.Number)
	}
	return nil
}

// CreateVaultItem implements certctl.Tx.
func (t *tx) CreateVaultItem(ctx context.Context, item *certctl.VaultItem) (*certctl.VaultItem, error) {
	normalise(item)
	if _, err := t.db.NewInsert().Model(item).On("CONFLICT (owner, name) DO NOTHING").Exec(ctx); err != nil {
		return nil, translate(err, "vault item", opWrite)
	}
	return reader{t}.VaultItem(ctx, item.Owner, item.Name)
}
