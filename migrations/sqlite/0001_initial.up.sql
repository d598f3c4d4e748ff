CREATE TABLE teams (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX teams_name ON teams (name);

CREATE TABLE owners (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, team_id TEXT REFERENCES teams (id),
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX owners_name ON owners (name);
CREATE INDEX owners_team_id ON owners (team_id);

CREATE TABLE profiles (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, allowed_key_algorithms TEXT, max_ttl INTEGER NOT NULL,
  allowed_ekus TEXT, required_san_patterns TEXT, spiffe_uri_pattern TEXT NOT NULL, allow_short_lived BOOLEAN NOT NULL, enabled BOOLEAN NOT NULL,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX profiles_name ON profiles (name);

CREATE TABLE renewal_policies (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, auto_renew BOOLEAN NOT NULL, renewal_window_days INTEGER NOT NULL, remaining_fraction REAL NOT NULL,
  max_retries INTEGER NOT NULL, retry_interval INTEGER NOT NULL, alert_thresholds_days TEXT, profile_id TEXT REFERENCES profiles (id),
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX renewal_policies_name ON renewal_policies (name);

CREATE TABLE issuers (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, config TEXT, sealed_config BLOB, enabled BOOLEAN NOT NULL, source TEXT NOT NULL,
  test_status TEXT NOT NULL, test_message TEXT NOT NULL, tested_at TIMESTAMP,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX issuers_name ON issuers (name);

CREATE TABLE agents (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, hostname TEXT NOT NULL, status TEXT NOT NULL, status_reason TEXT NOT NULL, os TEXT NOT NULL,
  architecture TEXT NOT NULL, ip_address TEXT NOT NULL, version TEXT NOT NULL, clock_skew_ms INTEGER NOT NULL, last_heartbeat_at TIMESTAMP,
  registered_at TIMESTAMP NOT NULL, retired_at TIMESTAMP, retired_reason TEXT NOT NULL,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX agents_name ON agents (name) WHERE status <> 'Retired';
CREATE INDEX agents_status ON agents (status, last_heartbeat_at);

CREATE TABLE targets (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, agent_id TEXT NOT NULL REFERENCES agents (id), config TEXT, sealed_config BLOB,
  paths TEXT, enabled BOOLEAN NOT NULL, source TEXT NOT NULL, test_status TEXT NOT NULL, test_message TEXT NOT NULL, tested_at TIMESTAMP,
  retired_at TIMESTAMP, retired_reason TEXT NOT NULL,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX targets_agent_name ON targets (agent_id, name) WHERE retired_at IS NULL;

CREATE TABLE join_tokens (
  id TEXT PRIMARY KEY, hash TEXT NOT NULL, agent_name TEXT NOT NULL, created_by TEXT NOT NULL, expires_at TIMESTAMP NOT NULL,
  used_at TIMESTAMP, used_by TEXT NOT NULL, revoked_at TIMESTAMP,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX join_tokens_hash ON join_tokens (hash);

CREATE TABLE api_keys (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, agent_id TEXT REFERENCES agents (id), hash TEXT NOT NULL, old_hash TEXT,
  old_until TIMESTAMP, created_by TEXT NOT NULL, expires_at TIMESTAMP, last_used_at TIMESTAMP, revoked_at TIMESTAMP,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX api_keys_name ON api_keys (name) WHERE revoked_at IS NULL;
CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);
CREATE UNIQUE INDEX api_keys_old_hash ON api_keys (old_hash);
CREATE INDEX api_keys_agent_id ON api_keys (agent_id);

CREATE TABLE certificates (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, common_name TEXT NOT NULL, sans TEXT, environment TEXT NOT NULL, owner_id TEXT REFERENCES owners (id),
  team_id TEXT REFERENCES teams (id), issuer_id TEXT NOT NULL REFERENCES issuers (id), renewal_policy_id TEXT NOT NULL REFERENCES renewal_policies (id),
  profile_id TEXT REFERENCES profiles (id), key_algorithm TEXT NOT NULL, ttl INTEGER NOT NULL, tags TEXT, source TEXT NOT NULL,
  status TEXT NOT NULL, status_reason TEXT NOT NULL, generation INTEGER NOT NULL, current_version_id TEXT, serial TEXT NOT NULL,
  fingerprint_sha256 TEXT NOT NULL, not_before TIMESTAMP, expires_at TIMESTAMP, renew_at TIMESTAMP, renewal_failures INTEGER NOT NULL,
  last_renewal_at TIMESTAMP, last_deployment_at TIMESTAMP, revoked_at TIMESTAMP, revocation_reason TEXT NOT NULL,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX certificates_name ON certificates (name) WHERE status <> 'Archived';
CREATE INDEX certificates_renew_at ON certificates (renew_at) WHERE renew_at IS NOT NULL;
CREATE INDEX certificates_expires_at ON certificates (expires_at);
CREATE INDEX certificates_status ON certificates (status, expires_at);
CREATE INDEX certificates_created_at ON certificates (created_at, id);
CREATE INDEX certificates_updated_at ON certificates (updated_at, id);
CREATE INDEX certificates_issuer_id ON certificates (issuer_id);
CREATE INDEX certificates_owner_id ON certificates (owner_id);
CREATE INDEX certificates_team_id ON certificates (team_id);
CREATE INDEX certificates_profile_id ON certificates (profile_id);
CREATE INDEX certificates_renewal_policy_id ON certificates (renewal_policy_id, expires_at);

CREATE TABLE orders (
  id TEXT PRIMARY KEY, certificate_id TEXT NOT NULL REFERENCES certificates (id), generation INTEGER NOT NULL, job_id TEXT NOT NULL,
  issuer_id TEXT NOT NULL REFERENCES issuers (id), state TEXT NOT NULL, serial TEXT, not_before TIMESTAMP NOT NULL, not_after TIMESTAMP,
  csr_pem TEXT NOT NULL, common_name TEXT NOT NULL, sans TEXT, ekus TEXT, no_revocation BOOLEAN NOT NULL, issuer_state BLOB,
  poll_at TIMESTAMP, last_error TEXT NOT NULL,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX orders_open ON orders (certificate_id) WHERE state = 'Open';
CREATE UNIQUE INDEX orders_serial ON orders (issuer_id, serial);
CREATE INDEX orders_job_id ON orders (job_id);
CREATE INDEX orders_certificate_id ON orders (certificate_id);

CREATE TABLE certificate_versions (
  id TEXT PRIMARY KEY, certificate_id TEXT NOT NULL REFERENCES certificates (id), generation INTEGER NOT NULL, order_id TEXT NOT NULL REFERENCES orders (id),
  issuer_id TEXT NOT NULL REFERENCES issuers (id), issuer_key_id TEXT NOT NULL, serial TEXT NOT NULL, fingerprint_sha256 TEXT NOT NULL,
  subject_cn TEXT NOT NULL, not_before TIMESTAMP NOT NULL, not_after TIMESTAMP NOT NULL, key_algorithm TEXT NOT NULL, key_size INTEGER NOT NULL,
  cert_pem TEXT NOT NULL, chain_pem TEXT NOT NULL, csr_pem TEXT NOT NULL, issuer_state BLOB, no_revocation BOOLEAN NOT NULL, created_at TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX certificate_versions_serial ON certificate_versions (issuer_key_id, serial);
CREATE UNIQUE INDEX certificate_versions_generation ON certificate_versions (certificate_id, generation);
CREATE UNIQUE INDEX certificate_versions_fingerprint ON certificate_versions (fingerprint_sha256);
CREATE INDEX certificate_versions_any_serial ON certificate_versions (serial);

CREATE TABLE bindings (
  id TEXT PRIMARY KEY, certificate_id TEXT NOT NULL REFERENCES certificates (id), target_id TEXT NOT NULL REFERENCES targets (id), state TEXT NOT NULL,
  state_reason TEXT NOT NULL, deployed_generation INTEGER NOT NULL, deployed_serial TEXT NOT NULL, deployed_at TIMESTAMP, failures INTEGER NOT NULL,
  retry_at TIMESTAMP, verification_status TEXT NOT NULL, observed TEXT, verified_at TIMESTAMP,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX bindings_target_id ON bindings (target_id);
CREATE INDEX bindings_certificate_id ON bindings (certificate_id);
CREATE INDEX bindings_retry_at ON bindings (retry_at) WHERE retry_at IS NOT NULL;

CREATE TABLE jobs (
  id TEXT PRIMARY KEY, type TEXT NOT NULL, status TEXT NOT NULL, certificate_id TEXT NOT NULL REFERENCES certificates (id), generation INTEGER NOT NULL,
  target_id TEXT REFERENCES targets (id), binding_id TEXT, agent_id TEXT REFERENCES agents (id), order_id TEXT REFERENCES orders (id), csr_pem TEXT NOT NULL,
  force BOOLEAN NOT NULL, executor TEXT NOT NULL, worker TEXT NOT NULL, fence INTEGER NOT NULL, lease_until TIMESTAMP, run_at TIMESTAMP NOT NULL,
  deadline TIMESTAMP NOT NULL, attempts INTEGER NOT NULL, max_attempts INTEGER NOT NULL, last_error TEXT NOT NULL, waiting TEXT NOT NULL, output TEXT NOT NULL,
  verification_status TEXT NOT NULL, observed TEXT, verified_at TIMESTAMP, requested_by TEXT NOT NULL, started_at TIMESTAMP, completed_at TIMESTAMP,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX jobs_live_issuance ON jobs (certificate_id) WHERE type IN ('Issuance', 'Renewal') AND status IN ('Pending', 'AwaitingCSR', 'AwaitingApproval', 'Running');
CREATE UNIQUE INDEX jobs_live_deployment ON jobs (binding_id) WHERE type = 'Deployment' AND status IN ('Pending', 'AwaitingCSR', 'AwaitingApproval', 'Running');
CREATE INDEX jobs_runnable ON jobs (executor, run_at) WHERE executor <> '';
CREATE INDEX jobs_certificate_id ON jobs (certificate_id, created_at);
CREATE INDEX jobs_target_id ON jobs (target_id);
CREATE INDEX jobs_agent_id ON jobs (agent_id);
CREATE INDEX jobs_created_at ON jobs (created_at, id);
CREATE INDEX jobs_status ON jobs (status, deadline);

CREATE TABLE revocation_counters (
  issuer_key_id TEXT PRIMARY KEY, sequence INTEGER NOT NULL
);

CREATE TABLE revocations (
  id TEXT PRIMARY KEY, issuer_id TEXT NOT NULL REFERENCES issuers (id), issuer_key_id TEXT NOT NULL, serial TEXT NOT NULL,
  certificate_id TEXT NOT NULL REFERENCES certificates (id), version_id TEXT NOT NULL REFERENCES certificate_versions (id), reason INTEGER NOT NULL,
  revoked_at TIMESTAMP NOT NULL, revoked_by TEXT NOT NULL, not_after TIMESTAMP NOT NULL, sequence INTEGER NOT NULL, issuer_notified TIMESTAMP,
  issuer_error TEXT NOT NULL, attempts INTEGER NOT NULL, retry_at TIMESTAMP,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX revocations_serial ON revocations (issuer_key_id, serial);
CREATE INDEX revocations_certificate_id ON revocations (certificate_id);
CREATE INDEX revocations_retry_at ON revocations (retry_at) WHERE retry_at IS NOT NULL;

CREATE TABLE crls (
  issuer_key_id TEXT PRIMARY KEY, issuer_id TEXT NOT NULL REFERENCES issuers (id), crl_der BLOB NOT NULL, crl_number INTEGER NOT NULL,
  this_update TIMESTAMP NOT NULL, next_update TIMESTAMP NOT NULL, generated_at TIMESTAMP NOT NULL, generation_duration INTEGER NOT NULL,
  revoked_count INTEGER NOT NULL, sequence INTEGER NOT NULL
);

CREATE TABLE crl_generations (
  id TEXT PRIMARY KEY, issuer_key_id TEXT NOT NULL, issuer_id TEXT NOT NULL REFERENCES issuers (id), crl_number INTEGER NOT NULL, started_at TIMESTAMP NOT NULL,
  duration INTEGER NOT NULL, revoked_count INTEGER NOT NULL, succeeded BOOLEAN NOT NULL, error TEXT NOT NULL
);
CREATE INDEX crl_generations_issuer_id ON crl_generations (issuer_id, started_at);

CREATE TABLE responders (
  issuer_key_id TEXT PRIMARY KEY, issuer_id TEXT NOT NULL REFERENCES issuers (id), cert_pem TEXT NOT NULL, cert_serial TEXT NOT NULL, sealed_key BLOB NOT NULL,
  key_alg TEXT NOT NULL, not_before TIMESTAMP NOT NULL, not_after TIMESTAMP NOT NULL, rotated_from TEXT NOT NULL,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);

CREATE TABLE audit_entries (
  id TEXT PRIMARY KEY, at TIMESTAMP NOT NULL, actor TEXT NOT NULL, actor_name TEXT NOT NULL, actor_type TEXT NOT NULL, action TEXT NOT NULL,
  resource_type TEXT NOT NULL, resource_id TEXT NOT NULL, request_id TEXT NOT NULL, details TEXT
);
CREATE INDEX audit_entries_at ON audit_entries (at, id);
CREATE INDEX audit_entries_resource ON audit_entries (resource_type, resource_id, at);
CREATE INDEX audit_entries_actor ON audit_entries (actor, at);

CREATE TABLE leases (
  name TEXT PRIMARY KEY, holder TEXT NOT NULL, fence INTEGER NOT NULL, lease_until TIMESTAMP, last_run TIMESTAMP, last_error TEXT NOT NULL
);

CREATE TABLE idempotency_records (
  id TEXT PRIMARY KEY, request_hash TEXT NOT NULL, status INTEGER NOT NULL, header TEXT NOT NULL, body BLOB, expires_at TIMESTAMP NOT NULL,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, revision INTEGER NOT NULL
);
CREATE INDEX idempotency_records_expires_at ON idempotency_records (expires_at);

CREATE TABLE vault_items (
  owner TEXT NOT NULL, name TEXT NOT NULL, sealed BLOB NOT NULL, created_at TIMESTAMP NOT NULL, PRIMARY KEY (owner, name)
);

CREATE TABLE envelopes (
  cursor INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, name TEXT NOT NULL, at TIMESTAMP NOT NULL, data TEXT
);

CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
