//! The change feed: which rows are written, and how they are read back.
//!
//! A row says only *what* changed. Its reader joins the present state, in the same statement, so that a
//! change may be read early, late or twice and always tells the truth of that moment.
//!
//! Numbers of the feed do not commit in order at PostgreSQL. Places are therefore ordered by (transaction
//! id, number), and a row is *settled* once every transaction with a lower id has ended: then nothing can
//! appear before it any more.

use crate::conn::{Conn, Row, args};
use crate::open::Store;
use crate::rows::{self, BLOCK_COLUMNS, IP_COLUMNS, KEY_COLUMNS, corrupt};
use authority::oauth::records::RevocationKind;
use authority::{Answer, BlockId, Change, Cursor, Feed, FeedPage, FeedRow, IpId, KeyId, PortError};
use base::{BoxFuture, UnixMs};
use std::time::Duration;

/// Kinds as they stand in the feed. Numbers are never used again.
mod kind {
    pub(super) const KEY: i64 = 1;
    pub(super) const REVOCATION: i64 = 2;
    pub(super) const BLOCK: i64 = 3;
    pub(super) const NO_BLOCK: i64 = 4;
    pub(super) const IP: i64 = 5;
    pub(super) const NO_IP: i64 = 6;
    pub(super) const TOKEN_REVOKED: i64 = 7;
    pub(super) const GRANT_REVOKED: i64 = 8;
    pub(super) const SUBJECT_REVOKED: i64 = 9;
    pub(super) const CLIENT_REVOKED: i64 = 10;
    pub(super) const CLIENT: i64 = 11;
    pub(super) const USER: i64 = 12;
    pub(super) const SIGNING_KEYS: i64 = 13;
    pub(super) const RULES: i64 = 14;
    pub(super) const SESSION_REVOKED: i64 = 15;
}

/// The query for changes; the engine says when a row is settled, and which come after a place in which order.
macro_rules! changes_query {
    ($settled:literal, $after:literal) => {
        concat!(
            "SELECT f.xid, f.seq, f.kind, f.subject, ",
            $settled,
            ", ",
            $crate::rows::key_columns!("k."),
            ", ",
            $crate::rows::block_columns!("b."),
            ", ",
            $crate::rows::ip_columns!("i."),
            ", v.kind, v.value, v.not_before, v.until FROM feed f \
             LEFT JOIN api_keys k ON f.kind IN (1, 2) AND k.id = f.subject \
             LEFT JOIN blocks b ON f.kind = 3 AND b.id = f.subject \
             LEFT JOIN ip_entries i ON f.kind = 5 AND i.id = f.subject \
             LEFT JOIN revocations v ON v.kind = CASE f.kind WHEN 7 THEN 'token' WHEN 8 THEN 'grant' \
               WHEN 9 THEN 'subject' WHEN 10 THEN 'client' WHEN 15 THEN 'session' END AND v.value = f.subject \
             WHERE ",
            $after,
            " LIMIT $3"
        )
    };
}
pub(crate) use changes_query;

/// Where the columns of the joined records begin.
const KEY_AT: usize = 5;
const BLOCK_AT: usize = KEY_AT + KEY_COLUMNS;
const IP_AT: usize = BLOCK_AT + BLOCK_COLUMNS;
const REVOCATION_AT: usize = IP_AT + IP_COLUMNS;

