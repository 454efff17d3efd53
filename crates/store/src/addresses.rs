//! Run-time address entries.

use crate::conn::{Arg, args};
use crate::feed::Subject;
use crate::keys::page_args;
use crate::open::Store;
use crate::outbox::put_event;
use crate::rows::{self, ip_columns};
use authority::{Answer, IpEntry, IpId, IpStore, Page};
use base::{Event, UnixMs};

pub(crate) const PUT: &str = concat!(
    "INSERT INTO ip_entries (id, list, net, created_at, expires_at, note, created_by, owner, session, \
     owner_group, latest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
     ON CONFLICT (list, net, session) DO UPDATE SET created_at = excluded.created_at, \
     expires_at = excluded.expires_at, note = excluded.note, created_by = excluded.created_by, \
     owner_group = excluded.owner_group, latest = excluded.latest \
     RETURNING ",
    ip_columns!("")
);
const LIST: &str = concat!(
    "SELECT ",
    ip_columns!(""),
    " FROM ip_entries WHERE id > $1 AND expires_at > $3 ORDER BY id LIMIT $2"
);
const LIST_ONE: &str = concat!(
    "SELECT ",
    ip_columns!(""),
    " FROM ip_entries WHERE id > $1 AND expires_at > $3 AND list = $4 ORDER BY id LIMIT $2"
);
const REMOVE: &str = concat!("DELETE FROM ip_entries WHERE id = $1 RETURNING ", ip_columns!(""));

/// What [`PUT`] takes. An administrator's entry has the empty session: each session has entries of its own.
pub(crate) fn put_args(entry: &IpEntry) -> Vec<Arg> {
    let owner = entry.owner.as_ref();
    args![
        entry.id.as_str(),
        entry.list.as_str(),
        entry.net.to_string(),
        entry.created_at.0,
        entry.expires_at.0,
        entry.note.clone(),
        entry.created_by.as_str(),
        owner.map(|it| it.user.clone()),
        owner.map(|it| it.session.clone()).unwrap_or_default(),
        owner.map(|it| it.group.clone()),
        owner.map(|it| it.latest.0),
    ]
}

impl IpStore for Store {
    fn put_ip(&self, entry: IpEntry, mut event: Event) -> Answer<'_, (IpEntry, i64)> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let kept = conn.one(PUT, put_args(&entry), |row| rows::ip(row, 0)).await?;
                event.credential_id = Some(kept.id.as_str().into());
                put_event(conn, &event).await?;
                let seq = Subject::Ip(kept.id).announce(conn, event.time).await?;
                Ok((kept, seq))
            })
        }))
    }

    fn ips(&self, list: Option<String>, now: UnixMs, page: Page) -> Answer<'_, Vec<IpEntry>> {
        self.read(Box::new(move |conn| {
            let mut args = page_args(page);
            args.push(now.0.into());
            let sql = match list {
                None => LIST,
                Some(list) => {
                    args.push(list.into());
                    LIST_ONE
                }
            };
            Box::pin(conn.all(sql, args, |row| rows::ip(row, 0)))
        }))
    }

    fn remove_ip(&self, id: IpId, event: Event) -> Answer<'_, Option<(IpEntry, i64)>> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let args = args![id.as_str()];
                let gone = conn.optional(REMOVE, args, |row| rows::ip(row, 0)).await?;
                let Some(gone) = gone else { return Ok(None) };
                put_event(conn, &event).await?;
                let seq = Subject::NoIp(id).announce(conn, event.time).await?;
                Ok(Some((gone, seq)))
            })
        }))
    }
}
