//! Sweeps away what nobody needs any more, a bounded piece at a time.

use crate::conn::{Conn, args};
use crate::dialect::{Both, sweeping};
use crate::open::Store;
use authority::PortError;
use base::UnixMs;
use std::time::Duration;

/// How long feed rows are kept. A follower that was away for longer loads everything again.
pub const FEED_KEPT: Duration = Duration::from_secs(60 * 60);
/// How long outbox rows are kept after the ledger has them: against an event that comes twice.
const DONE_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long blocks and address entries are kept after their end, for people to look at.
const EXPIRED_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Outbox rows that one intention removes, so that no other waits long.
const ROWS: i64 = 1_000;
/// Such intentions in one sweep: 300,000 rows, more than a minute brings (5,000 events a second).
const ROUNDS: u32 = 300;

const CUT_FEED: &str = "DELETE FROM feed WHERE (xid, seq) <= ($1, $2)";
const FLOOR: &str =
    "UPDATE feed_floor SET xid = $1, seq = $2 WHERE id = 1 AND (xid, seq) < ($1, $2)";
const CUT_OUTBOX: Both = sweeping!("outbox", "seq", "state = 1 AND done_at < $1");
const CUT_BLOCKS: &str = "DELETE FROM blocks WHERE expires_at < $1";
const CUT_IPS: &str = "DELETE FROM ip_entries WHERE expires_at < $1";

/// What a sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Rows of the change feed.
    pub feed: u64,
    /// Rows of the outbox.
    pub outbox: u64,
    /// Blocks and address entries that had ended long ago.
    pub expired: u64,
    /// What belongs to the authority and has ended: tokens, codes, sessions, grants and the like.
    pub authority: u64,
}

impl Store {
    /// Sweeps once. Meant to be called every minute.
    ///
    /// # Errors
    /// As the database says; the next sweep tries again.
    pub async fn sweep(&self, now: UnixMs) -> Result<Swept, PortError> {
        let mut swept = self.write(Box::new(move |conn| Box::pin(sweep(conn, now)))).await?;
        swept.outbox = self.sweep_outbox(now).await?;
        swept.authority = crate::oauth::sweep::sweep(self, now).await?;
        Ok(swept)
    }

    async fn sweep_outbox(&self, now: UnixMs) -> Result<u64, PortError> {
        let (before, mut rows) = (now.minus(DONE_KEPT).0, 0);
        for _ in 0..ROUNDS {
            let cut = self.write(Box::new(move |conn| {
                Box::pin(async move {
                    conn.execute(conn.dialect().words(CUT_OUTBOX), args![before, ROWS]).await
                })
            }));
            let some = cut.await?;
            rows += some;
            if some < ROWS.unsigned_abs() {
                break;
            }
        }
        Ok(rows)
    }
}

async fn sweep(conn: &mut Conn, now: UnixMs) -> Result<Swept, PortError> {
    let mut swept = Swept::default();
    let last_before = conn.dialect().last_before();
    let last = conn
        .optional(last_before, args![now.minus(FEED_KEPT).0], |row| Ok((row.int(0)?, row.int(1)?)))
        .await?;
    if let Some((xid, seq)) = last {
        swept.feed = conn.execute(CUT_FEED, args![xid, seq]).await?;
        conn.execute(FLOOR, args![xid, seq]).await?;
    }
    let ended = now.minus(EXPIRED_KEPT).0;
    swept.expired =
        conn.execute(CUT_BLOCKS, args![ended]).await? + conn.execute(CUT_IPS, args![ended]).await?;
    Ok(swept)
}
