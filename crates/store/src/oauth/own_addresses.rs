//! Addresses that people let in for themselves: address entries with an owner, that hold no longer than a session.
//!
//! Invariant: whatever ends a session ends its entries in the same transaction ([`end`]), each with its event and its row
//! in the feed.

use super::{from_doc, news, searchable};
use crate::addresses::{PUT, put_args};
use crate::conn::{Conn, args};
use crate::dialect::{Both, locking};
use crate::feed::Subject;
use crate::open::Store;
use crate::outbox::put_event;
use crate::rows::{self, ip_columns};
use authority::oauth::ports::{OwnAddressStore, PutOwn, Room};
use authority::oauth::records::{SessionRecord, UserRecord};
use authority::{Answer, IpEntry, IpId, IpOwner, PortError};
use base::{Event, EventId, Kind, UnixMs, code};

const PERSON: Both = locking!("u", "SELECT u.doc FROM users u WHERE u.id = $1");
const SESSION: Both = locking!(
    "s",
    "SELECT s.expires_at FROM sessions s WHERE s.id = $1 AND s.user_id = $2 AND s.expires_at > $3"
);
/// Of a person, without the one that is to be replaced.
const COUNT: &str = "SELECT COUNT(*) FROM ip_entries WHERE owner = $1 AND expires_at > $2 \
     AND NOT (list = $3 AND net = $4 AND session = $5)";
const COUNT_LIST: &str =
    "SELECT COUNT(*) FROM ip_entries WHERE owner IS NOT NULL AND list = $1 AND expires_at > $2";
const LIST: &str = concat!(
    "SELECT ",
    ip_columns!(""),
    " FROM ip_entries WHERE owner = $1 AND expires_at > $2 ORDER BY id LIMIT $3"
);
/// WHY locked, by id: two that end the same ones wait for each other in one order.
const OF_PERSON: Both = locking!(
    "i",
    "SELECT ",
    ip_columns!("i."),
    " FROM ip_entries i WHERE i.owner = $1 ORDER BY i.id"
);
const OF_SESSION: Both = locking!(
    "i",
    "SELECT ",
    ip_columns!("i."),
    " FROM ip_entries i WHERE i.owner IS NOT NULL AND i.session = $1 ORDER BY i.id"
);
const MOVE: &str = "UPDATE ip_entries SET expires_at = $2, latest = $3 WHERE id = $1";
const REMOVE: &str = "DELETE FROM ip_entries WHERE id = $1";
const REMOVE_OWN: &str =
    concat!("DELETE FROM ip_entries WHERE id = $1 AND owner = $2 RETURNING ", ip_columns!(""));
/// Rows of a listing: more than one person can have.
const ROWS: i64 = 256;

/// Which entries end.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    /// Those of a session.
    Session(&'a str),
    /// Those of a person.
    Person(&'a str),
    /// Those of a person, but of this session.
    Others(&'a str, &'a str),
    /// Those that a person has by a group that is not among these.
    Lost(&'a str, &'a [String]),
}

impl Which<'_> {
    fn holds(self, entry: &IpEntry) -> bool {
        let Some(owner) = &entry.owner else { return false };
        match self {
            Self::Session(_) | Self::Person(_) => true,
            Self::Others(_, keep) => owner.session != keep,
            Self::Lost(_, groups) => !groups.contains(&owner.group),
        }
    }
}

/// Ends entries because of what `cause` says.
pub(super) async fn end(conn: &mut Conn, which: Which<'_>, cause: &Event) -> Result<(), PortError> {
    let (sql, text) = match which {
        Which::Session(session) => (OF_SESSION, session),
        Which::Person(user) | Which::Others(user, _) | Which::Lost(user, _) => (OF_PERSON, user),
    };
    let sql = conn.dialect().words(sql);
    let found = conn.all(sql, args![text], |row| rows::ip(row, 0)).await?;
    for entry in found.iter().filter(|it| which.holds(it)) {
        conn.execute(REMOVE, args![entry.id.as_str()]).await?;
        put_event(conn, &ended(entry, which, cause)?).await?;
        Subject::NoIp(entry.id).announce(conn, cause.time).await?;
    }
    Ok(())
}

/// The event of an entry that ended because of another one's.
fn ended(entry: &IpEntry, which: Which<'_>, cause: &Event) -> Result<Event, PortError> {
    let id = EventId::random().map_err(|error| PortError::Unavailable(error.to_string()))?;
    let mut event = Event::new(id, cause.time, cause.node, Kind::Admin, code::IP_REMOVED);
    event.request_id = cause.request_id;
    event.principal.clone_from(&cause.principal);
    event.scheme = cause.scheme;
    event.client_ip = cause.client_ip;
    event.credential_id = Some(entry.id.as_str().into());
    let why = match which {
        Which::Lost(..) => "its person is not in the group any more",
        _ => "the session in which it was let in has ended",
    };
    let owner = entry.owner.as_ref().map(|it| it.user.as_str()).unwrap_or_default();
    event.detail = Some(format!("out of {}, of {owner}: {why}", entry.list).into());
    Ok(event)
}

