//! People's own API keys. What may become of them is said by `authority`; it is done here, in the transaction of what
//! brought it.
//!
//! Locks: the person's row, then groups' rows, then keys'. So a key is judged by groups that nobody changes until it is
//! kept, and who changes a group or an account finds every key that was kept before.

use super::{from_doc, news, searchable};
use crate::conn::{Arg, Conn, args};
use crate::dialect::{Both, locking};
use crate::feed::Subject;
use crate::keys::{INSERT, insert_args};
use crate::open::Store;
use crate::outbox::put_event;
use crate::rows::{self, KEY_COLUMNS, joined, key_columns};
use authority::oauth::records::{GroupRecord, UserRecord};
use authority::oauth::{
    ENDED_BY_OWNER, Fate, KeptOwnKey, NewOwnKey, OWN_KEYS_MADE_MOST, OWN_KEYS_MOST,
    OWN_KEYS_WINDOW, OwnKeyStore, fate, fate_event,
};
use authority::{Answer, KeyId, KeyRecord, PortError};
use base::{Event, UnixMs};

const PERSON: Both = locking!("u", "SELECT u.doc FROM users u WHERE u.id = $1");
const IS_ALIVE: &str = "SELECT id FROM sessions WHERE user_id = $1 AND id = $2 AND expires_at > $3";
/// WHY by name: whoever locks several does it in one order.
const GROUPS: Both = locking!("g", "SELECT g.doc FROM user_groups g ORDER BY g.name");
/// Keys of a person that live; they are locked by the row of the person.
const LIVE: &str = concat!(
    "SELECT ",
    key_columns!(""),
    " FROM api_keys WHERE owner = $1 AND revoked_at IS NULL AND expires_at > $2 ORDER BY id LIMIT $3"
);
const MADE: &str = "SELECT COUNT(*) FROM api_keys WHERE owner = $1 AND created_at > $2";
/// Keys of all people that live, with their people, page by page.
const OWNED: &str = concat!(
    "SELECT ",
    key_columns!("k."),
    ", u.doc FROM api_keys k JOIN users u ON u.id = k.owner WHERE k.owner IS NOT NULL \
     AND k.revoked_at IS NULL AND k.expires_at > $2 AND k.id > $1 ORDER BY k.id LIMIT $3"
);
const NARROW: &str = "UPDATE api_keys SET scopes = $2 WHERE id = $1 AND revoked_at IS NULL";
const END: &str = "UPDATE api_keys SET revoked_at = $2, revoked_reason = $3 \
     WHERE id = $1 AND revoked_at IS NULL";
const END_OWN: &str = "UPDATE api_keys SET revoked_at = $3, revoked_reason = $4 \
     WHERE id = $1 AND owner = $2 AND revoked_at IS NULL";
/// Keys that are read at once when a group changes.
const PAGE: i64 = 1000;

async fn live(conn: &mut Conn, owner: &str, now: UnixMs) -> Result<Vec<KeyRecord>, PortError> {
    let most = i64::try_from(OWN_KEYS_MOST).unwrap_or(i64::MAX);
    conn.all(LIVE, args![owner, now.0, most], |row| rows::key(row, 0)).await
}

/// All groups; nobody changes one of them before the transaction ends.
async fn groups(conn: &mut Conn) -> Result<Vec<GroupRecord>, PortError> {
    let lock = conn.dialect().words(GROUPS);
    conn.all(lock, args![], |row| from_doc(row.text(0)?)).await
}

/// Locks all groups, in one order. WHY before one of them is written: two that change two groups would wait for each
/// other.
pub(super) async fn lock_groups(conn: &mut Conn) -> Result<(), PortError> {
    groups(conn).await.map(drop)
}

/// Does to a key what is to become of it, records it and tells its owner.
async fn settle(
    conn: &mut Conn,
    (key, owner): (&KeyRecord, &UserRecord),
    fate: Fate,
    cause: &Event,
) -> Result<(), PortError> {
    let Some(event) = fate_event(cause, key, &fate)? else { return Ok(()) };
    let id = key.id.as_str();
    let done = match &fate {
        Fate::Stays => 0,
        Fate::Narrower(scopes) => conn.execute(NARROW, args![id, joined(scopes)]).await?,
        Fate::Ends(why) => conn.execute(END, args![id, cause.time.0, *why]).await?,
    };
    if done == 0 {
        return Ok(());
    }
    put_event(conn, &event).await?;
    news::note(conn, &owner.id, &event, None).await?;
    let subject = match fate {
        Fate::Ends(_) => Subject::Revocation(key.id),
        Fate::Stays | Fate::Narrower(_) => Subject::Key(key.id),
    };
    subject.announce(conn, event.time).await.map(drop)
}

