CREATE TABLE bulk_revocations (
  id TEXT PRIMARY KEY, status TEXT NOT NULL, criteria JSONB NOT NULL, reason BIGINT NOT NULL, invalid_since TIMESTAMPTZ,
  requested_by TEXT NOT NULL, requested_by_name TEXT NOT NULL, requested_by_type TEXT NOT NULL, request_id TEXT NOT NULL,
  affected BIGINT NOT NULL, revoked BIGINT NOT NULL, skipped BIGINT NOT NULL, failed BIGINT NOT NULL,
  started_at TIMESTAMPTZ, completed_at TIMESTAMPTZ, created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL, revision BIGINT NOT NULL
);
CREATE INDEX bulk_revocations_status ON bulk_revocations (status, created_at);

CREATE TABLE bulk_items (
  id TEXT PRIMARY KEY, bulk_id TEXT NOT NULL REFERENCES bulk_revocations (id), certificate_id TEXT NOT NULL, status TEXT NOT NULL,
  serials BIGINT NOT NULL, reason TEXT NOT NULL, processed_at TIMESTAMPTZ
);
CREATE INDEX bulk_items_status ON bulk_items (bulk_id, status, certificate_id, id);
