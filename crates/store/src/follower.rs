//! Follows the change feed.
//!
//! Invariants:
//! - The cursor never passes a row before which another may still appear.
//! - What lies above the cursor is handed out at once all the same: a revocation must not wait for a
//!   transaction that somebody forgot to end. It is handed out again when the cursor passes it.

use crate::open::Store;
use authority::{Change, Cursor, Feed, FeedRow};
use base::{Clock, Monotonic};
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Rows that are asked for at a time: some 500 KB.
const ROWS: u32 = 1_000;
/// Numbers of rows that are remembered as handed out early. Beyond that they are handed out again with
/// every look, which is harmless.
const EARLY: usize = 100_000;
/// Numbers of changes that [`Applied`] remembers.
const APPLIED: usize = 65_536;

/// Some changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The changes and their sequence numbers. May hold what was handed out before.
    pub changes: Vec<(i64, Change)>,
    /// Numbers of rows that say nothing any more, since a later row does.
    pub passed: Vec<i64>,
    /// Whether some of them lie above the cursor.
    pub early: bool,
    /// Where the follower stands now.
    pub cursor: Cursor,
}

/// What a follower has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Apply these.
    Changes(Batch),
    /// The feed no longer holds what comes next: load everything again and start a new follower.
    Lost,
}

/// When the feed was last known to be complete. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Contact(Arc<AtomicU64>);

impl Contact {
    /// How long ago the database last answered that nothing is left unread.
    pub fn age(&self, now: Monotonic) -> Duration {
        now.since(Monotonic(self.0.load(Ordering::Acquire)))
    }
}

/// Follows the feed from a cursor on. One for each consumer.
#[derive(Debug)]
pub struct Follower {
    store: Store,
    clock: Arc<dyn Clock>,
    cursor: Cursor,
    /// Up to where the present look has read; at or above the cursor.
    scan: Cursor,
    /// Rows above the cursor that were handed out.
    early: HashSet<i64>,
    seen: u64,
    /// Whether the last look failed; said once, not with every look.
    failing: bool,
    /// Whether rows were handed out that could not be remembered, and will come again.
    overflowing: bool,
    /// When the present look began: the last time that `scan` was the cursor.
    began: Monotonic,
    contact: Contact,
}

impl Follower {
    /// A follower that goes on from `cursor`, which came with a snapshot that was loaded just now.
    pub fn new(store: Store, clock: Arc<dyn Clock>, cursor: Cursor) -> Self {
        let began = clock.monotonic();
        Self {
            store,
            clock,
            cursor,
            scan: cursor,
            early: HashSet::new(),
            seen: 0,
            failing: false,
            overflowing: false,
            began,
            contact: Contact(Arc::new(AtomicU64::new(began.0))),
        }
    }

    /// Tells how long ago the feed was complete.
    pub fn contact(&self) -> Contact {
        self.contact.clone()
    }

    /// Waits for changes. While the database does not answer this does not return, and the contact ages.
    /// May be cancelled at any point without losing a change.
    pub async fn next(&mut self) -> Step {
        if std::mem::take(&mut self.overflowing) {
            // WHY: what cannot be remembered comes with every look, and must not make it spin.
            self.seen = self.store.wait(self.seen, self.store.poll()).await;
        }
        loop {
            // INVARIANT: read before the database is: what is complete is so as of *then*.
            let asked = self.clock.monotonic();
            let solid = self.scan == self.cursor;
            match self.store.changes_since(self.scan, ROWS).await {
                Ok(page) if page.lost => return Step::Lost,
                Ok(page) => {
                    if solid {
                        self.began = asked;
                    }
                    let complete = page.rows.len() < usize::try_from(ROWS).unwrap_or(usize::MAX);
                    let batch = self.sort(page.rows, solid);
                    self.answered(complete);
                    if !batch.changes.is_empty() || !batch.passed.is_empty() {
                        return Step::Changes(batch);
                    }
                    if !complete {
                        continue;
                    }
                }
                Err(error) if !self.failing => {
                    self.failing = true;
                    tracing::warn!(%error, "the change feed cannot be read");
                }
                Err(_) => {}
            }
            self.seen = self.store.wait(self.seen, self.store.poll()).await;
        }
    }

