//! People, their sessions, and what they agreed to.

use super::clients::page_args;
use super::own_addresses::{self, Which};
use super::{ROWS, from_doc, news, none, own_keys, revocations, searchable, to_doc};
use crate::conn::{Arg, Conn, args};
use crate::dialect::{Both, locking};
use crate::feed::Subject;
use crate::open::Store;
use crate::outbox::put_event;
use authority::oauth::ports::{PeopleStore, TextPage};
use authority::oauth::records::{ConsentRecord, Mac, Revocation, SessionRecord, UserRecord};
use authority::{Answer, PortError};
use base::{Event, UnixMs};

const INSERT: &str =
    "INSERT INTO users (id, email, doc, declared, external_id) VALUES ($1, $2, $3, $4, $5)";
const ONE: &str = "SELECT doc FROM users WHERE id = $1";
const BY_EMAIL: &str = "SELECT doc FROM users WHERE email = $1";
const LIST: &str = "SELECT doc FROM users WHERE id > $1 ORDER BY id LIMIT $2";
const DECLARED: &str = "SELECT doc FROM users WHERE declared = 1 AND id > $1 ORDER BY id LIMIT $2";
const BY_EXTERNAL_ID: &str = "SELECT doc FROM users WHERE external_id = $1 ORDER BY id LIMIT $2";
const TO_REPLACE: Both = locking!("u", "SELECT u.doc FROM users u WHERE u.id = $1");
const REPLACE: &str =
    "UPDATE users SET email = $2, doc = $3, declared = $4, external_id = $5 WHERE id = $1";
const END_SESSIONS: &str = "DELETE FROM sessions WHERE user_id = $1";
const INSERT_SESSION: &str =
    "INSERT INTO sessions (mac, id, user_id, expires_at, doc) VALUES ($1, $2, $3, $4, $5)";
const SESSION: &str = "SELECT doc FROM sessions WHERE mac = $1 AND expires_at > $2";
const SESSION_TO_REPLACE: Both = locking!("s", "SELECT s.doc FROM sessions s WHERE s.mac = $1");
const REPLACE_SESSION: &str = "UPDATE sessions SET expires_at = $2, doc = $3 WHERE mac = $1";
const SESSION_TO_RENEW: Both = locking!("s", "SELECT s.doc FROM sessions s WHERE s.id = $1");
const RENEW_SESSION: &str = "UPDATE sessions SET mac = $2, expires_at = $3, doc = $4 WHERE id = $1";
const END_SESSION: &str = "DELETE FROM sessions WHERE id = $1 RETURNING doc";
const SESSIONS: &str =
    "SELECT doc FROM sessions WHERE user_id = $1 AND expires_at > $2 ORDER BY id LIMIT $3";
const FORGET_CONSENT: &str = "DELETE FROM consents WHERE user_id = $1 AND client_id = $2";
const CONSENT: &str = "SELECT doc FROM consents WHERE user_id = $1 AND client_id = $2";

/// The columns of an account, as [`INSERT`] and [`REPLACE`] take them.
fn columns(user: &UserRecord) -> Result<Vec<Arg>, PortError> {
    let external = user.directory.external_id.clone().filter(|it| searchable(it));
    Ok(args![
        user.id.as_str(),
        user.email.as_str(),
        to_doc(user)?,
        i64::from(user.declared.is_some()),
        external,
    ])
}

pub(super) async fn insert(conn: &mut Conn, user: &UserRecord) -> Result<(), PortError> {
    conn.execute(INSERT, columns(user)?).await.map(drop)
}

