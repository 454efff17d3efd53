//! People's authenticators.

use super::own_addresses::{self, Which};
use super::people::{self, replaced};
use super::{from_doc, news, none, revocations, searchable, to_doc};
use crate::conn::{Conn, args};
use crate::dialect::{Both, locking};
use crate::feed::Subject;
use crate::open::Store;
use crate::outbox::put_event;
use crate::rows::corrupt;
use authority::oauth::ports::AuthenticatorStore;
use authority::oauth::records::{Revocation, UserRecord};
use authority::people::AuthenticatorRecord;
use authority::people::records::AUTHENTICATORS_MOST;
use authority::{Answer, PortError};
use base::Event;

const INSERT: &str =
    "INSERT INTO authenticators (id, user_id, handle, doc) VALUES ($1, $2, $3, $4)";
const OF_USER: &str = "SELECT doc FROM authenticators WHERE user_id = $1 ORDER BY id LIMIT $2";
const BY_HANDLE: &str = "SELECT doc FROM authenticators WHERE handle = $1";
const TO_REPLACE: Both = locking!("a", "SELECT a.doc FROM authenticators a WHERE a.id = $1");
const REPLACE: &str = "UPDATE authenticators SET handle = $2, doc = $3 WHERE id = $1";
const REMOVE: &str = "DELETE FROM authenticators WHERE id = $1";
const REMOVE_ALL: &str = "DELETE FROM authenticators WHERE user_id = $1";
/// WHY the person's row: two additions at once are counted one after the other.
const PERSON: Both = locking!("u", "SELECT u.id FROM users u WHERE u.id = $1");
const COUNT: &str = "SELECT COUNT(*) FROM authenticators WHERE user_id = $1";
const IS_ALIVE: &str = "SELECT id FROM sessions WHERE user_id = $1 AND id = $2";
const END_OTHERS: &str = "DELETE FROM sessions WHERE user_id = $1 AND id <> $2 RETURNING id";