    /// The database has answered; with the last page of the look, the feed is known up to its beginning.
    fn answered(&mut self, complete: bool) {
        if std::mem::take(&mut self.failing) {
            tracing::info!("the change feed can be read again");
        }
        if complete {
            self.scan = self.cursor;
            self.contact.0.fetch_max(self.began.0, Ordering::AcqRel);
        }
    }

    /// Moves the cursor over what is settled, and picks out what was not handed out yet.
    ///
    /// INVARIANT: the cursor moves only while the page begins at it (`solid`). Behind a row that was not
    /// settled, a later page may see a settled one although what lies before both has appeared in between,
    /// unread.
    fn sort(&mut self, rows: Vec<FeedRow>, solid: bool) -> Batch {
        let mut batch =
            Batch { changes: Vec::new(), passed: Vec::new(), early: false, cursor: self.cursor };
        for row in rows {
            let seq = row.place.seq;
            self.scan = row.place;
            if row.settled && solid {
                self.cursor = row.place;
                self.early.remove(&seq);
            } else if self.early.contains(&seq) {
                continue;
            } else {
                batch.early = true;
                if self.early.len() < EARLY {
                    self.early.insert(seq);
                } else {
                    self.overflowing = true;
                }
            }
            match row.change {
                Some(change) => batch.changes.push((seq, change)),
                None => batch.passed.push(seq),
            }
        }
        batch.cursor = self.cursor;
        batch
    }
}

/// Tells those who made a change when it is in force here.
#[derive(Debug, Default)]
pub struct Applied {
    recent: Mutex<Recent>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Recent {
    order: VecDeque<i64>,
    known: HashSet<i64>,
    /// How many loads have begun.
    begun: u64,
    /// The last load whose result is in force.
    loaded: u64,
}

/// A load that has begun; see [`Applied::loading`].
#[derive(Debug)]
pub struct Loading(u64);

impl Applied {
    /// Nothing is applied yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The batch is in force.
    pub fn mark(&self, batch: &Batch) {
        let mut recent = self.lock();
        let numbers = batch.changes.iter().map(|(seq, _)| *seq).chain(batch.passed.iter().copied());
        for seq in numbers {
            if recent.known.insert(seq) {
                recent.order.push_back(seq);
            }
            if recent.order.len() > APPLIED
                && let Some(oldest) = recent.order.pop_front()
            {
                recent.known.remove(&oldest);
            }
        }
        drop(recent);
        self.changed.notify_waiters();
    }

    /// A load of everything begins. Who waits already has made a change that the load will see.
    pub fn loading(&self) -> Loading {
        let mut recent = self.lock();
        recent.begun += 1;
        Loading(recent.begun)
    }

    /// What was loaded is in force, and with it every change that was waited for when the load began.
    pub fn loaded(&self, loading: &Loading) {
        let mut recent = self.lock();
        recent.loaded = recent.loaded.max(loading.0);
        drop(recent);
        self.changed.notify_waiters();
    }

    /// Waits until the change with this number is in force, at most `at_most`; whether it is.
    pub async fn wait(&self, seq: i64, at_most: Duration) -> bool {
        let begun = self.lock().begun;
        let applied = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                // Before the look, so that a change between look and wait is not missed.
                changed.as_mut().enable();
                if self.covers(seq, begun) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(at_most, applied).await.is_ok()
    }

    /// Whether the change came with the feed, or with a load that began after loads numbered `begun`.
    fn covers(&self, seq: i64, begun: u64) -> bool {
        let recent = self.lock();
        recent.known.contains(&seq) || recent.loaded > begun
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::Pin;
    use std::task::Poll;

    async fn poll_once<F: Future>(mut it: Pin<&mut F>) -> Poll<F::Output> {
        std::future::poll_fn(|cx| Poll::Ready(it.as_mut().poll(cx))).await
    }

    #[tokio::test]
    async fn a_load_covers_those_who_waited_when_it_began() {
        let applied = Applied::new();
        let early = applied.wait(1, Duration::from_secs(60));
        tokio::pin!(early);
        assert!(poll_once(early.as_mut()).await.is_pending());
        let load = applied.loading();
        let late = applied.wait(2, Duration::from_secs(60));
        tokio::pin!(late);
        assert!(poll_once(late.as_mut()).await.is_pending());
        applied.loaded(&load);
        assert!(early.await);
        assert!(poll_once(late.as_mut()).await.is_pending(), "it may have come too late");
    }
}
