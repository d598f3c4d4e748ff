ALTER TABLE orders ADD COLUMN crl_shard BIGINT NOT NULL DEFAULT 0;
ALTER TABLE certificate_versions ADD COLUMN crl_shard BIGINT NOT NULL DEFAULT 0;
ALTER TABLE revocations ADD COLUMN crl_shard BIGINT NOT NULL DEFAULT 0;
ALTER TABLE revocations ADD COLUMN invalid_since TIMESTAMPTZ;
ALTER TABLE revocations ADD COLUMN released_at TIMESTAMPTZ;
ALTER TABLE responders ADD COLUMN ca_pem TEXT NOT NULL DEFAULT '';
CREATE INDEX revocations_sequence ON revocations (issuer_key_id, sequence);
CREATE INDEX revocations_shard ON revocations (issuer_key_id, crl_shard, sequence);

CREATE TABLE crl_lists (
  id TEXT PRIMARY KEY, issuer_key_id TEXT NOT NULL, issuer_id TEXT NOT NULL REFERENCES issuers (id), crl_shard BIGINT NOT NULL, delta BOOLEAN NOT NULL,
  crl_der BYTEA NOT NULL, crl_number BIGINT NOT NULL, base_number BIGINT NOT NULL, this_update TIMESTAMPTZ NOT NULL, next_update TIMESTAMPTZ NOT NULL,
  generated_at TIMESTAMPTZ NOT NULL, generation_duration BIGINT NOT NULL, revoked_count BIGINT NOT NULL, sequence BIGINT NOT NULL
);
CREATE INDEX crls_issuer_key_id ON crl_lists (issuer_key_id);
INSERT INTO crl_lists SELECT issuer_key_id, issuer_key_id, issuer_id, 0, FALSE, crl_der, crl_number, 0, this_update, next_update,
  generated_at, generation_duration, revoked_count, sequence FROM crls;
DROP TABLE crls;
ALTER TABLE crl_lists RENAME TO crls;

ALTER TABLE crl_generations ADD COLUMN crl_shard BIGINT NOT NULL DEFAULT 0;
ALTER TABLE crl_generations ADD COLUMN delta BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE crl_generations ADD COLUMN sequence BIGINT NOT NULL DEFAULT 0;
CREATE INDEX crl_generations_key ON crl_generations (issuer_key_id, crl_shard, crl_number);
