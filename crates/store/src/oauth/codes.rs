//! Authorization codes.

use super::grants::{self, alive, grant, grant_columns};
use super::{news, revocations, to_doc};
use crate::conn::{Conn, Row, args};
use crate::dialect::{Both, locking, together};
use crate::outbox::{insert_event, with_event};
use authority::PortError;
use authority::oauth::ports::{CodeCompany, Redeemed};
use authority::oauth::records::{
    CodeRecord, ConsentRecord, GrantRecord, Mac, NewRefresh, SessionRecord,
};
use base::{Event, UnixMs};

const INSERT: Both = together!(
    "INSERT INTO codes (mac, grant_id, client_id, redirect_uri, challenge, expires_at, spent_at) \
     VALUES ($1, $2, $3, $4, $5, $6, NULL)",
    "INSERT INTO grants (id, client_id, user_id, created_at, expires_at, revoked_at, doc) \
     VALUES ($2, $7, $8, $9, $10, $11, $12)",
    insert_event!("$13", "$14", "$15")
);
const SPEND_PUSHED: &str = "DELETE FROM pushed WHERE mac = $1";
const PUT_CONSENT: &str = "INSERT INTO consents (user_id, client_id, doc) VALUES ($1, $2, $3) \
     ON CONFLICT (user_id, client_id) DO UPDATE SET doc = excluded.doc";
const SESSION: Both = locking!("s", "SELECT s.doc FROM sessions s WHERE s.id = $1");
const SET_SESSION: &str = "UPDATE sessions SET doc = $2 WHERE id = $1";
pub(super) const ONE: &str = concat!(
    "SELECT c.grant_id, c.client_id, c.redirect_uri, c.challenge, c.expires_at, ",
    grant_columns!(),
    " FROM codes c JOIN grants g ON g.id = c.grant_id WHERE c.mac = $1"
);
/// [`ONE`], and the account.
pub(super) const WITH_PERSON: &str = concat!(
    "SELECT c.grant_id, c.client_id, c.redirect_uri, c.challenge, c.expires_at, ",
    grant_columns!(),
    ", u.doc FROM codes c JOIN grants g ON g.id = c.grant_id \
     LEFT JOIN users u ON u.id = g.user_id WHERE c.mac = $1"
);
const TO_SPEND: Both = locking!(
    "c",
    "SELECT c.expires_at, c.spent_at, ",
    grant_columns!(),
    " FROM codes c JOIN grants g ON g.id = c.grant_id WHERE c.mac = $1"
);
const SPEND: Both =
    together!("UPDATE codes SET spent_at = $2 WHERE mac = $1", insert_event!("$3", "$4", "$5"));
const SPEND_FOR_REFRESH: Both = together!(
    "UPDATE codes SET spent_at = $2 WHERE mac = $1",
    "INSERT INTO refresh_tokens (mac, grant_id, client_id, created_at, expires_at, kept_until) \
     VALUES ($3, $4, $5, $6, $7, $8)",
    insert_event!("$9", "$10", "$11")
);

/// A code and its grant, as [`ONE`] finds them.
pub(super) fn read(row: &Row) -> Result<(CodeRecord, GrantRecord), PortError> {
    let code = CodeRecord {
        grant: row.text(0)?.to_owned(),
        client: row.text(1)?.to_owned(),
        redirect_uri: row.optional_text(2)?.map(str::to_owned),
        challenge: row.optional_text(3)?.map(str::to_owned),
        expires_at: UnixMs(row.int(4)?),
    };
    Ok((code, grant(row, 5)?))
}

pub(super) async fn create(
    conn: &mut Conn,
    grant: &GrantRecord,
    (mac, code): &(Mac, CodeRecord),
    with: CodeCompany,
    event: &Event,
) -> Result<(), PortError> {
    if let Some(pushed) = with.pushed
        && conn.execute(SPEND_PUSHED, args![pushed.as_slice()]).await? == 0
    {
        return Err(PortError::Conflict);
    }
    let args = args![
        mac.as_slice(),
        grant.id.as_str(),
        code.client.as_str(),
        code.redirect_uri.clone(),
        code.challenge.clone(),
        code.expires_at.0,
        grant.client.as_str(),
        grant.user.clone(),
        grant.created_at.0,
        grant.expires_at.0,
        grant.revoked_at.map(|it| it.0),
        to_doc(grant)?,
    ];
    conn.execute(conn.dialect().words(INSERT), with_event(args, event)?).await?;
    if let Some(consent) = &with.consent {
        put_consent(conn, consent).await?;
        news::note(conn, &consent.user, event, None).await?;
    }
    if let Some(session) = &with.session {
        join_session(conn, session, &grant.client).await?;
    }
    Ok(())
}

async fn put_consent(conn: &mut Conn, consent: &ConsentRecord) -> Result<(), PortError> {
    let args = args![consent.user.as_str(), consent.client.as_str(), to_doc(consent)?];
    conn.execute(PUT_CONSENT, args).await.map(drop)
}

/// Adds the client to the session's, if the session is still there and does not know it yet.
async fn join_session(conn: &mut Conn, id: &str, client: &str) -> Result<(), PortError> {
    let lock = conn.dialect().words(SESSION);
    let found = conn.first(lock, args![id], |row| super::from_doc(row.text(0)?)).await?;
    let Some::<SessionRecord>(mut session) = found else { return Ok(()) };
    if session.clients.iter().any(|it| it == client) {
        return Ok(());
    }
    session.clients.push(client.to_owned());
    conn.execute(SET_SESSION, args![id, to_doc(&session)?]).await.map(drop)
}

/// INVARIANT: the code's row is locked from the look at `spent_at` until the commit, so that one caller at most
/// finds it unspent.
pub(super) async fn redeem(
    conn: &mut Conn,
    mac: Mac,
    first: Option<NewRefresh>,
    now: UnixMs,
    event: Event,
) -> Result<Redeemed, PortError> {
    let lock = conn.dialect().words(TO_SPEND);
    let found = conn.first(lock, args![mac.as_slice()], |row| {
        Ok((UnixMs(row.int(0)?), row.optional_int(1)?.is_some(), grant(row, 2)?))
    });
    let Some((expires_at, spent, grant)) = found.await? else { return Ok(Redeemed::Gone) };
    if spent {
        // RFC 6749 §4.1.2, RFC 9700 §2.1.1: what was issued on a code that comes twice is revoked.
        let why = "an authorization code was redeemed twice";
        let seq = revocations::end_misused(conn, &grant.id, now, (event, why)).await?;
        return Ok(Redeemed::Twice { grant: grant.id, seq });
    }
    if expires_at <= now || !alive(&grant, now) {
        return Ok(Redeemed::Gone);
    }
    let mut args = args![mac.as_slice(), now.0];
    let statement = match first {
        None => SPEND,
        Some(first) => {
            args.extend(args![
                first.mac.as_slice(),
                grant.id.as_str(),
                first.record.client.as_str(),
                first.record.created_at.0,
                first.record.expires_at.0,
                grant.expires_at.0,
            ]);
            SPEND_FOR_REFRESH
        }
    };
    grants::note_use(conn, &grant.id, now, &event).await?;
    conn.execute(conn.dialect().words(statement), with_event(args, &event)?).await?;
    Ok(Redeemed::Now(grant))
}
