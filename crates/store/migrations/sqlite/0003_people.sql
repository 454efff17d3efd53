CREATE TABLE authenticators (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    handle TEXT,
    doc TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX authenticators_handle ON authenticators (handle);
CREATE INDEX authenticators_user ON authenticators (user_id);

CREATE TABLE letters (
    mac BLOB NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX letters_user ON letters (user_id);
CREATE INDEX letters_end ON letters (expires_at);

CREATE TABLE user_groups (
    name TEXT NOT NULL PRIMARY KEY,
    doc TEXT NOT NULL
) STRICT;
