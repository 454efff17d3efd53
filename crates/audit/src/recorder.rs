//! The way into the ledger: one bounded ring a shard.
//!
//! Never does: wait. What does not fit is counted, and the writer turns the count into a gap record.
//!
//! INVARIANT: the writer sleeps only when it has seen that nothing waits after it said that it would sleep. Both
//! look at a ring under its lock, so whoever pushes behind that look sees that the writer sleeps, and wakes it.

use crate::error::LedgerError;
use crate::ring::{Done, Ring};
use base::Event;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use tokio::sync::oneshot;

/// Events that wait before the writer is woken ahead of its time (design §7: a sync every 512 events).
pub(crate) const SYNC_EVENTS: usize = 512;
/// Administrative appends that wait at once; there is one drainer, and a few other callers.
const APPENDS: usize = 64;

/// Administrative events on their way, all or none.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) events: Vec<Event>,
    pub(crate) done: Done,
}

/// What the recorders, the ledger's handle and the writer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) rings: Vec<Ring>,
    appends: Mutex<VecDeque<Append>>,
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
        self.rings.iter().map(Ring::waiting).sum::<usize>() + self.appends_waiting()
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

    fn record(&self, ring: usize, event: &Event) {
        let Some(ring) = self.rings.get(ring) else { return };
        match ring.push(event, None, &self.closed) {
            Ok(before) => {
                let sleeps = self.sleeping.load(Ordering::SeqCst);
                if before + 1 == SYNC_EVENTS
                    || (sleeps && self.sleeping.swap(false, Ordering::SeqCst))
                {
                    self.wake();
                }
            }
            Err(_) => ring.lose(event.time.0),
        }
    }

    fn push_synced(
        &self,
        ring: usize,
        event: &Event,
    ) -> Result<oneshot::Receiver<Result<(), LedgerError>>, LedgerError> {
        let ring = self.rings.get(ring).ok_or(LedgerError::Closed)?;
        let (done, wait) = oneshot::channel();
        ring.push(event, Some(done), &self.closed)?;
        self.wake_for_somebody();
        Ok(wait)
    }

    pub(crate) async fn append(&self, events: Vec<Event>) -> Result<(), LedgerError> {
        let (done, wait) = oneshot::channel();
        {
            let mut appends = self.appends();
            // Under the lock, as in a ring: behind the writer's last look nothing comes in.
            if self.closed.load(Ordering::SeqCst) {
                return Err(LedgerError::Closed);
            }
            if appends.len() >= APPENDS {
                return Err(LedgerError::Busy);
            }
            appends.push_back(Append { events, done });
        }
        self.wake_for_somebody();
        wait.await.unwrap_or(Err(LedgerError::Closed))
    }

    pub(crate) fn appends_waiting(&self) -> usize {
        self.appends().len()
    }

    pub(crate) fn take_append(&self) -> Option<Append> {
        self.appends().pop_front()
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
    pub fn record(&self, event: &Event) {
        self.shared.record(self.ring, event);
    }

    /// Records an event and resolves once it is durable: for strict routes and streams, before they act. It
    /// is never folded, and is charged to the reserve.
    ///
    /// # Errors
    /// [`LedgerError::Busy`] when the ring is full, [`LedgerError::Full`] when disk or reserve are,
    /// [`LedgerError::Closed`] or the disk's error: then the event is *not* in the ledger, and what it would
    /// have allowed must not happen.
    pub async fn record_synced(&self, event: &Event) -> Result<(), LedgerError> {
        let wait = self.shared.push_synced(self.ring, event)?;
        wait.await.unwrap_or(Err(LedgerError::Closed))
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
