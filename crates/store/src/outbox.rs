//! The outbox: audit events on their way to a ledger, and the nodes that carry them there.
//!
//! A row belongs to the node that wrote it. When that node dies, another takes the row over; should the dead
//! one come back in between, an event may reach two ledgers. Its id tells that it is one.

use crate::conn::{Arg, Conn, args};
use crate::event_row;
use crate::open::Store;
use authority::{Answer, AuditLog, Beat, NodeStore, Outbox, OutboxRow, PortError};
use base::{BoxFuture, Event, EventId, Monotonic, NodeId, UnixMs};
use std::collections::HashMap;
use std::time::Duration;

/// A node that gave no sign of life for so long is dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(30);
/// Rows that one call hands out at most: some 2 MB.
const TAKE: u32 = 4_096;

const PUT: &str = "INSERT INTO outbox (event_id, node, state, event) VALUES ($1, $2, 0, $3)";
const WAITING: &str =
    "SELECT seq, event, event_id FROM outbox WHERE node = $1 AND state = 0 ORDER BY seq LIMIT $2";
/// Ids that one statement marks.
const MARKED: usize = 32;
/// The ledger has the text now; the id stays, so that the event is not taken in twice.
const DONE: &str = "UPDATE outbox SET state = 1, done_at = $1, event = '' WHERE state = 0 AND event_id IN ( \
     $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
     $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33)";
const BEAT: &str = "INSERT INTO nodes (id, beat, seen_at) VALUES ($1, 1, $2) \
     ON CONFLICT (id) DO UPDATE SET beat = nodes.beat + 1, seen_at = excluded.seen_at";
const OTHERS: &str = "SELECT o.node, COALESCE(n.beat, 0) FROM \
     (SELECT DISTINCT node FROM outbox WHERE state = 0 AND node <> $1) o \
     LEFT JOIN nodes n ON n.id = o.node ORDER BY o.node";
const ADOPT: &str = "UPDATE outbox SET node = $1 WHERE node = $2 AND state = 0 \
     AND COALESCE((SELECT beat FROM nodes WHERE id = $2), 0) = $3";

/// Puts an event into the outbox, as part of a statement: the places of its id, its node and its text.
macro_rules! insert_event {
    ($id:literal, $node:literal, $text:literal) => {
        concat!(
            "INSERT INTO outbox (event_id, node, state, event) VALUES (",
            $id,
            ", ",
            $node,
            ", 0, ",
            $text,
            ")"
        )
    };
}
pub(crate) use insert_event;

/// The arguments of [`insert_event!`] after those of the statements before it.
pub(crate) fn with_event(mut args: Vec<Arg>, event: &Event) -> Result<Vec<Arg>, PortError> {
    args.extend(args![event.id.0.as_slice(), i64::from(event.node.0), event_row::write(event)?]);
    Ok(args)
}

/// Puts an event into the outbox, in the transaction of what it tells of.
pub(crate) async fn put_event(conn: &mut Conn, event: &Event) -> Result<(), PortError> {
    let text = event_row::write(event)?;
    conn.execute(PUT, args![event.id.0.as_slice(), i64::from(event.node.0), text]).await?;
    Ok(())
}

impl AuditLog for Store {
    fn record(&self, event: Event) -> Answer<'_, ()> {
        self.write(Box::new(move |conn| Box::pin(async move { put_event(conn, &event).await })))
    }
}

