ALTER TABLE users ADD COLUMN declared BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN external_id TEXT;
UPDATE users SET external_id = doc::json -> 'directory' ->> 'external_id';
CREATE INDEX users_declared ON users (declared, id);
CREATE INDEX users_external ON users (external_id);
