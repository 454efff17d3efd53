//! Refresh tokens.
//!
//! A spent parent knows its child, sealed, for as long as it may be given again; the sweep wipes it then. That a
//! token was spent is kept until its grant has ended, so that its use is told from that of an unknown one.

use super::grants::{self, alive, from, grant, grant_columns, noted_use};
use super::revocations;
use crate::conn::{Conn, Row, args};
use crate::dialect::{Both, locking, together};
use crate::outbox::{insert_event, put_event, with_event};
use authority::PortError;
use authority::oauth::ports::{Rotated, Window};
use authority::oauth::records::{GrantRecord, Mac, NewRefresh, RefreshRecord};
use base::{Event, UnixMs};

const INSERT: &str = "INSERT INTO refresh_tokens (mac, grant_id, client_id, created_at, expires_at, \
     kept_until) VALUES ($1, $2, $3, $4, $5, $6)";
pub(super) const ONE: &str = concat!(
    "SELECT r.grant_id, r.client_id, r.created_at, r.expires_at, r.spent_at, ",
    grant_columns!(),
    " FROM refresh_tokens r JOIN grants g ON g.id = r.grant_id WHERE r.mac = $1"
);
/// [`ONE`], and the account.
pub(super) const WITH_PERSON: &str = concat!(
    "SELECT r.grant_id, r.client_id, r.created_at, r.expires_at, r.spent_at, ",
    grant_columns!(),
    ", u.doc FROM refresh_tokens r JOIN grants g ON g.id = r.grant_id \
     LEFT JOIN users u ON u.id = g.user_id WHERE r.mac = $1"
);
const TO_SPEND: Both = locking!(
    "r",
    "SELECT r.expires_at, r.spent_at, r.child, ",
    grant_columns!(),
    " FROM refresh_tokens r JOIN grants g ON g.id = r.grant_id WHERE r.mac = $1"
);
/// The parent is spent, its child kept, and that noted and recorded.
const ROTATE: Both = together!(
    "UPDATE refresh_tokens SET spent_at = $2, wipe_at = $3, child_mac = $4, child = $5 WHERE mac = $1",
    "INSERT INTO refresh_tokens (mac, grant_id, client_id, created_at, expires_at, kept_until) \
     VALUES ($4, $6, $7, $8, $9, $10)",
    noted_use!("$6", "$2", "$11"),
    insert_event!("$12", "$13", "$14")
);
const KEEP: Both = together!(
    "UPDATE refresh_tokens SET expires_at = $2 WHERE mac = $1 AND expires_at < $2",
    insert_event!("$3", "$4", "$5")
);

/// A refresh token and its grant, as [`ONE`] finds them.
pub(super) fn read(row: &Row) -> Result<(RefreshRecord, GrantRecord), PortError> {
    let refresh = RefreshRecord {
        grant: row.text(0)?.to_owned(),
        client: row.text(1)?.to_owned(),
        created_at: UnixMs(row.int(2)?),
        expires_at: UnixMs(row.int(3)?),
        spent_at: row.optional_int(4)?.map(UnixMs),
    };
    Ok((refresh, grant(row, 5)?))
}

/// Keeps a token of this grant.
pub(super) async fn insert(
    conn: &mut Conn,
    new: &NewRefresh,
    grant: &GrantRecord,
) -> Result<(), PortError> {
    let args = args![
        new.mac.as_slice(),
        grant.id.as_str(),
        new.record.client.as_str(),
        new.record.created_at.0,
        new.record.expires_at.0,
        grant.expires_at.0,
    ];
    conn.execute(INSERT, args).await.map(drop)
}

/// A parent as [`TO_SPEND`] finds it.
struct Parent {
    expires_at: UnixMs,
    spent_at: Option<UnixMs>,
    child: Option<Vec<u8>>,
    grant: GrantRecord,
}

async fn lock(conn: &mut Conn, mac: Mac) -> Result<Option<Parent>, PortError> {
    let lock = conn.dialect().words(TO_SPEND);
    conn.first(lock, args![mac.as_slice()], |row| {
        Ok(Parent {
            expires_at: UnixMs(row.int(0)?),
            spent_at: row.optional_int(1)?.map(UnixMs),
            child: row.optional_blob(2)?.map(<[u8]>::to_vec),
            grant: grant(row, 3)?,
        })
    })
    .await
}

/// INVARIANT: the parent's row is locked from the look at `spent_at` until the commit, so that one caller at most
/// finds it unspent, and all others find its child.
pub(super) async fn rotate(
    conn: &mut Conn,
    mac: Mac,
    child: NewRefresh,
    within: Window,
    event: Event,
) -> Result<Rotated, PortError> {
    let Window { now, length_ms } = within;
    let Some(parent) = lock(conn, mac).await? else { return Ok(Rotated::Gone) };
    if !alive(&parent.grant, now) {
        return Ok(Rotated::Gone);
    }
    let Some(spent_at) = parent.spent_at else {
        if parent.expires_at <= now {
            return Ok(Rotated::Gone);
        }
        let wipe_at = now.0.saturating_add(length_ms);
        let sealed = child.sealed.expose().as_slice();
        let args = args![
            mac.as_slice(),
            now.0,
            wipe_at,
            child.mac.as_slice(),
            sealed,
            parent.grant.id.as_str(),
            child.record.client.as_str(),
            child.record.created_at.0,
            child.record.expires_at.0,
            parent.grant.expires_at.0,
            from(&event),
        ];
        conn.execute(conn.dialect().words(ROTATE), with_event(args, &event)?).await?;
        return Ok(Rotated::Now(parent.grant));
    };
    if now.0.saturating_sub(spent_at.0) > length_ms {
        // RFC 9700 §4.14.2: a refresh token that comes again after its rotation ends the grant.
        let why = "a refresh token was used again after its rotation";
        let seq = revocations::end_misused(conn, &parent.grant.id, now, (event, why)).await?;
        return Ok(Rotated::Reused { grant: parent.grant.id, seq });
    }
    // It was wiped by a node whose clock is ahead: nothing to give, and no sign of a theft either.
    let Some(child) = parent.child else { return Ok(Rotated::Gone) };
    put_event(conn, &event).await?;
    Ok(Rotated::Same(parent.grant, child))
}

pub(super) async fn keep(
    conn: &mut Conn,
    mac: Mac,
    expires_at: UnixMs,
    now: UnixMs,
    event: Event,
) -> Result<Option<GrantRecord>, PortError> {
    let Some(token) = lock(conn, mac).await? else { return Ok(None) };
    if token.spent_at.is_some() || token.expires_at <= now || !alive(&token.grant, now) {
        return Ok(None);
    }
    grants::note_use(conn, &token.grant.id, now, &event).await?;
    let args = with_event(args![mac.as_slice(), expires_at.0], &event)?;
    conn.execute(conn.dialect().words(KEEP), args).await?;
    Ok(Some(token.grant))
}