/// What was let in with a session follows it: it holds on while the session is used, and no longer than it lasts.
pub(super) async fn follow(
    conn: &mut Conn,
    (before, after): (&SessionRecord, &SessionRecord),
    at: UnixMs,
) -> Result<(), PortError> {
    let used = |it: &SessionRecord| it.used_at.unwrap_or(it.created_at).0;
    let more = used(after).saturating_sub(used(before));
    if more == 0 && after.expires_at >= before.expires_at {
        return Ok(());
    }
    let sql = conn.dialect().words(OF_SESSION);
    let found = conn.all(sql, args![after.id.as_str()], |row| rows::ip(row, 0)).await?;
    for entry in found {
        let Some(owner) = &entry.owner else { continue };
        let latest = owner.latest.min(after.expires_at);
        let end = match entry.expires_at < owner.latest {
            true => UnixMs(entry.expires_at.0.saturating_add(more)).min(latest),
            false => latest,
        };
        if (end, latest) != (entry.expires_at, owner.latest) {
            conn.execute(MOVE, args![entry.id.as_str(), end.0, latest.0]).await?;
            Subject::Ip(entry.id).announce(conn, at).await?;
        }
    }
    Ok(())
}

async fn put(
    conn: &mut Conn,
    mut entry: IpEntry,
    room: Room,
    mut event: Event,
) -> Result<PutOwn, PortError> {
    let Some(owner) = entry.owner.clone() else { return Ok(PutOwn::Gone) };
    let now = entry.created_at;
    // INVARIANT: person and session are locked, so that neither loses what this stands on meanwhile.
    let lock = conn.dialect().words(PERSON);
    let person = conn.first(lock, args![owner.user.as_str()], |row| from_doc(row.text(0)?)).await?;
    let may = |it: &UserRecord| it.disabled_at.is_none() && it.roles.contains(&owner.group);
    if !person.as_ref().is_some_and(may) {
        return Ok(PutOwn::Gone);
    }
    let lock = conn.dialect().words(SESSION);
    let args = args![owner.session.as_str(), owner.user.as_str(), now.0];
    let Some(session_end) = conn.first(lock, args, |row| row.int(0)).await? else {
        return Ok(PutOwn::Gone);
    };
    entry.expires_at = entry.expires_at.min(UnixMs(session_end));
    let latest = owner.latest.min(UnixMs(session_end));
    entry.owner = Some(IpOwner { latest, ..owner.clone() });
    let net = entry.net.to_string();
    let args = args![owner.user.as_str(), now.0, entry.list.as_str(), net, owner.session.as_str()];
    let own = conn.one(COUNT, args, |row| row.int(0)).await?;
    let args = args![entry.list.as_str(), now.0];
    let all = conn.one(COUNT_LIST, args, |row| row.int(0)).await?;
    if own >= i64::from(room.person) {
        return Ok(PutOwn::TooMany);
    }
    if all >= i64::from(room.list) {
        return Ok(PutOwn::Full);
    }
    let kept = conn.one(PUT, put_args(&entry), |row| rows::ip(row, 0)).await?;
    event.credential_id = Some(kept.id.as_str().into());
    news::note(conn, &owner.user, &event, None).await?;
    put_event(conn, &event).await?;
    let seq = Subject::Ip(kept.id).announce(conn, event.time).await?;
    Ok(PutOwn::Kept(kept, seq))
}

impl OwnAddressStore for Store {
    fn put_own_address(&self, entry: IpEntry, room: Room, event: Event) -> Answer<'_, PutOwn> {
        self.write(Box::new(move |conn| Box::pin(put(conn, entry, room, event))))
    }

    fn own_addresses(&self, user: String, now: UnixMs) -> Answer<'_, Vec<IpEntry>> {
        if !searchable(&user) {
            return Box::pin(async { Ok(Vec::new()) });
        }
        self.read(Box::new(move |conn| {
            Box::pin(conn.all(LIST, args![user, now.0, ROWS], |row| rows::ip(row, 0)))
        }))
    }

    fn remove_own_address(
        &self,
        user: String,
        id: IpId,
        mut event: Event,
    ) -> Answer<'_, Option<(IpEntry, i64)>> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let args = args![id.as_str(), user];
                let gone = conn.optional(REMOVE_OWN, args, |row| rows::ip(row, 0)).await?;
                let Some(gone) = gone else { return Ok(None) };
                let detail = event.detail.take().unwrap_or_default();
                event.detail = Some(format!("out of {}{detail}", gone.list).into());
                event.credential_id = Some(id.as_str().into());
                put_event(conn, &event).await?;
                let seq = Subject::NoIp(id).announce(conn, event.time).await?;
                Ok(Some((gone, seq)))
            })
        }))
    }
}