impl Outbox for Store {
    fn take(&self, node: NodeId, limit: u32) -> Answer<'_, Vec<OutboxRow>> {
        self.read(Box::new(move |conn| {
            let args = args![i64::from(node.0), i64::from(limit.min(TAKE))];
            Box::pin(conn.all(WAITING, args, move |row| {
                let (seq, text) = (row.int(0)?, row.text(1)?);
                let id =
                    row.blob(2)?.try_into().map_err(|_| crate::rows::corrupt("an event's id"))?;
                Ok(OutboxRow { seq, event: event_row::read_or_gap(EventId(id), node, text) })
            }))
        }))
    }

    fn mark_done(&self, ids: Vec<EventId>, now: UnixMs) -> Answer<'_, ()> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                for some in ids.chunks(MARKED) {
                    // What is missing to a full list is its last id, again.
                    let last = some.last().into_iter().cycle();
                    let list = some.iter().chain(last).take(MARKED);
                    let mut args = args![now.0];
                    args.extend(list.map(|id| Arg::from(id.0.as_slice())));
                    conn.execute(DONE, args).await?;
                }
                Ok(())
            })
        }))
    }

    fn wait_for_rows(&self, seen: u64, at_most: Duration) -> BoxFuture<'_, u64> {
        self.signals().outbox.wait(seen, at_most)
    }
}

impl NodeStore for Store {
    fn beat(&self, node: NodeId, now: UnixMs) -> Answer<'_, ()> {
        self.write(Box::new(move |conn| {
            Box::pin(
                async move { conn.execute(BEAT, args![i64::from(node.0), now.0]).await.map(drop) },
            )
        }))
    }

    fn others_with_rows(&self, node: NodeId) -> Answer<'_, Vec<Beat>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.all(OTHERS, args![i64::from(node.0)], |row| {
                let id = u32::try_from(row.int(0)?)
                    .map_err(|_| crate::rows::corrupt("a node's id is malformed"))?;
                Ok(Beat { node: NodeId(id), beat: row.int(1)? })
            }))
        }))
    }

    fn adopt(&self, node: NodeId, dead: Beat) -> Answer<'_, u64> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let args = args![i64::from(node.0), i64::from(dead.node.0), dead.beat];
                conn.execute(ADOPT, args).await
            })
        }))
    }
}

/// Finds out which nodes are dead: those whose beat has not changed for [`DEAD_AFTER`] by *our* monotonic
/// clock. Clocks of nodes are never compared.
#[derive(Debug, Default)]
pub struct Mourner {
    seen: HashMap<NodeId, (i64, Monotonic)>,
}

impl Mourner {
    /// A mourner that has seen nobody yet: it takes [`DEAD_AFTER`] until it can tell.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at the beats of the others; those that are dead now. Nodes that are not among `beats` are
    /// forgotten.
    pub fn look(&mut self, beats: &[Beat], now: Monotonic) -> Vec<Beat> {
        self.seen.retain(|node, _| beats.iter().any(|it| it.node == *node));
        beats.iter().copied().filter(|beat| self.is_dead(*beat, now)).collect()
    }

    fn is_dead(&mut self, beat: Beat, now: Monotonic) -> bool {
        let (last, since) = self.seen.entry(beat.node).or_insert((beat.beat, now));
        if *last != beat.beat {
            (*last, *since) = (beat.beat, now);
        }
        now.since(*since) >= DEAD_AFTER
    }

    /// One round: takes over the rows of nodes that are dead; how many rows.
    ///
    /// # Errors
    /// As the store says; the next round tries again.
    pub async fn round(
        &mut self,
        store: &dyn NodeStore,
        me: NodeId,
        now: Monotonic,
    ) -> Result<u64, PortError> {
        let beats = store.others_with_rows(me).await?;
        let mut rows = 0;
        for dead in self.look(&beats, now) {
            rows += store.adopt(me, dead).await?;
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_dead_after_thirty_seconds_without_a_beat() {
        let at = |seconds: u64| Monotonic(seconds * 1_000_000_000);
        let beat = |beat| [Beat { node: NodeId(2), beat }];
        let mut mourner = Mourner::new();
        assert!(mourner.look(&beat(7), at(100)).is_empty());
        assert!(mourner.look(&beat(7), at(129)).is_empty());
        assert!(mourner.look(&beat(8), at(130)).is_empty());
        assert!(mourner.look(&beat(8), at(159)).is_empty());
        assert_eq!(mourner.look(&beat(8), at(160)), beat(8));
        assert!(mourner.look(&[], at(161)).is_empty());
        assert!(mourner.look(&beat(8), at(162)).is_empty());
    }
}
