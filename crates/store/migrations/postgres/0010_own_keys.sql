ALTER TABLE api_keys ADD COLUMN owner TEXT COLLATE "C";
CREATE INDEX api_keys_owner ON api_keys (owner) WHERE owner IS NOT NULL;

ALTER TABLE grants ADD COLUMN used_at BIGINT;
ALTER TABLE grants ADD COLUMN used_from TEXT;

CREATE TABLE account_events (
    event_id BYTEA NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL,
    class BIGINT NOT NULL,
    at BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX account_events_user ON account_events (user_id, class, at);
CREATE INDEX account_events_end ON account_events (at);