/// Replaces an account if it still is as `before`; see [`PeopleStore::replace_user`].
pub(super) async fn replaced(
    conn: &mut Conn,
    (before, after): (&UserRecord, &UserRecord),
    revoke: Option<&Revocation>,
    event: &Event,
) -> Result<Option<i64>, PortError> {
    let lock = conn.dialect().words(TO_REPLACE);
    let found =
        conn.first(lock, args![before.id.as_str()], |row| from_doc::<UserRecord>(row.text(0)?));
    if found.await?.as_ref() != Some(before) || after.id != before.id {
        return Ok(None);
    }
    conn.execute(REPLACE, columns(after)?).await?;
    put_event(conn, event).await?;
    news::note(conn, &after.id, event, None).await?;
    // A change of groups ends tokens too, so that none says too much; keys are narrowed to what is left. Another password
    // ends them, whatever else changed with it.
    let only_groups = before.roles != after.roles && before.password == after.password;
    let ended = revoke.is_some() && !only_groups;
    own_keys::follow_account(conn, after, ended, event).await?;
    let seq = Subject::User(&after.id).announce(conn, event.time).await?;
    let Some(revoke) = revoke else {
        if after.disabled_at.is_some() {
            own_addresses::end(conn, Which::Person(&after.id), event).await?;
        } else if after.roles != before.roles {
            own_addresses::end(conn, Which::Lost(&after.id, &after.roles), event).await?;
        }
        return Ok(Some(seq));
    };
    conn.execute(END_SESSIONS, args![after.id.as_str()]).await?;
    own_addresses::end(conn, Which::Person(&after.id), event).await?;
    // After the other row: who has seen this one has seen both.
    revocations::put(conn, revoke, event.time).await.map(Some)
}

impl PeopleStore for Store {
    fn create_user(&self, user: UserRecord, event: Event) -> Answer<'_, i64> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                insert(conn, &user).await?;
                put_event(conn, &event).await?;
                Subject::User(&user.id).announce(conn, event.time).await
            })
        }))
    }

    fn replace_user(
        &self,
        before: UserRecord,
        after: UserRecord,
        revoke: Option<Revocation>,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        self.write(Box::new(move |conn| {
            Box::pin(
                async move { replaced(conn, (&before, &after), revoke.as_ref(), &event).await },
            )
        }))
    }

    fn user(&self, id: String) -> Answer<'_, Option<UserRecord>> {
        one(self, ONE, id)
    }

    fn user_by_email(&self, email: String) -> Answer<'_, Option<UserRecord>> {
        one(self, BY_EMAIL, email)
    }

    fn users_by_external_id(&self, external: String) -> Answer<'_, Vec<UserRecord>> {
        if !searchable(&external) {
            return Box::pin(async { Ok(Vec::new()) });
        }
        self.read(Box::new(move |conn| {
            let args = args![external, ROWS];
            Box::pin(conn.all(BY_EXTERNAL_ID, args, |row| from_doc(row.text(0)?)))
        }))
    }

    fn declared_users(&self, page: TextPage) -> Answer<'_, Vec<UserRecord>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.all(DECLARED, page_args(page), |row| from_doc(row.text(0)?)))
        }))
    }

    fn users(&self, page: TextPage) -> Answer<'_, Vec<UserRecord>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.all(LIST, page_args(page), |row| from_doc(row.text(0)?)))
        }))
    }

    fn create_session(&self, mac: Mac, session: SessionRecord, event: Event) -> Answer<'_, ()> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let args = args![
                    mac.as_slice(),
                    session.id.as_str(),
                    session.user.as_str(),
                    session.expires_at.0,
                    to_doc(&session)?,
                ];
                conn.execute(INSERT_SESSION, args).await?;
                news::note(conn, &session.user, &event, Some(&session.user_agent)).await?;
                put_event(conn, &event).await
            })
        }))
    }

    fn renew_session(
        &self,
        before: SessionRecord,
        renewed: (Mac, SessionRecord),
        events: [Event; 2],
    ) -> Answer<'_, bool> {
        self.write(Box::new(move |conn| Box::pin(renew(conn, before, renewed, events))))
    }

    fn session(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<SessionRecord>> {
        self.read(Box::new(move |conn| {
            let args = args![mac.as_slice(), now.0];
            Box::pin(conn.first(SESSION, args, |row| from_doc(row.text(0)?)))
        }))
    }

    fn replace_session(&self, mac: Mac, mut session: SessionRecord) -> Answer<'_, bool> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let lock = conn.dialect().words(SESSION_TO_REPLACE);
                let found = conn.first(lock, args![mac.as_slice()], |row| from_doc(row.text(0)?));
                let Some::<SessionRecord>(there) = found.await? else { return Ok(false) };
                if (&there.id, &there.user) != (&session.id, &session.user) {
                    return Ok(false);
                }
                // A client that has joined since the caller looked must hear of the logout too.
                let joined = there.clients.iter().filter(|it| !session.clients.contains(it));
                let joined: Vec<_> = joined.cloned().collect();
                session.clients.extend(joined);
                let args = args![mac.as_slice(), session.expires_at.0, to_doc(&session)?];
                let replaced = conn.execute(REPLACE_SESSION, args).await? == 1;
                let at = session.used_at.unwrap_or(session.auth_time);
                own_addresses::follow(conn, (&there, &session), at).await?;
                Ok(replaced)
            })
        }))
    }

    fn end_session(&self, id: String, event: Event) -> Answer<'_, Option<SessionRecord>> {
        if !searchable(&id) {
            return none();
        }
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let ended = conn.optional(END_SESSION, args![id], |row| from_doc(row.text(0)?));
                let ended: Option<SessionRecord> = ended.await?;
                if let Some(ended) = &ended {
                    news::note(conn, &ended.user, &event, Some(&ended.user_agent)).await?;
                    put_event(conn, &event).await?;
                    own_addresses::end(conn, Which::Session(&ended.id), &event).await?;
                    revocations::end_login(conn, ended.id.clone(), event.time).await?;
                }
                Ok(ended)
            })
        }))
    }

    fn sessions(&self, user: String, now: UnixMs) -> Answer<'_, Vec<SessionRecord>> {
        self.read(Box::new(move |conn| {
            let args = args![user, now.0, ROWS];
            Box::pin(conn.all(SESSIONS, args, |row| from_doc(row.text(0)?)))
        }))
    }

    fn consent(&self, user: String, client: String) -> Answer<'_, Option<ConsentRecord>> {
        if !searchable(&user) || !searchable(&client) {
            return none();
        }
        self.read(Box::new(move |conn| {
            let args = args![user, client];
            Box::pin(conn.first(CONSENT, args, |row| from_doc(row.text(0)?)))
        }))
    }

    fn forget_consent(&self, user: String, client: String, event: Event) -> Answer<'_, bool> {
        if !searchable(&user) || !searchable(&client) {
            return Box::pin(async { Ok(false) });
        }
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let there = conn.execute(FORGET_CONSENT, args![user, client]).await? > 0;
                if there {
                    put_event(conn, &event).await?;
                }
                Ok(there)
            })
        }))
    }
}

