//! What must differ between the engines. Everything else is written once.

use crate::feed::changes_query;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use std::path::Path;
use std::time::Duration;

/// How long SQLite waits for a lock. There is one writer, so only a backup or a checkpoint can hold it.
const BUSY: Duration = Duration::from_secs(5);
/// Prepared statements that a connection keeps: all that this crate has, some 110, with room.
const STATEMENTS: usize = 256;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// One statement in the words of each engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Both {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// A query whose rows of the table named `$of` nobody else changes before the transaction ends, or locks; who
/// comes later waits and then sees them as they are. SQLite has one writer, so it needs no words for that.
macro_rules! locking {
    ($of:literal, $($part:tt)*) => {
        $crate::dialect::Both {
            sqlite: concat!($($part)*),
            postgres: concat!($($part)*, " FOR UPDATE OF ", $of),
        }
    };
}

/// Removes (or, with `set`, changes) at most `$2` rows for which a condition over `$1` holds. It passes over
/// rows that others are at work on, so that it never waits and no circle of waiting goes through it.
macro_rules! sweeping {
    (set $set:literal, $table:literal, $key:literal, $condition:literal) => {
        sweeping!(@ concat!("UPDATE ", $table, " SET ", $set), $table, $key, $condition)
    };
    ($table:literal, $key:literal, $condition:literal) => {
        sweeping!(@ concat!("DELETE FROM ", $table), $table, $key, $condition)
    };
    (@ $verb:expr, $table:literal, $key:literal, $condition:literal) => {
        $crate::dialect::Both {
            sqlite: concat!($verb, " WHERE (", $key, ") IN (SELECT ", $key, " FROM ", $table,
                " WHERE ", $condition, " LIMIT $2)"),
            postgres: concat!($verb, " WHERE (", $key, ") IN (SELECT ", $key, " FROM ", $table,
                " WHERE ", $condition, " LIMIT $2 FOR UPDATE SKIP LOCKED)"),
        }
    };
}
/// Statements without an answer that go to the database in one call; they share one list of arguments. At PostgreSQL
/// all see the rows as they were before, so none may touch a row that another has touched.
macro_rules! together {
    ($first:expr, $last:expr) => {
        $crate::dialect::Both {
            sqlite: concat!($first, "; ", $last),
            postgres: concat!("WITH first AS (", $first, ") ", $last),
        }
    };
    ($first:expr, $second:expr, $third:expr, $last:expr) => {
        $crate::dialect::Both {
            sqlite: concat!($first, "; ", $second, "; ", $third, "; ", $last),
            postgres: concat!(
                "WITH first AS (",
                $first,
                "), second AS (",
                $second,
                "), third AS (",
                $third,
                ") ",
                $last
            ),
        }
    };
    ($first:expr, $second:expr, $last:expr) => {
        $crate::dialect::Both {
            sqlite: concat!($first, "; ", $second, "; ", $last),
            postgres: concat!("WITH first AS (", $first, "), second AS (", $second, ") ", $last),
        }
    };
}
pub(crate) use {locking, sweeping, together};

/// The channel on which PostgreSQL announces changes.
pub(crate) const CHANNEL: &str = "portcullis_feed";

