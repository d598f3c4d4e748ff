CREATE TABLE bulk_revocations (
  id TEXT PRIMARY KEY, status TEXT NOT NULL, criteria TEXT NOT NULL, reason INTEGER NOT NULL, invalid_since TIMESTAMP,
  requested_by TEXT NOT NULL, requested_by_name TEXT NOT NULL, requested_by_type TEXT NOT NULL, request_id TEXT NOT NULL,
  affected INTEGER NOT NULL, revoked INTEGER NOT NULL, skipped INTEGER NOT NULL, failed INTEGER NOT NULL,
  started_at TIMESTAMP, completed_at TIMESTAMP, created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE INDEX bulk_revocations_status ON bulk_revocations (status, created_at);

CREATE TABLE bulk_items (
  id TEXT PRIMARY KEY, bulk_id TEXT NOT NULL REFERENCES bulk_revocations (id), certificate_id TEXT NOT NULL, status TEXT NOT NULL,
  serials INTEGER NOT NULL, reason TEXT NOT NULL, processed_at TIMESTAMP
);
CREATE INDEX bulk_items_status ON bulk_items (bulk_id, status, certificate_id, id);
