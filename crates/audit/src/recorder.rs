//! The way into the ledger: one bounded ring a shard.
//!
//! Never does: wait. What does not fit is counted, and the writer turns the count into a gap record.
//!
//! INVARIANT: what was pushed is counted in `waiting` until the writer took it; the writer sleeps only when it
//! has seen `waiting` at 0 after it said that it would sleep.

use crate::error::LedgerError;
use crate::gaps::Loss;
use base::Event;
use crossbeam_queue::SegQueue;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use tokio::sync::oneshot;

/// Events that wait before the writer is woken ahead of its time (design §7: a sync every 512 events).
pub(crate) const SYNC_EVENTS: usize = 512;
/// Administrative appends that wait at once; there is one drainer, and a few other callers.
const APPENDS: usize = 64;

/// Tells whoever waits how it ended.
pub(crate) type Done = oneshot::Sender<Result<(), LedgerError>>;

/// An event on its way.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) event: Event,
    /// Who waits for it to be durable.
    pub(crate) done: Option<Done>,
}

/// Administrative events on their way, all or none.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) events: Vec<Event>,
    pub(crate) done: Done,
}

/// One ring.
///
/// WHY: a linked queue with a counted bound instead of an array: an idle ring of 16,384 events would hold
/// 5 MB a shard.
#[derive(Debug)]
pub(crate) struct Ring {
    queue: SegQueue<Item>,
    waiting: AtomicUsize,
    bound: usize,
    lost: AtomicU64,
    lost_first: AtomicI64,
    lost_last: AtomicI64,
}

impl Ring {
    fn new(bound: usize) -> Self {
        Self {
            queue: SegQueue::new(),
            waiting: AtomicUsize::new(0),
            bound,
            lost: AtomicU64::new(0),
            lost_first: AtomicI64::new(i64::MAX),
            lost_last: AtomicI64::new(i64::MIN),
        }
    }

    /// How many waited before; nothing, and the item is gone, when the ring is full.
    fn push(&self, item: Item) -> Option<usize> {
        let before = self.waiting.fetch_add(1, Ordering::SeqCst);
        if before >= self.bound {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            return None;
        }
        self.queue.push(item);
        Some(before)
    }

    pub(crate) fn pop(&self) -> Option<Item> {
        let item = self.queue.pop()?;
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        Some(item)
    }

    fn lose(&self, time: i64) {
        self.lost_first.fetch_min(time, Ordering::Relaxed);
        self.lost_last.fetch_max(time, Ordering::Relaxed);
        self.lost.fetch_add(1, Ordering::Release);
    }

    /// Takes what was lost since the last call. The times are those of this or of the next loss.
    pub(crate) fn take_lost(&self) -> Option<Loss> {
        if self.lost.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let count = self.lost.swap(0, Ordering::Acquire);
        let first = self.lost_first.swap(i64::MAX, Ordering::Relaxed);
        let last = self.lost_last.swap(i64::MIN, Ordering::Relaxed);
        Some(Loss { count, first, last })
    }
}

/// What the recorders, the ledger's handle and the writer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) rings: Vec<Ring>,
    appends: Mutex<VecDeque<Append>>,
    appends_waiting: AtomicUsize,
    /// The writer sleeps, or is about to.
    pub(crate) sleeping: AtomicBool,
    /// Somebody waits: commit at once.
    pub(crate) urgent: AtomicBool,
    pub(crate) stop: AtomicBool,
    /// No event is taken any more.
    pub(crate) closed: AtomicBool,
    pub(crate) writer: OnceLock<Thread>,
    pub(crate) counts: Counts,
}

/// Counters that the writer keeps and anybody reads.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) appended: AtomicU64,
    pub(crate) synced: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) folded: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) failures: AtomicU64,
}

impl Shared {
    pub(crate) fn new(rings: usize, bound: usize) -> Self {
        Self {
            rings: (0..rings).map(|_| Ring::new(bound)).collect(),
            appends: Mutex::new(VecDeque::new()),
            appends_waiting: AtomicUsize::new(0),
            sleeping: AtomicBool::new(false),
            urgent: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            writer: OnceLock::new(),
            counts: Counts::default(),
        }
    }

