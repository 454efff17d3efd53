CREATE TABLE api_keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    env TEXT NOT NULL,
    name TEXT NOT NULL,
    mac BYTEA NOT NULL,
    scopes TEXT NOT NULL,
    routes TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    revoked_reason TEXT,
    created_by TEXT NOT NULL
);

CREATE TABLE blocks (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    issuer TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    reason TEXT,
    created_by TEXT NOT NULL
);
CREATE UNIQUE INDEX blocks_target ON blocks (kind, issuer, value);

CREATE TABLE ip_entries (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    list TEXT NOT NULL,
    net TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    note TEXT,
    created_by TEXT NOT NULL
);
CREATE UNIQUE INDEX ip_entries_target ON ip_entries (list, net);

CREATE TABLE sealed (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    blob BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE nodes (
    id BIGINT NOT NULL PRIMARY KEY,
    beat BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);

CREATE TABLE outbox (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id BYTEA NOT NULL,
    node BIGINT NOT NULL,
    state BIGINT NOT NULL,
    done_at BIGINT,
    event TEXT NOT NULL
);
CREATE UNIQUE INDEX outbox_event ON outbox (event_id);
CREATE INDEX outbox_waiting ON outbox (node, seq) WHERE state = 0;
CREATE INDEX outbox_done ON outbox (done_at) WHERE state = 1;

CREATE TABLE feed (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    subject TEXT NOT NULL,
    written_at BIGINT NOT NULL
);
CREATE INDEX feed_place ON feed (xid, seq);

CREATE TABLE feed_floor (
    id BIGINT NOT NULL PRIMARY KEY,
    xid BIGINT NOT NULL,
    seq BIGINT NOT NULL
);
INSERT INTO feed_floor (id, xid, seq) VALUES (1, 0, 0);