impl AuthenticatorStore for Store {
    fn add_authenticator(
        &self,
        record: AuthenticatorRecord,
        keep: Option<String>,
        event: Option<Event>,
    ) -> Answer<'_, ()> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let user = record.user.as_str();
                let lock = conn.dialect().words(PERSON);
                conn.first(lock, args![user], |row| row.text(0).map(drop)).await?;
                let count = conn.first(COUNT, args![user], |row| row.int(0)).await?;
                let most = i64::try_from(AUTHENTICATORS_MOST).unwrap_or(i64::MAX);
                if count.unwrap_or_default() >= most {
                    return Err(PortError::Conflict);
                }
                alive(conn, user, keep.as_deref()).await?;
                let handle = record.handle.clone();
                conn.execute(INSERT, args![record.id.as_str(), user, handle, to_doc(&record)?])
                    .await?;
                end_others(conn, user, (keep, event.as_ref())).await?;
                put(conn, user, event).await
            })
        }))
    }

    fn import_user(
        &self,
        user: UserRecord,
        owned: Vec<AuthenticatorRecord>,
        event: Event,
    ) -> Answer<'_, i64> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                people::insert(conn, &user).await?;
                for record in &owned {
                    let (id, handle) = (record.id.as_str(), record.handle.clone());
                    let args = args![id, user.id.as_str(), handle, to_doc(record)?];
                    conn.execute(INSERT, args).await?;
                }
                put_event(conn, &event).await?;
                Subject::User(&user.id).announce(conn, event.time).await
            })
        }))
    }

    fn replace_authenticator(
        &self,
        before: AuthenticatorRecord,
        after: AuthenticatorRecord,
        event: Option<Event>,
    ) -> Answer<'_, bool> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                if after.id != before.id || !is_still(conn, &before).await? {
                    return Ok(false);
                }
                let handle = after.handle.clone();
                conn.execute(REPLACE, args![after.id.as_str(), handle, to_doc(&after)?]).await?;
                put(conn, &before.user, event).await?;
                Ok(true)
            })
        }))
    }

    fn remove_authenticator(
        &self,
        before: AuthenticatorRecord,
        keep: Option<String>,
        event: Option<Event>,
    ) -> Answer<'_, bool> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                if !is_still(conn, &before).await? {
                    return Ok(false);
                }
                alive(conn, &before.user, keep.as_deref()).await?;
                conn.execute(REMOVE, args![before.id.as_str()]).await?;
                end_others(conn, &before.user, (keep, event.as_ref())).await?;
                put(conn, &before.user, event).await?;
                Ok(true)
            })
        }))
    }

    fn reset_user(
        &self,
        before: UserRecord,
        after: UserRecord,
        revoke: Revocation,
        event: Event,
    ) -> Answer<'_, Option<(i64, u64)>> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let done = replaced(conn, (&before, &after), Some(&revoke), &event).await?;
                let Some(seq) = done else { return Ok(None) };
                if after.disabled_at.is_some() {
                    news::forget(conn, &before.id).await?;
                }
                let removed = conn.execute(REMOVE_ALL, args![before.id.as_str()]).await?;
                Ok(Some((seq, removed)))
            })
        }))
    }

    fn authenticators(&self, user: String) -> Answer<'_, Vec<AuthenticatorRecord>> {
        if !searchable(&user) {
            return Box::pin(async { Ok(Vec::new()) });
        }
        self.read(Box::new(move |conn| {
            let most = i64::try_from(AUTHENTICATORS_MOST).unwrap_or(i64::MAX);
            Box::pin(conn.all(OF_USER, args![user, most], |row| from_doc(row.text(0)?)))
        }))
    }

    fn authenticator_by_handle(&self, handle: String) -> Answer<'_, Option<AuthenticatorRecord>> {
        if !searchable(&handle) {
            return none();
        }
        self.read(Box::new(move |conn| {
            Box::pin(conn.first(BY_HANDLE, args![handle], |row| from_doc(row.text(0)?)))
        }))
    }
}

/// Whether the row still is as the caller has seen it; it is locked then.
async fn is_still(conn: &mut Conn, before: &AuthenticatorRecord) -> Result<bool, PortError> {
    let lock = conn.dialect().words(TO_REPLACE);
    let found = conn.first(lock, args![before.id.as_str()], |row| {
        from_doc::<AuthenticatorRecord>(row.text(0)?)
    });
    Ok(found.await?.as_ref() == Some(before))
}

/// A session that was ended meanwhile has no right to change anything any more.
pub(super) async fn alive(
    conn: &mut Conn,
    user: &str,
    keep: Option<&str>,
) -> Result<(), PortError> {
    let Some(keep) = keep else { return Ok(()) };
    let found = conn.first(IS_ALIVE, args![user, keep], |row| row.text(0).map(drop)).await?;
    found.ok_or(PortError::Conflict)
}

/// Ends all sessions of a person but `keep`, where there is one to keep, and what was let in with them.
pub(super) async fn end_others(
    conn: &mut Conn,
    user: &str,
    (keep, cause): (Option<String>, Option<&Event>),
) -> Result<(), PortError> {
    let Some(keep) = keep else { return Ok(()) };
    let ended: Vec<String> = conn
        .all(END_OTHERS, args![user, keep.as_str()], |row| row.text(0).map(str::to_owned))
        .await?;
    // INVARIANT: no session ends without a record.
    let cause = cause.ok_or_else(|| corrupt("sessions would end without a record"))?;
    for id in ended {
        revocations::end_login(conn, id, cause.time).await?;
    }
    own_addresses::end(conn, Which::Others(user, &keep), cause).await
}

async fn put(conn: &mut Conn, user: &str, event: Option<Event>) -> Result<(), PortError> {
    let Some(event) = event else { return Ok(()) };
    news::note(conn, user, &event, None).await?;
    put_event(conn, &event).await
}