/// What a feed row is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<'a> {
    Key(KeyId),
    Revocation(KeyId),
    Block(BlockId),
    NoBlock(BlockId),
    Ip(IpId),
    NoIp(IpId),
    Revoked(RevocationKind, &'a str),
    Client(&'a str),
    User(&'a str),
    SigningKeys,
    Rules,
}

impl Subject<'_> {
    /// Its kind in the feed and the text by which it is known.
    fn columns(&self) -> (i64, &str) {
        match self {
            Self::Key(id) => (kind::KEY, id.as_str()),
            Self::Revocation(id) => (kind::REVOCATION, id.as_str()),
            Self::Block(id) => (kind::BLOCK, id.as_str()),
            Self::NoBlock(id) => (kind::NO_BLOCK, id.as_str()),
            Self::Ip(id) => (kind::IP, id.as_str()),
            Self::NoIp(id) => (kind::NO_IP, id.as_str()),
            Self::Revoked(RevocationKind::Token, value) => (kind::TOKEN_REVOKED, value),
            Self::Revoked(RevocationKind::Grant, value) => (kind::GRANT_REVOKED, value),
            Self::Revoked(RevocationKind::Subject, value) => (kind::SUBJECT_REVOKED, value),
            Self::Revoked(RevocationKind::Client, value) => (kind::CLIENT_REVOKED, value),
            Self::Revoked(RevocationKind::Session, value) => (kind::SESSION_REVOKED, value),
            Self::Client(id) => (kind::CLIENT, id),
            Self::User(id) => (kind::USER, id),
            Self::SigningKeys => (kind::SIGNING_KEYS, ""),
            Self::Rules => (kind::RULES, ""),
        }
    }

    /// Writes the feed row in the transaction that changes the subject; its number.
    pub(crate) async fn announce(self, conn: &mut Conn, at: UnixMs) -> Result<i64, PortError> {
        let dialect = conn.dialect();
        let (kind, subject) = self.columns();
        let args = args![kind, subject, at.0];
        let seq = conn.one(dialect.insert_feed(), args, |row| row.int(0)).await?;
        if let Some(announce) = dialect.announce() {
            conn.script(announce).await?;
        }
        Ok(seq)
    }
}

fn feed_row(row: &Row) -> Result<FeedRow, PortError> {
    let place = Cursor { xid: row.int(0)?, seq: row.int(1)? };
    let subject = row.text(3)?;
    let change = match row.int(2)? {
        kind::KEY if row.optional_text(KEY_AT)?.is_some() => {
            Some(Change::KeyUpserted(rows::key(row, KEY_AT)?))
        }
        kind::REVOCATION => Some(Change::KeyRevoked {
            id: rows::id(subject)?,
            until: row.optional_int(KEY_AT + 7)?.map(UnixMs),
        }),
        kind::BLOCK if row.optional_text(BLOCK_AT)?.is_some() => {
            Some(Change::BlockUpserted(rows::block(row, BLOCK_AT)?))
        }
        kind::NO_BLOCK => Some(Change::BlockRemoved(rows::id(subject)?)),
        kind::IP if row.optional_text(IP_AT)?.is_some() => {
            Some(Change::IpUpserted(rows::ip(row, IP_AT)?))
        }
        kind::NO_IP => Some(Change::IpRemoved(rows::id(subject)?)),
        kind::TOKEN_REVOKED..=kind::CLIENT_REVOKED | kind::SESSION_REVOKED
            if row.optional_text(REVOCATION_AT)?.is_some() =>
        {
            Some(Change::Revoked(rows::revocation(row, REVOCATION_AT)?))
        }
        kind::CLIENT => Some(Change::ClientChanged(subject.to_owned())),
        kind::USER => Some(Change::UserChanged(subject.to_owned())),
        kind::SIGNING_KEYS => Some(Change::SigningKeysChanged),
        kind::RULES => Some(Change::RulesChanged),
        // What is not there any more was removed, or has expired.
        kind::KEY | kind::BLOCK | kind::IP => None,
        kind::TOKEN_REVOKED..=kind::CLIENT_REVOKED | kind::SESSION_REVOKED => None,
        // WHY an error: a change that is not understood may be a revocation.
        _ => {
            return Err(corrupt("the feed holds a kind of change that this version does not know"));
        }
    };
    Ok(FeedRow { place, settled: row.int(4)? == 1, change })
}

impl Feed for Store {
    fn changes_since(&self, from: Cursor, limit: u32) -> Answer<'_, FeedPage> {
        self.read(Box::new(move |conn| {
            Box::pin(async move {
                let dialect = conn.dialect();
                let args = args![from.xid, from.seq, i64::from(limit)];
                let rows = conn.all(dialect.changes(), args, feed_row).await?;
                // INVARIANT: the floor is read after the rows. Rows that were cut off in between were read.
                let (floor, highest) = conn
                    .one(dialect.floor(), args![], |row| {
                        Ok((Cursor { xid: row.int(0)?, seq: row.int(1)? }, row.int(2)?))
                    })
                    .await?;
                Ok(FeedPage { rows, lost: from < floor || from.xid > highest })
            })
        }))
    }

    fn wait(&self, seen: u64, at_most: Duration) -> BoxFuture<'_, u64> {
        self.signals().feed.wait(seen, at_most)
    }
}