async fn renew(
    conn: &mut Conn,
    before: SessionRecord,
    (mac, mut session): (Mac, SessionRecord),
    events: [Event; 2],
) -> Result<bool, PortError> {
    let lock = conn.dialect().words(SESSION_TO_RENEW);
    let found = conn.first(lock, args![before.id.as_str()], |row| from_doc(row.text(0)?));
    let Some::<SessionRecord>(there) = found.await? else { return Ok(false) };
    let same = there.user == before.user && there.proofs == before.proofs;
    if !same || session.id != there.id || session.user != there.user {
        return Ok(false);
    }
    // A client that has joined since the caller looked must hear of the logout too.
    let joined = there.clients.iter().filter(|it| !session.clients.contains(it));
    let joined: Vec<_> = joined.cloned().collect();
    session.clients.extend(joined);
    let end = session.expires_at;
    let args = args![session.id.as_str(), mac.as_slice(), end.0, to_doc(&session)?];
    conn.execute(RENEW_SESSION, args).await?;
    let at = session.used_at.unwrap_or(session.auth_time);
    own_addresses::follow(conn, (&there, &session), at).await?;
    for event in &events {
        news::note(conn, &session.user, event, Some(&session.user_agent)).await?;
        put_event(conn, event).await?;
    }
    Ok(true)
}

/// The person whom a text names.
fn one<'a>(store: &'a Store, sql: &'static str, text: String) -> Answer<'a, Option<UserRecord>> {
    if !searchable(&text) {
        return none();
    }
    store.read(Box::new(move |conn| {
        Box::pin(conn.first(sql, args![text], |row| from_doc(row.text(0)?)))
    }))
}
