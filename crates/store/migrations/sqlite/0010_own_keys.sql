ALTER TABLE api_keys ADD COLUMN owner TEXT;
CREATE INDEX api_keys_owner ON api_keys (owner) WHERE owner IS NOT NULL;

ALTER TABLE grants ADD COLUMN used_at INTEGER;
ALTER TABLE grants ADD COLUMN used_from TEXT;

CREATE TABLE account_events (
    event_id BLOB NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    class INTEGER NOT NULL,
    at INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;
CREATE INDEX account_events_user ON account_events (user_id, class, at);
CREATE INDEX account_events_end ON account_events (at);
