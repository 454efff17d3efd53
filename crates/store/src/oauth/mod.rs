//! What the authorization server keeps: clients, people, grants and all that belongs to grants.
//!
//! A record is a few columns that are searched or that change, and one JSON document. Where both have a member,
//! the column counts.
//!
//! Invariants, at `READ COMMITTED` and on any number of nodes:
//! - Whatever may happen once is decided while its row is locked (PostgreSQL), or by the one writer (SQLite).
//! - Tables are locked in this order: signing keys, clients, declared clients, users, pushed requests, codes, refresh tokens, devices,
//!   grants, consents, letters, authenticators, groups, keys, sessions, address entries, revocations. In each it is one row, but for address entries, which are locked by id, and all sessions, letters and authenticators of a person and all consents
//!   for a client, for which the row of the person or client is locked before. So no circle of waiting can form.
//! - Whether a grant lives is judged at each use: by its own revocation and by those of its person and its client.
//!   Nothing that belongs to it needs to be found and ended.

mod authenticators;
mod clients;
mod codes;
mod devices;
mod directory;
mod grants;
mod letters;
mod news;
mod once;
mod own_addresses;
mod own_keys;
mod people;
mod refresh;
mod revocations;
mod rules;
pub(crate) mod sweep;

use crate::rows::corrupt;
use authority::{Answer, PAGE_ROWS, PortError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Rows of a listing that has no pages.
const ROWS: i64 = PAGE_ROWS as i64;

/// A record as its document.
fn to_doc<T: Serialize>(record: &T) -> Result<String, PortError> {
    serde_json::to_string(record).map_err(|_| corrupt("a record cannot be written"))
}

/// A record from its document. WHY without the parser's words: they may repeat what is in it.
fn from_doc<T: DeserializeOwned>(text: &str) -> Result<T, PortError> {
    serde_json::from_str(text).map_err(|_| corrupt("a record's document is malformed"))
}

/// Whether there may be a row with this text. PostgreSQL refuses NUL in texts, and would answer a search for one
/// with an error; no record has it in what is searched.
fn searchable(text: &str) -> bool {
    !text.contains('\0')
}

/// There is none.
fn none<T: Send + 'static>() -> Answer<'static, Option<T>> {
    Box::pin(async { Ok(None) })
}