impl Dialect {
    /// The statement in this engine's words.
    pub(crate) fn words(self, both: Both) -> &'static str {
        match self {
            Self::Sqlite => both.sqlite,
            Self::Postgres => both.postgres,
        }
    }

    /// Lets nobody else change the signing keys before the transaction ends; reading goes on.
    pub(crate) fn lock_signing_keys(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"),
        }
    }

    /// Begins the migration: alone, in one transaction.
    pub(crate) fn begin_migration(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            // The number is ours and means nothing; nodes that start together go one after the other.
            Self::Postgres => "SELECT pg_advisory_xact_lock(7310579824211)",
        }
    }

    /// Makes the table of migrations.
    pub(crate) fn migrations_table(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER NOT NULL PRIMARY KEY, \
                 name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT"
            }
            Self::Postgres => {
                "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT NOT NULL PRIMARY KEY, \
                 name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)"
            }
        }
    }

    /// The migrations, in order: name and text. Append only.
    pub(crate) fn migrations(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Sqlite => &[
                ("first", include_str!("../migrations/sqlite/0001_first.sql")),
                ("authority", include_str!("../migrations/sqlite/0002_authority.sql")),
                ("people", include_str!("../migrations/sqlite/0003_people.sql")),
                ("directory", include_str!("../migrations/sqlite/0004_directory.sql")),
                ("own_addresses", include_str!("../migrations/sqlite/0005_own_addresses.sql")),
                ("declared", include_str!("../migrations/sqlite/0006_declared.sql")),
                (
                    "declared_clients",
                    include_str!("../migrations/sqlite/0007_declared_clients.sql"),
                ),
                ("letters_purpose", include_str!("../migrations/sqlite/0008_letters_purpose.sql")),
                (
                    "own_addresses_latest",
                    include_str!("../migrations/sqlite/0009_own_addresses_latest.sql"),
                ),
                ("own_keys", include_str!("../migrations/sqlite/0010_own_keys.sql")),
            ],
            Self::Postgres => &[
                ("first", include_str!("../migrations/postgres/0001_first.sql")),
                ("authority", include_str!("../migrations/postgres/0002_authority.sql")),
                ("people", include_str!("../migrations/postgres/0003_people.sql")),
                ("directory", include_str!("../migrations/postgres/0004_directory.sql")),
                ("own_addresses", include_str!("../migrations/postgres/0005_own_addresses.sql")),
                ("declared", include_str!("../migrations/postgres/0006_declared.sql")),
                (
                    "declared_clients",
                    include_str!("../migrations/postgres/0007_declared_clients.sql"),
                ),
                (
                    "letters_purpose",
                    include_str!("../migrations/postgres/0008_letters_purpose.sql"),
                ),
                (
                    "own_addresses_latest",
                    include_str!("../migrations/postgres/0009_own_addresses_latest.sql"),
                ),
                ("own_keys", include_str!("../migrations/postgres/0010_own_keys.sql")),
            ],
        }
    }

    /// Writes a feed row: kind, subject, time.
    pub(crate) fn insert_feed(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "INSERT INTO feed (xid, kind, subject, written_at) VALUES (0, $1, $2, $3) RETURNING seq"
            }
            Self::Postgres => {
                "INSERT INTO feed (xid, kind, subject, written_at) \
                 VALUES (pg_current_xact_id()::text::bigint, $1, $2, $3) RETURNING seq"
            }
        }
    }

    /// Announces, with the commit, that the feed has grown.
    pub(crate) fn announce(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT pg_notify('portcullis_feed', '')"),
        }
    }

    /// The rows of the feed after a place, with what they name; whether each is settled.
    pub(crate) fn changes(self) -> &'static str {
        match self {
            // One writer: numbers commit in order. WHY not the pair: SQLite would look at every row of this xid,
            // which is every row.
            Self::Sqlite => changes_query!("1", "f.seq > $2 AND f.xid >= $1 ORDER BY f.seq"),
            // Every transaction with a lower id than the oldest open one has ended, and its rows are seen.
            Self::Postgres => changes_query!(
                "CASE WHEN f.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint \
                 THEN 1::bigint ELSE 0::bigint END",
                "(f.xid, f.seq) > ($1, $2) ORDER BY f.xid, f.seq"
            ),
        }
    }

    /// The floor of the feed (xid, seq), and the highest transaction id that a cursor can have seen.
    pub(crate) fn floor(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT xid, seq, 0 FROM feed_floor WHERE id = 1",
            Self::Postgres => {
                "SELECT xid, seq, pg_snapshot_xmax(pg_current_snapshot())::text::bigint \
                 FROM feed_floor WHERE id = 1"
            }
        }
    }

    /// The place (xid, seq) up to which the present snapshot has seen everything.
    pub(crate) fn seen(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "SELECT 0, MAX(COALESCE((SELECT MAX(seq) FROM feed), 0), \
                 (SELECT seq FROM feed_floor WHERE id = 1))"
            }
            Self::Postgres => {
                "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1, 9223372036854775807"
            }
        }
    }

    /// The last settled row of the feed that was written before a time.
    pub(crate) fn last_before(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "SELECT xid, seq FROM feed WHERE written_at < $1 ORDER BY xid DESC, seq DESC LIMIT 1"
            }
            Self::Postgres => {
                "SELECT xid, seq FROM feed WHERE written_at < $1 \
                 AND xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint \
                 ORDER BY xid DESC, seq DESC LIMIT 1"
            }
        }
    }

    /// Rows of the feed from another cluster's time (after a restore): they could never settle.
    pub(crate) fn forget_foreign(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(
                "DELETE FROM feed WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint; \
                 UPDATE feed_floor SET xid = 0, seq = 0 \
                 WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint",
            ),
        }
    }
}

/// How SQLite is opened: every commit is synced before it is acknowledged.
pub(crate) fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .statement_cache_capacity(STATEMENTS)
        // The log shrinks to this after a checkpoint, else one burst would keep its size for good.
        .pragma("journal_size_limit", "67108864")
}

/// How PostgreSQL sessions are set. Times in milliseconds.
pub(crate) fn postgres_options(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("portcullis").statement_cache_capacity(STATEMENTS).options([
        // An acknowledgement means durable, whatever the server's default is.
        ("synchronous_commit", "on"),
        // What is locked is read as it is by then; a stricter level would answer with conflicts instead.
        ("default_transaction_isolation", "read committed"),
        ("statement_timeout", "10000"),
        ("lock_timeout", "5000"),
        // A transaction that a lost node left open would hold back every follower's cursor.
        ("idle_in_transaction_session_timeout", "15000"),
    ])
}
