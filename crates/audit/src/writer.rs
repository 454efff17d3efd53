//! The one thread that writes: takes events from the rings, folds, keeps the quotas, commits.
//!
//! INVARIANT: each event that was taken ends in a durable batch, in a folded record, in a count that a gap
//! record will tell, or in an error to whoever waits for it.

use crate::batch::{Batch, Class};
use crate::error::LedgerError;
use crate::fold::Folder;
use crate::frame::Usage;
use crate::gaps::{Gaps, Loss, Reason};
use crate::leaf;
use crate::ledger::Quotas;
use crate::log::Log;
use crate::recorder::{Append, SYNC_EVENTS, Shared};
use crate::ring::{Chunk, Done, Ring};
use crate::row::{Head, Row};
use base::{Clock, Event, Monotonic, NodeId, limits};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Between two syncs nobody waits for (design §7).
const SYNC_EVERY: Duration = Duration::from_millis(5);
/// Events of one commit at most: two full rings, so that the slower a disk syncs the more goes into a sync.
const BATCH_EVENTS: usize = 2 * limits::AUDIT_RING;
/// Bytes of one commit at most, about: bounds the writer's memory.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Between two signed tree heads while events come in.
const SIGN_EVERY: Duration = Duration::from_secs(10);
/// After the last event a tree head is signed this much later.
const SIGN_IDLE: Duration = Duration::from_secs(1);
/// Between two gap records, and between two looks at what is folded.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// The longest sleep with nothing to do.
const IDLE: Duration = Duration::from_secs(10);

/// The writer's state.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) node: NodeId,
    pub(crate) quotas: Quotas,
    pub(crate) log: Log,
    pub(crate) batch: Batch,
    pub(crate) folder: Folder,
    pub(crate) gaps: Gaps,
    pub(crate) marks: Marks,
    /// Who waits for the batch.
    pub(crate) waiting: Vec<Done>,
    /// Events of the batch that nobody waits for.
    pub(crate) unwatched: Loss,
    pub(crate) first_ring: usize,
    /// What was taken from each ring.
    pub(crate) taken: Vec<Chunk>,
}

/// When things were last done.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    committed: Monotonic,
    signed: Monotonic,
    told: Monotonic,
}

impl Writer {
    /// Works until the ledger is closed; then ends the log in order.
    pub(crate) fn run(mut self) -> Result<(), LedgerError> {
        loop {
            let stop = self.shared.stop.load(Ordering::SeqCst);
            self.cycle(stop);
            if !stop {
                self.sleep();
            } else if self.shared.waiting() == 0 {
                return self.finish();
            }
        }
    }

    fn finish(&mut self) -> Result<(), LedgerError> {
        // What came in between the last look and `closed`.
        self.cycle(true);
        if self.gaps.any() {
            // Losses that no record tells of: the next start must say that records are missing.
            return Err(LedgerError::Full);
        }
        self.log.close()
    }

    /// Takes what waits and commits it.
    pub(crate) fn cycle(&mut self, last: bool) {
        self.shared.urgent.store(false, Ordering::SeqCst);
        // Looked at first: what was recorded before them is then in the log no later than they are.
        let appends = self.shared.appends_waiting();
        self.drain_rings();
        self.drain_appends(appends);
        let now = self.clock.now();
        for event in self.folder.flush(now, last) {
            self.admit_event(event);
        }
        let told = self.tell(last);
        if self.batch.len() > 0 {
            self.commit(told);
        } else {
            // All that they handed in is in the log already.
            self.waiting.drain(..).for_each(|done| drop(done.send(Ok(()))));
        }
        self.sign_if_due();
    }

    fn drain_rings(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut left = BATCH_EVENTS;
        // Another ring is the first each time, so that none is left behind for long.
        let rings = shared.rings.len().max(1);
        self.first_ring = (self.first_ring + 1) % rings;
        for (at, ring) in shared.rings.iter().enumerate().cycle().skip(self.first_ring).take(rings)
        {
            let mut chunk = self.taken.get_mut(at).map(std::mem::take).unwrap_or_default();
            left = self.drain(ring, &mut chunk, left);
            if let Some(taken) = self.taken.get_mut(at) {
                *taken = chunk;
            }
            if let Some(loss) = ring.take_lost() {
                self.lose(Reason::Ring, loss);
            }
        }
        self.shared.counts.folded.store(self.folder.folded, Ordering::Relaxed);
    }

    /// Reads what is left of `chunk`, then what has come in since; at most `left` rows. Gives how many more may
    /// be read.
    fn drain(&mut self, ring: &Ring, chunk: &mut Chunk, mut left: usize) -> usize {
        let mut looked = false;
        while left > 0 && self.batch.bytes() < BATCH_BYTES {
            let Some((row, done)) = chunk.next() else {
                if std::mem::replace(&mut looked, true) {
                    break;
                }
                ring.swap(chunk);
                continue;
            };
            left -= 1;
            if done.is_some() || self.folder.admit(&row) {
                self.admit(&row, done);
            }
        }
        ring.settle(chunk);
        left
    }

    fn admit_event(&mut self, mut event: Event) {
        leaf::bound(&mut event);
        self.admit(&Row::from(&event), None);
    }

