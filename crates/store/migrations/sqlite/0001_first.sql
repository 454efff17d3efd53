CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    env TEXT NOT NULL,
    name TEXT NOT NULL,
    mac BLOB NOT NULL,
    scopes TEXT NOT NULL,
    routes TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    revoked_reason TEXT,
    created_by TEXT NOT NULL
) STRICT;

CREATE TABLE blocks (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    issuer TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    reason TEXT,
    created_by TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX blocks_target ON blocks (kind, issuer, value);

CREATE TABLE ip_entries (
    id TEXT NOT NULL PRIMARY KEY,
    list TEXT NOT NULL,
    net TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    note TEXT,
    created_by TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX ip_entries_target ON ip_entries (list, net);

CREATE TABLE sealed (
    name TEXT NOT NULL PRIMARY KEY,
    blob BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE nodes (
    id INTEGER NOT NULL PRIMARY KEY,
    beat INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;

CREATE TABLE outbox (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    event_id BLOB NOT NULL,
    node INTEGER NOT NULL,
    state INTEGER NOT NULL,
    done_at INTEGER,
    event TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX outbox_event ON outbox (event_id);
CREATE INDEX outbox_waiting ON outbox (node, seq) WHERE state = 0;
CREATE INDEX outbox_done ON outbox (done_at) WHERE state = 1;

CREATE TABLE feed (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    xid INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    subject TEXT NOT NULL,
    written_at INTEGER NOT NULL
) STRICT;
CREATE INDEX feed_place ON feed (xid, seq);

CREATE TABLE feed_floor (
    id INTEGER NOT NULL PRIMARY KEY,
    xid INTEGER NOT NULL,
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO feed_floor (id, xid, seq) VALUES (1, 0, 0);
