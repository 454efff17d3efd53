//! What lives for a short time and is known by a MAC: opaque access tokens, pushed requests, and what may happen
//! once.

use super::{from_doc, to_doc};
use crate::conn::{Conn, args};
use authority::PortError;
use authority::oauth::records::{AccessRecord, Mac, PushedRecord};
use base::UnixMs;

const PUT_ACCESS: &str = "INSERT INTO access_tokens (mac, expires_at, doc) VALUES ($1, $2, $3)";
const ACCESS: &str = "SELECT doc FROM access_tokens WHERE mac = $1 AND expires_at > $2";
const PUSH: &str = "INSERT INTO pushed (mac, expires_at, doc) VALUES ($1, $2, $3)";
const PUSHED: &str = "SELECT doc FROM pushed WHERE mac = $1 AND expires_at > $2";
const ONCE: &str = "INSERT INTO once (mac, until) VALUES ($1, $2) ON CONFLICT (mac) DO NOTHING";

pub(super) async fn put_access(
    conn: &mut Conn,
    mac: Mac,
    access: &AccessRecord,
) -> Result<(), PortError> {
    let args = args![mac.as_slice(), access.expires_at.0, to_doc(access)?];
    conn.execute(PUT_ACCESS, args).await.map(drop)
}

pub(super) async fn access(
    conn: &mut Conn,
    mac: Mac,
    now: UnixMs,
) -> Result<Option<AccessRecord>, PortError> {
    conn.first(ACCESS, args![mac.as_slice(), now.0], |row| from_doc(row.text(0)?)).await
}

pub(super) async fn push(
    conn: &mut Conn,
    mac: Mac,
    pushed: &PushedRecord,
) -> Result<(), PortError> {
    conn.execute(PUSH, args![mac.as_slice(), pushed.expires_at.0, to_doc(pushed)?]).await.map(drop)
}

pub(super) async fn pushed(
    conn: &mut Conn,
    mac: Mac,
    now: UnixMs,
) -> Result<Option<PushedRecord>, PortError> {
    conn.first(PUSHED, args![mac.as_slice(), now.0], |row| from_doc(row.text(0)?)).await
}

/// INVARIANT: the key's index decides. At PostgreSQL a second insertion waits for the end of the first.
pub(super) async fn once(conn: &mut Conn, what: Mac, until: UnixMs) -> Result<bool, PortError> {
    Ok(conn.execute(ONCE, args![what.as_slice(), until.0]).await? == 1)
}
