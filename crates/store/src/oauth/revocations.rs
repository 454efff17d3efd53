//! Revocations of tokens of `self`.

use super::searchable;
use crate::conn::{Conn, args};
use crate::feed::Subject;
use authority::PortError;
use authority::oauth::ports::TokenNames;
use authority::oauth::records::{Revocation, RevocationKind};
use authority::oauth::settings::ACCESS_TOKEN_LONGEST;
use base::{Event, Outcome, UnixMs, code};
use std::time::Duration;

/// How far clocks of nodes and gates may differ, added to the life of what is revoked.
const SKEW: Duration = Duration::from_secs(60);

/// The later times count.
const PUT: &str = "INSERT INTO revocations (kind, value, not_before, until) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (kind, value) DO UPDATE SET \
     not_before = CASE WHEN excluded.not_before > revocations.not_before \
       THEN excluded.not_before ELSE revocations.not_before END, \
     until = CASE WHEN excluded.until > revocations.until THEN excluded.until ELSE revocations.until END";
/// The first revocation's time stays.
const END_GRANT: &str = "UPDATE grants SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1";
pub(super) const IN_FORCE: &str = "SELECT kind, value, not_before, until FROM revocations \
     WHERE kind = $1 AND value = $2 AND until > $3";

/// WHY four parts and no `OR`: each is a look-up by the key, whatever the planner thinks of it.
const OF_TOKEN: &str = "SELECT kind FROM revocations WHERE kind = 'token' AND value = $1 AND until > $6 \
     UNION ALL SELECT kind FROM revocations WHERE kind = 'grant' AND value = $2 AND until > $6 \
     UNION ALL SELECT kind FROM revocations WHERE kind = 'client' AND value = $3 AND until > $6 \
       AND not_before >= $5 \
     UNION ALL SELECT kind FROM revocations WHERE kind = 'subject' AND value = $4 AND until > $6 \
       AND not_before >= $5";

/// By what an access token was revoked.
pub(super) async fn of_token(
    conn: &mut Conn,
    token: TokenNames,
    now: UnixMs,
) -> Result<Option<RevocationKind>, PortError> {
    let name = |it: Option<String>| it.filter(|it| searchable(it));
    let args = args![
        name(token.token),
        name(token.grant),
        name(token.client),
        name(token.subject),
        token.issued_at.0,
        now.0,
    ];
    let found = conn.all(OF_TOKEN, args, |row| RevocationKind::read(row.text(0)?)).await?;
    let order = [
        RevocationKind::Token,
        RevocationKind::Grant,
        RevocationKind::Client,
        RevocationKind::Subject,
    ];
    Ok(order.into_iter().find(|kind| found.contains(kind)))
}

/// Writes a revocation and announces it at `at`; the number of its feed row.
pub(super) async fn put(
    conn: &mut Conn,
    revocation: &Revocation,
    at: UnixMs,
) -> Result<i64, PortError> {
    let Revocation { kind, value, not_before, until } = revocation;
    conn.execute(PUT, args![kind.as_str(), value.as_str(), not_before.0, until.0]).await?;
    Subject::Revoked(*kind, value).announce(conn, at).await
}

/// Ends a grant; `None` when there is none.
pub(super) async fn end_grant(
    conn: &mut Conn,
    id: &str,
    (now, until): (UnixMs, UnixMs),
    at: UnixMs,
) -> Result<Option<i64>, PortError> {
    if conn.execute(END_GRANT, args![id, now.0]).await? == 0 {
        return Ok(None);
    }
    let revocation =
        Revocation { kind: RevocationKind::Grant, value: id.to_owned(), not_before: now, until };
    put(conn, &revocation, at).await.map(Some)
}

/// Ends what rests on a login session that has ended at `at`.
pub(super) async fn end_login(conn: &mut Conn, id: String, at: UnixMs) -> Result<i64, PortError> {
    let until = at.plus(ACCESS_TOKEN_LONGEST).plus(SKEW);
    let kind = RevocationKind::Session;
    put(conn, &Revocation { kind, value: id, not_before: at, until }, at).await
}

/// Ends a grant since something of it was used again, and records that in place of what was asked.
pub(super) async fn end_misused(
    conn: &mut Conn,
    grant: &str,
    now: UnixMs,
    (event, why): (Event, &str),
) -> Result<i64, PortError> {
    let until = now.plus(ACCESS_TOKEN_LONGEST).plus(SKEW);
    let event = misuse(event, grant, why);
    let seq = end_grant(conn, grant, (now, until), event.time).await?;
    super::grants::tell_person(conn, grant, &event).await?;
    crate::outbox::put_event(conn, &event).await?;
    // The grant was read in this transaction, and nothing removes one that lives.
    seq.ok_or_else(|| crate::rows::corrupt("a grant is missing"))
}

fn misuse(mut event: Event, grant: &str, why: &str) -> Event {
    event.code = code::GRANT_REVOKED;
    event.outcome = Outcome::Deny;
    event.detail = Some(format!("grant {grant}: {why}").into());
    event
}