/// Lets a person's keys follow a change of the account, whose row is locked. `ended`: whether all that was issued for
/// the person ends.
pub(super) async fn follow_account(
    conn: &mut Conn,
    owner: &UserRecord,
    ended: bool,
    cause: &Event,
) -> Result<(), PortError> {
    let keys = live(conn, &owner.id, cause.time).await?;
    if keys.is_empty() {
        return Ok(());
    }
    let groups = groups(conn).await?;
    for key in keys {
        let becomes = fate(&key, owner, ended, &groups);
        settle(conn, (&key, owner), becomes, cause).await?;
    }
    Ok(())
}

/// Lets all people's keys follow a change of the groups, which is made in this transaction.
pub(super) async fn follow_groups(conn: &mut Conn, cause: &Event) -> Result<(), PortError> {
    let groups = groups(conn).await?;
    let mut after = String::new();
    loop {
        let args = args![after.as_str(), cause.time.0, PAGE];
        let read = |row: &crate::conn::Row| {
            Ok((rows::key(row, 0)?, from_doc::<UserRecord>(row.text(KEY_COLUMNS)?)?))
        };
        let page = conn.all(OWNED, args, read).await?;
        for (key, owner) in &page {
            let becomes = fate(key, owner, false, &groups);
            settle(conn, (key, owner), becomes, cause).await?;
        }
        match page.last() {
            Some((key, _)) if i64::try_from(page.len()).is_ok_and(|it| it >= PAGE) => {
                after = key.id.to_string();
            }
            _ => return Ok(()),
        }
    }
}

async fn create(conn: &mut Conn, new: NewOwnKey, event: &Event) -> Result<KeptOwnKey, PortError> {
    let (owner, now) = (new.owner.id.as_str(), new.key.created_at);
    let lock = conn.dialect().words(PERSON);
    let found = conn.first(lock, args![owner], |row| from_doc::<UserRecord>(row.text(0)?)).await?;
    let args = args![owner, new.session, now.0];
    let alive = conn.first(IS_ALIVE, args, |row| row.text(0).map(drop)).await?;
    let is_own = new.key.owner.as_deref() == Some(owner);
    if found.as_ref() != Some(&new.owner) || alive.is_none() || !is_own {
        return Ok(KeptOwnKey::Changed);
    }
    if fate(&new.key, &new.owner, false, &groups(conn).await?) != Fate::Stays {
        return Ok(KeptOwnKey::Changed);
    }
    let since = now.minus(OWN_KEYS_WINDOW).0;
    let made = conn.one(MADE, args![owner, since], |row| row.int(0)).await?;
    let made_most = i64::try_from(OWN_KEYS_MADE_MOST).unwrap_or(i64::MAX);
    if made >= made_most || live(conn, owner, now).await?.len() >= OWN_KEYS_MOST {
        return Ok(KeptOwnKey::TooMany);
    }
    conn.execute(INSERT, insert_args(&new.key)).await?;
    put_event(conn, event).await?;
    news::note(conn, owner, event, None).await?;
    Subject::Key(new.key.id).announce(conn, event.time).await.map(KeptOwnKey::Now)
}

impl OwnKeyStore for Store {
    fn create_own_key(&self, new: NewOwnKey, event: Event) -> Answer<'_, KeptOwnKey> {
        self.write(Box::new(move |conn| Box::pin(async move { create(conn, new, &event).await })))
    }

    fn own_keys(&self, owner: String, now: UnixMs) -> Answer<'_, Vec<KeyRecord>> {
        if !searchable(&owner) {
            return Box::pin(async { Ok(Vec::new()) });
        }
        self.read(Box::new(move |conn| Box::pin(async move { live(conn, &owner, now).await })))
    }

    fn end_own_key(
        &self,
        (owner, id): (String, KeyId),
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let args: Vec<Arg> = args![id.as_str(), owner.as_str(), now.0, ENDED_BY_OWNER];
                if conn.execute(END_OWN, args).await? == 0 {
                    return Ok(None);
                }
                put_event(conn, &event).await?;
                news::note(conn, &owner, &event, None).await?;
                Subject::Revocation(id).announce(conn, event.time).await.map(Some)
            })
        }))
    }
}
