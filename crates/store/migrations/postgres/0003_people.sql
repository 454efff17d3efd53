CREATE TABLE authenticators (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL,
    handle TEXT COLLATE "C",
    doc TEXT NOT NULL
);
CREATE UNIQUE INDEX authenticators_handle ON authenticators (handle);
CREATE INDEX authenticators_user ON authenticators (user_id);

CREATE TABLE letters (
    mac BYTEA NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX letters_user ON letters (user_id);
CREATE INDEX letters_end ON letters (expires_at);

CREATE TABLE user_groups (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    doc TEXT NOT NULL
);
