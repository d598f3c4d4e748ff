DROP INDEX crl_generations_key;
ALTER TABLE crl_generations DROP COLUMN sequence;
ALTER TABLE crl_generations DROP COLUMN delta;
ALTER TABLE crl_generations DROP COLUMN crl_shard;

CREATE TABLE crl_lists (
  issuer_key_id TEXT PRIMARY KEY, issuer_id TEXT NOT NULL REFERENCES issuers (id), crl_der BLOB NOT NULL, crl_number INTEGER NOT NULL,
  this_update TIMESTAMP NOT NULL, next_update TIMESTAMP NOT NULL, generated_at TIMESTAMP NOT NULL, generation_duration INTEGER NOT NULL,
  revoked_count INTEGER NOT NULL, sequence INTEGER NOT NULL
);
INSERT INTO crl_lists SELECT issuer_key_id, issuer_id, crl_der, crl_number, this_update, next_update, generated_at, generation_duration, revoked_count, sequence
  FROM crls WHERE crl_shard = 0 AND NOT delta;
DROP TABLE crls;
ALTER TABLE crl_lists RENAME TO crls;

DROP INDEX revocations_shard;
DROP INDEX revocations_sequence;
ALTER TABLE responders DROP COLUMN ca_pem;
ALTER TABLE revocations DROP COLUMN released_at;
ALTER TABLE revocations DROP COLUMN invalid_since;
ALTER TABLE revocations DROP COLUMN crl_shard;
ALTER TABLE certificate_versions DROP COLUMN crl_shard;
ALTER TABLE orders DROP COLUMN crl_shard;
