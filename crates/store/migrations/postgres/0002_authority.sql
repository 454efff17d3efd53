CREATE TABLE clients (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    doc TEXT NOT NULL
);

CREATE TABLE users (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    email TEXT COLLATE "C" NOT NULL,
    doc TEXT NOT NULL
);
CREATE UNIQUE INDEX users_email ON users (email);

CREATE TABLE sessions (
    mac BYTEA NOT NULL PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE UNIQUE INDEX sessions_id ON sessions (id);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_end ON sessions (expires_at);

CREATE TABLE consents (
    user_id TEXT COLLATE "C" NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (user_id, client_id)
);
CREATE INDEX consents_client ON consents (client_id);

CREATE TABLE grants (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    client_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    doc TEXT NOT NULL
);
CREATE INDEX grants_client ON grants (client_id, created_at);
CREATE INDEX grants_user ON grants (user_id, created_at);
CREATE INDEX grants_end ON grants (expires_at);

CREATE TABLE codes (
    mac BYTEA NOT NULL PRIMARY KEY,
    grant_id TEXT COLLATE "C" NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL,
    redirect_uri TEXT,
    challenge TEXT,
    expires_at BIGINT NOT NULL,
    spent_at BIGINT
);
CREATE INDEX codes_end ON codes (expires_at);

CREATE TABLE refresh_tokens (
    mac BYTEA NOT NULL PRIMARY KEY,
    grant_id TEXT COLLATE "C" NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    kept_until BIGINT NOT NULL,
    spent_at BIGINT,
    child_mac BYTEA,
    child BYTEA,
    wipe_at BIGINT
);
CREATE INDEX refresh_tokens_end ON refresh_tokens (kept_until);
CREATE INDEX refresh_tokens_wipe ON refresh_tokens (wipe_at) WHERE wipe_at IS NOT NULL;

CREATE TABLE access_tokens (
    mac BYTEA NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX access_tokens_end ON access_tokens (expires_at);

CREATE TABLE pushed (
    mac BYTEA NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX pushed_end ON pushed (expires_at);

CREATE TABLE devices (
    mac BYTEA NOT NULL PRIMARY KEY,
    user_code TEXT COLLATE "C" NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    grant_id TEXT COLLATE "C",
    next_poll_at BIGINT NOT NULL,
    interval_seconds BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE UNIQUE INDEX devices_user_code ON devices (user_code);
CREATE INDEX devices_end ON devices (expires_at);

CREATE TABLE once (
    mac BYTEA NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL
);
CREATE INDEX once_end ON once (until);

CREATE TABLE signing_keys (
    kid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    algorithm TEXT COLLATE "C" NOT NULL,
    stage TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    doc TEXT NOT NULL
);

CREATE TABLE trust_rules (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    doc TEXT NOT NULL
);

CREATE TABLE scope_words (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    description TEXT NOT NULL
);

CREATE TABLE revocations (
    kind TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    not_before BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (kind, value)
);
CREATE INDEX revocations_end ON revocations (until);
