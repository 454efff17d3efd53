//! Records as rows: which columns they have, and how they are read.

use crate::conn::Row;
use authority::oauth::records::{Revocation, RevocationKind};
use authority::{Block, IpEntry, IpOwner, KeyRecord, PortError, ShortId};
use base::UnixMs;

/// The columns of a key, in the order in which [`key`] reads them.
macro_rules! key_columns {
    ($prefix:literal) => {
        concat!(
            $prefix,
            "id, ",
            $prefix,
            "env, ",
            $prefix,
            "name, ",
            $prefix,
            "mac, ",
            $prefix,
            "scopes, ",
            $prefix,
            "routes, ",
            $prefix,
            "created_at, ",
            $prefix,
            "expires_at, ",
            $prefix,
            "revoked_at, ",
            $prefix,
            "revoked_reason, ",
            $prefix,
            "created_by, ",
            $prefix,
            "owner"
        )
    };
}
/// The columns of a block, in the order in which [`block`] reads them.
macro_rules! block_columns {
    ($prefix:literal) => {
        concat!(
            $prefix,
            "id, ",
            $prefix,
            "kind, ",
            $prefix,
            "issuer, ",
            $prefix,
            "value, ",
            $prefix,
            "created_at, ",
            $prefix,
            "expires_at, ",
            $prefix,
            "reason, ",
            $prefix,
            "created_by"
        )
    };
}
/// The columns of an address entry, in the order in which [`ip`] reads them.
macro_rules! ip_columns {
    ($prefix:literal) => {
        concat!(
            $prefix,
            "id, ",
            $prefix,
            "list, ",
            $prefix,
            "net, ",
            $prefix,
            "created_at, ",
            $prefix,
            "expires_at, ",
            $prefix,
            "note, ",
            $prefix,
            "created_by, ",
            $prefix,
            "owner, ",
            $prefix,
            "session, ",
            $prefix,
            "owner_group, ",
            $prefix,
            "latest"
        )
    };
}
pub(crate) use {block_columns, ip_columns, key_columns};

/// How many columns a key has.
pub(crate) const KEY_COLUMNS: usize = 12;
/// How many columns a block has.
pub(crate) const BLOCK_COLUMNS: usize = 8;
/// How many columns an address entry has.
pub(crate) const IP_COLUMNS: usize = 11;

pub(crate) fn corrupt(what: &str) -> PortError {
    PortError::Corrupt(what.to_owned())
}

pub(crate) fn id(text: &str) -> Result<ShortId, PortError> {
    text.parse().map_err(|_| corrupt("an id is malformed"))
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// Scopes have no spaces (RFC 6749 §3.3), and names of routes neither.
pub(crate) fn joined(words: &[String]) -> String {
    words.join(" ")
}

/// Reads a key whose columns begin at `at`.
pub(crate) fn key(row: &Row, at: usize) -> Result<KeyRecord, PortError> {
    Ok(KeyRecord {
        id: id(row.text(at)?)?,
        env: row.text(at + 1)?.to_owned(),
        name: row.text(at + 2)?.to_owned(),
        mac: row.blob(at + 3)?.try_into().map_err(|_| corrupt("a key's mac is malformed"))?,
        scopes: words(row.text(at + 4)?),
        routes: row.optional_text(at + 5)?.map(words),
        created_at: UnixMs(row.int(at + 6)?),
        expires_at: row.optional_int(at + 7)?.map(UnixMs),
        revoked_at: row.optional_int(at + 8)?.map(UnixMs),
        revoked_reason: row.optional_text(at + 9)?.map(str::to_owned),
        created_by: row.text(at + 10)?.to_owned(),
        owner: row.optional_text(at + 11)?.map(str::to_owned),
    })
}

/// Reads a block whose columns begin at `at`.
pub(crate) fn block(row: &Row, at: usize) -> Result<Block, PortError> {
    let issuer = row.text(at + 2)?;
    Ok(Block {
        id: id(row.text(at)?)?,
        kind: row.text(at + 1)?.parse().map_err(|_| corrupt("a block's kind is malformed"))?,
        issuer: (!issuer.is_empty()).then(|| issuer.to_owned()),
        value: row.text(at + 3)?.to_owned(),
        created_at: UnixMs(row.int(at + 4)?),
        expires_at: row.optional_int(at + 5)?.map(UnixMs),
        reason: row.optional_text(at + 6)?.map(str::to_owned),
        created_by: row.text(at + 7)?.to_owned(),
    })
}

/// Reads an address entry whose columns begin at `at`.
pub(crate) fn ip(row: &Row, at: usize) -> Result<IpEntry, PortError> {
    Ok(IpEntry {
        id: id(row.text(at)?)?,
        list: row.text(at + 1)?.to_owned(),
        net: row.text(at + 2)?.parse().map_err(|_| corrupt("an address entry is malformed"))?,
        created_at: UnixMs(row.int(at + 3)?),
        expires_at: UnixMs(row.int(at + 4)?),
        note: row.optional_text(at + 5)?.map(str::to_owned),
        created_by: row.text(at + 6)?.to_owned(),
        owner: match row.optional_text(at + 7)? {
            None => None,
            Some(user) => Some(IpOwner {
                user: user.to_owned(),
                session: row.text(at + 8)?.to_owned(),
                group: row.text(at + 9)?.to_owned(),
                latest: UnixMs(row.optional_int(at + 10)?.unwrap_or(row.int(at + 4)?)),
            }),
        },
    })
}

/// Reads a revocation (kind, value, not before, until) whose columns begin at `at`.
pub(crate) fn revocation(row: &Row, at: usize) -> Result<Revocation, PortError> {
    Ok(Revocation {
        kind: RevocationKind::read(row.text(at)?)?,
        value: row.text(at + 1)?.to_owned(),
        not_before: UnixMs(row.int(at + 2)?),
        until: UnixMs(row.int(at + 3)?),
    })
}
