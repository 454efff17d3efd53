//! What happened to accounts, for their people to look at. Each row is written beside the event that it tells of.

use super::{from_doc, searchable, to_doc};
use crate::conn::{Conn, args};
use crate::dialect::{Both, sweeping};
use crate::open::Store;
use authority::oauth::{NEWS_MOST, NewsRecord, NewsStore};
use authority::{Answer, PortError};
use base::{Event, UnixMs};

const INSERT: &str = "INSERT INTO account_events (event_id, user_id, class, at, doc) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (event_id) DO NOTHING";
/// The time of the newest row that is one too many.
const SURPLUS: &str = "SELECT at FROM account_events WHERE user_id = $1 AND class = $2 \
     ORDER BY at DESC, event_id LIMIT 1 OFFSET $3";
/// It passes over rows that another transaction removes.
const CUT: Both =
    sweeping!("account_events", "event_id", "user_id = $3 AND class = $4 AND at <= $1");
/// Rows that one intention removes at most; it has just added one.
const CUT_ROWS: i64 = 10;
const FORGET: &str = "DELETE FROM account_events WHERE user_id = $1";
const LIST: &str = "SELECT doc FROM account_events WHERE user_id = $1 AND at > $2 \
     ORDER BY at DESC, event_id LIMIT $3";

/// Notes for a person what `event` tells; in the transaction of that event.
pub(super) async fn note(
    conn: &mut Conn,
    user: &str,
    event: &Event,
    user_agent: Option<&str>,
) -> Result<(), PortError> {
    let Some(news) = NewsRecord::of(event, user_agent) else { return Ok(()) };
    let class = news.class() as i64;
    let args = args![event.id.0.as_slice(), user, class, news.at.0, to_doc(&news)?];
    conn.execute(INSERT, args).await?;
    let args = args![user, class, i64::from(NEWS_MOST)];
    if let Some(at) = conn.first(SURPLUS, args, |row| row.int(0)).await? {
        let cut = conn.dialect().words(CUT);
        conn.execute(cut, args![at, CUT_ROWS, user, class]).await?;
    }
    Ok(())
}

/// Forgets all of a person.
pub(super) async fn forget(conn: &mut Conn, user: &str) -> Result<(), PortError> {
    conn.execute(FORGET, args![user]).await.map(drop)
}

impl NewsStore for Store {
    fn news(&self, user: String, since: UnixMs, rows: u32) -> Answer<'_, Vec<NewsRecord>> {
        if !searchable(&user) {
            return Box::pin(async { Ok(Vec::new()) });
        }
        self.read(Box::new(move |conn| {
            let args = args![user, since.0, i64::from(rows.min(authority::PAGE_ROWS))];
            Box::pin(conn.all(LIST, args, |row| from_doc(row.text(0)?)))
        }))
    }
}
