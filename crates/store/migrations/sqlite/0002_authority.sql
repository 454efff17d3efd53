CREATE TABLE clients (
    id TEXT NOT NULL PRIMARY KEY,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    doc TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX users_email ON users (email);

CREATE TABLE sessions (
    mac BLOB NOT NULL PRIMARY KEY,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX sessions_id ON sessions (id);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_end ON sessions (expires_at);

CREATE TABLE consents (
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (user_id, client_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX consents_client ON consents (client_id);

CREATE TABLE grants (
    id TEXT NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    user_id TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    doc TEXT NOT NULL
) STRICT;
CREATE INDEX grants_client ON grants (client_id, created_at);
CREATE INDEX grants_user ON grants (user_id, created_at);
CREATE INDEX grants_end ON grants (expires_at);

CREATE TABLE codes (
    mac BLOB NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    redirect_uri TEXT,
    challenge TEXT,
    expires_at INTEGER NOT NULL,
    spent_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX codes_end ON codes (expires_at);

CREATE TABLE refresh_tokens (
    mac BLOB NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    kept_until INTEGER NOT NULL,
    spent_at INTEGER,
    child_mac BLOB,
    child BLOB,
    wipe_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_end ON refresh_tokens (kept_until);
CREATE INDEX refresh_tokens_wipe ON refresh_tokens (wipe_at) WHERE wipe_at IS NOT NULL;

CREATE TABLE access_tokens (
    mac BLOB NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_tokens_end ON access_tokens (expires_at);

CREATE TABLE pushed (
    mac BLOB NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;
CREATE INDEX pushed_end ON pushed (expires_at);

CREATE TABLE devices (
    mac BLOB NOT NULL PRIMARY KEY,
    user_code TEXT NOT NULL,
    client_id TEXT NOT NULL,
    state TEXT NOT NULL,
    grant_id TEXT,
    next_poll_at INTEGER NOT NULL,
    interval_seconds INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX devices_user_code ON devices (user_code);
CREATE INDEX devices_end ON devices (expires_at);

CREATE TABLE once (
    mac BLOB NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX once_end ON once (until);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    algorithm TEXT NOT NULL,
    stage TEXT NOT NULL,
    since INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE trust_rules (
    id TEXT NOT NULL PRIMARY KEY,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE scope_words (
    name TEXT NOT NULL PRIMARY KEY,
    description TEXT NOT NULL
) STRICT;

CREATE TABLE revocations (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX revocations_end ON revocations (until);