    /// Puts an event into the batch if its quota allows.
    fn admit(&mut self, row: &Row<'_>, done: Option<Done>) {
        let class = Class::of(&row.head, done.is_some());
        let loss = loss_of(&row.head);
        let result = match self.over_quota(class) {
            Some(reason) => Err((LedgerError::Full, reason)),
            None => self.batch.push(row, class).map_err(|error| (error, Reason::Disk)),
        };
        match (result, done) {
            (Ok(()), Some(done)) => self.waiting.push(done),
            (Ok(()), None) => self.unwatched.add(loss),
            (Err((error, _)), Some(done)) => drop(done.send(Err(error))),
            (Err((_, reason)), None) => self.lose(reason, loss),
        }
    }

    fn over_quota(&self, class: Class) -> Option<Reason> {
        let Usage { normal, denial, reserve } = self.batch.usage_after(self.log.usage());
        let Quotas { normal_bytes, denial_bytes, reserve_bytes } = self.quotas;
        match class {
            Class::Normal => (normal >= normal_bytes).then_some(Reason::NormalQuota),
            Class::Denial => (denial >= denial_bytes).then_some(Reason::DenialQuota),
            Class::Reserve => (reserve >= reserve_bytes).then_some(Reason::Reserve),
        }
    }

    fn lose(&mut self, reason: Reason, loss: Loss) {
        self.gaps.add(reason, loss);
        self.shared.counts.lost.fetch_add(loss.count, Ordering::Relaxed);
    }

    fn drain_appends(&mut self, count: usize) {
        for _one in 0..count {
            if self.batch.bytes() >= BATCH_BYTES {
                break;
            }
            let Some(append) = self.shared.take_append() else { break };
            self.append(append);
        }
    }

    /// All of its events or none; those that are in the log already count as done.
    fn append(&mut self, append: Append) {
        let Append { events, done } = append;
        if self.over_quota(Class::Reserve).is_some() {
            drop(done.send(Err(LedgerError::Full)));
            return;
        }
        for event in events {
            let known = self.log.knows(event.id) || self.batch.admin_ids().contains(&event.id);
            if !known && let Err(error) = self.batch.push_event(event, Class::Reserve) {
                // The rest is appended again later; what is in the batch will be recognised then.
                drop(done.send(Err(error)));
                return;
            }
        }
        self.waiting.push(done);
    }

    /// Puts gap records into the batch when it is time. They may exceed the reserve: there is at most one a
    /// second and reason.
    fn tell(&mut self, last: bool) -> bool {
        let now = self.clock.monotonic();
        if !self.gaps.any() || (!last && now.since(self.marks.told) < TELL_EVERY) {
            return false;
        }
        self.marks.told = now;
        let Ok(records) = self.gaps.records(self.node, self.clock.now(), self.log.signer()) else {
            return false;
        };
        let mut all = true;
        for record in records {
            all &= self.batch.push_event(record, Class::Reserve).is_ok();
        }
        all
    }

    fn commit(&mut self, told: bool) {
        let count = self.batch.len() as u64;
        let result = self.log.commit(&mut self.batch);
        self.marks.committed = self.clock.monotonic();
        let counts = &self.shared.counts;
        let add = |to: &AtomicU64, more: u64| to.fetch_add(more, Ordering::Relaxed);
        add(&counts.appended, count);
        add(&counts.syncs, 1);
        let unwatched = std::mem::replace(&mut self.unwatched, Loss::NONE);
        let result = match result {
            Ok(bytes) => {
                add(&counts.synced, count);
                add(&counts.bytes, bytes);
                if told {
                    self.gaps.settle();
                }
                Ok(())
            }
            Err(error) => {
                add(&counts.failures, 1);
                if unwatched.count > 0 {
                    self.lose(Reason::Disk, unwatched);
                }
                Err(error)
            }
        };
        for done in self.waiting.drain(..) {
            drop(done.send(result.clone()));
        }
    }

    fn sign_if_due(&mut self) {
        let now = self.clock.monotonic();
        let idle = now.since(self.marks.committed) >= SIGN_IDLE;
        let due = now.since(self.marks.signed) >= if idle { SIGN_IDLE } else { SIGN_EVERY };
        if due && self.log.unsigned() {
            self.marks.signed = now;
            // Where the disk does not take it, the next one says as much and more.
            drop(self.log.sign());
        }
    }

    fn sleep(&self) {
        let shared = &self.shared;
        let urgent = || shared.urgent.load(Ordering::SeqCst) || shared.stop.load(Ordering::SeqCst);
        if shared.waiting() == 0 {
            shared.sleeping.store(true, Ordering::SeqCst);
            if shared.waiting() == 0 && !urgent() {
                thread::park_timeout(self.nap());
            }
            shared.sleeping.store(false, Ordering::SeqCst);
        }
        let since = self.clock.monotonic().since(self.marks.committed);
        if since < SYNC_EVERY && !urgent() && shared.waiting() < SYNC_EVENTS {
            thread::park_timeout(SYNC_EVERY.saturating_sub(since));
        }
    }

    /// How long nothing will have to be done if no event comes in.
    fn nap(&self) -> Duration {
        if self.gaps.any() || self.folder.any() || self.log.unsigned() { TELL_EVERY } else { IDLE }
    }
}

fn loss_of(event: &Head) -> Loss {
    Loss { count: u64::from(event.count), first: event.time.0, last: event.time.0 }
}