    /// How many events and appends wait.
    pub(crate) fn waiting(&self) -> usize {
        let rings: usize = self.rings.iter().map(|ring| ring.waiting.load(Ordering::SeqCst)).sum();
        rings + self.appends_waiting.load(Ordering::SeqCst)
    }

    pub(crate) fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    fn wake_for_somebody(&self) {
        self.urgent.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn record(&self, ring: usize, event: Event) {
        let Some(ring) = self.rings.get(ring) else { return };
        let time = event.time.0;
        if self.closed.load(Ordering::Relaxed) {
            return ring.lose(time);
        }
        match ring.push(Item { event, done: None }) {
            Some(before) => {
                let sleeps = self.sleeping.load(Ordering::SeqCst);
                if before + 1 == SYNC_EVENTS
                    || (sleeps && self.sleeping.swap(false, Ordering::SeqCst))
                {
                    self.wake();
                }
            }
            None => ring.lose(time),
        }
    }

    async fn record_synced(&self, ring: usize, event: Event) -> Result<(), LedgerError> {
        let ring = self.rings.get(ring).ok_or(LedgerError::Closed)?;
        if self.closed.load(Ordering::SeqCst) {
            return Err(LedgerError::Closed);
        }
        let (done, wait) = oneshot::channel();
        ring.push(Item { event, done: Some(done) }).ok_or(LedgerError::Busy)?;
        self.wake_for_somebody();
        wait.await.unwrap_or(Err(LedgerError::Closed))
    }

    pub(crate) async fn append(&self, events: Vec<Event>) -> Result<(), LedgerError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(LedgerError::Closed);
        }
        let (done, wait) = oneshot::channel();
        {
            let mut appends = self.appends();
            if appends.len() >= APPENDS {
                return Err(LedgerError::Busy);
            }
            appends.push_back(Append { events, done });
            self.appends_waiting.store(appends.len(), Ordering::SeqCst);
        }
        self.wake_for_somebody();
        wait.await.unwrap_or(Err(LedgerError::Closed))
    }

    pub(crate) fn take_append(&self) -> Option<Append> {
        if self.appends_waiting.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let mut appends = self.appends();
        let append = appends.pop_front();
        self.appends_waiting.store(appends.len(), Ordering::SeqCst);
        append
    }

    fn appends(&self) -> MutexGuard<'_, VecDeque<Append>> {
        self.appends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records the events of one shard.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    ring: usize,
}

impl Recorder {
    pub(crate) fn new(shared: Arc<Shared>, ring: usize) -> Self {
        Self { shared, ring }
    }

    /// Records an event; never waits. It is durable within milliseconds. Where the ring is full or the
    /// ledger is closed it is counted as lost, and a gap record will say so.
    pub fn record(&self, event: Event) {
        self.shared.record(self.ring, event);
    }

    /// Records an event and resolves once it is durable: for strict routes and streams, before they act. It
    /// is never folded, and is charged to the reserve.
    ///
    /// # Errors
    /// [`LedgerError::Busy`] when the ring is full, [`LedgerError::Full`] when disk or reserve are,
    /// [`LedgerError::Closed`] or the disk's error: then the event is *not* in the ledger, and what it would
    /// have allowed must not happen.
    pub async fn record_synced(&self, event: Event) -> Result<(), LedgerError> {
        self.shared.record_synced(self.ring, event).await
    }
}

/// How many rows, bytes and calls there were since the ledger was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metrics {
    /// Events given to a batch, folded records and gap records included.
    pub appended: u64,
    /// Of these durable.
    pub synced: u64,
    /// Events that could not be recorded; gap records count them.
    pub lost: u64,
    /// Denials that went into counted records.
    pub folded: u64,
    /// Bytes written to segments.
    pub bytes: u64,
    /// Syncs of segments.
    pub syncs: u64,
    /// Commits that failed.
    pub failures: u64,
    /// Events that wait in rings now.
    pub waiting: u64,
}

impl Shared {
    pub(crate) fn metrics(&self) -> Metrics {
        let read = |it: &AtomicU64| it.load(Ordering::Relaxed);
        let Counts { appended, synced, lost, folded, bytes, syncs, failures } = &self.counts;
        Metrics {
            appended: read(appended),
            synced: read(synced),
            lost: read(lost),
            folded: read(folded),
            bytes: read(bytes),
            syncs: read(syncs),
            failures: read(failures),
            waiting: self.waiting() as u64,
        }
    }
}
