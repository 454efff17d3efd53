//! A shard's ring: two chunks of rows, one that the shard fills and one that the writer reads.
//!
//! Never does: allocate for an event once its chunks have grown; hand an event's own memory to another thread;
//! hold its lock for longer than it takes to copy one event in or to swap the chunks.
//!
//! INVARIANT: what was pushed counts as waiting until the writer says that it has read it.
//! INVARIANT: rows leave in the order in which they came, each with whoever waits for it.

use crate::error::LedgerError;
use crate::gaps::Loss;
use crate::leaf;
use crate::row::{Head, Row, TEXTS};
use base::Event;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Bytes of a chunk at most, about; there are two a ring. A full ring of usual events takes 6 MiB.
const CHUNK_BYTES: usize = 16 * 1024 * 1024;
/// Rows that an emptied chunk keeps room for: those of 5 ms at 200,000 requests a second.
const ROWS_KEPT: usize = 1024;
/// Bytes of text that an emptied chunk keeps room for: 256 for each row.
const TEXT_KEPT: usize = 256 * 1024;

/// Tells whoever waits how it ended.
pub(crate) type Done = oneshot::Sender<Result<(), LedgerError>>;

/// A row in a chunk: its texts are a part of the chunk's.
#[derive(Debug, Clone, Copy)]
struct Slot {
    head: Head,
    /// Where the first of its texts begins.
    start: usize,
    /// How long each is; [`ABSENT`] for none.
    lengths: [u16; TEXTS],
    /// Whether somebody waits for it.
    strict: bool,
}

/// The length of a text that is not there. INVARIANT: more than [`leaf::TEXT_BYTES`].
const ABSENT: u16 = u16::MAX;

/// Rows one after another, and how many of them were read.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    slots: Vec<Slot>,
    texts: String,
    /// Who waits, in the order of the rows.
    done: VecDeque<Done>,
    read: usize,
}

impl Chunk {
    fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot>() + self.texts.len()
    }

    fn push(&mut self, event: &Event, done: Option<Done>) {
        let Row { head, texts } = Row::from(event);
        let start = self.texts.len();
        let mut lengths = [ABSENT; TEXTS];
        for (length, text) in lengths.iter_mut().zip(texts) {
            let Some(text) = text else { continue };
            let text = leaf::cut(text);
            self.texts.push_str(&text);
            *length = u16::try_from(text.len()).unwrap_or(ABSENT);
        }
        let strict = done.is_some();
        self.done.extend(done);
        self.slots.push(Slot { head, start, lengths, strict });
    }

    /// The next row, and who waits for it.
    pub(crate) fn next(&mut self) -> Option<(Row<'_>, Option<Done>)> {
        let slot = self.slots.get(self.read)?;
        self.read += 1;
        let done = if slot.strict { self.done.pop_front() } else { None };
        let mut start = slot.start;
        let mut texts = [None; TEXTS];
        for (text, length) in texts.iter_mut().zip(slot.lengths) {
            if length != ABSENT {
                let end = start + usize::from(length);
                // INVARIANT: there is one, since the chunk's texts lie one behind the other.
                *text = self.texts.get(start..end);
                start = end;
            }
        }
        Some((Row { head: slot.head, texts }, done))
    }

    /// How many rows are to be read.
    fn left(&self) -> usize {
        self.slots.len() - self.read
    }

    fn clear(&mut self) {
        self.slots.clear();
        self.slots.shrink_to(ROWS_KEPT);
        self.texts.clear();
        self.texts.shrink_to(TEXT_KEPT);
        self.done.clear();
        self.read = 0;
    }
}

/// One ring.
#[derive(Debug)]
pub(crate) struct Ring {
    filling: Mutex<Filling>,
    /// Events that wait at most.
    bound: usize,
    lost: AtomicU64,
    lost_first: AtomicI64,
    lost_last: AtomicI64,
}

#[derive(Debug, Default)]
struct Filling {
    chunk: Chunk,
    /// Rows of the writer's chunk that it has not read.
    taken: usize,
}

impl Ring {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            filling: Mutex::default(),
            bound,
            lost: AtomicU64::new(0),
            lost_first: AtomicI64::new(i64::MAX),
            lost_last: AtomicI64::new(i64::MIN),
        }
    }

    /// Copies an event in; gives how many came before it since the writer last looked.
    ///
    /// WHY `closed` is asked for under the lock: once the writer has seen that it is set and has looked here, no
    /// event comes in behind it.
    pub(crate) fn push(
        &self,
        event: &Event,
        done: Option<Done>,
        closed: &AtomicBool,
    ) -> Result<usize, LedgerError> {
        let mut filling = self.filling();
        if closed.load(Ordering::SeqCst) {
            return Err(LedgerError::Closed);
        }
        let before = filling.chunk.slots.len();
        if before + filling.taken >= self.bound || filling.chunk.bytes() >= CHUNK_BYTES {
            return Err(LedgerError::Busy);
        }
        filling.chunk.push(event, done);
        Ok(before)
    }

    /// Gives the rows that came in since the last call, for a chunk that was read.
    pub(crate) fn swap(&self, chunk: &mut Chunk) {
        chunk.clear();
        let mut filling = self.filling();
        std::mem::swap(&mut filling.chunk, chunk);
        filling.taken = chunk.left();
    }

    /// The writer has read of `chunk` what it will read for now.
    pub(crate) fn settle(&self, chunk: &Chunk) {
        self.filling().taken = chunk.left();
    }

    /// How many events wait.
    pub(crate) fn waiting(&self) -> usize {
        let filling = self.filling();
        filling.chunk.slots.len() + filling.taken
    }

    fn filling(&self) -> MutexGuard<'_, Filling> {
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an event that was not pushed.
    pub(crate) fn lose(&self, time: i64) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use base::{EventId, Kind, NodeId, UnixMs, code};

    fn event(n: u8, path: &str) -> Event {
        let mut event =
            Event::new(EventId([n; 16]), UnixMs(n.into()), NodeId(1), Kind::Decision, code::OK);
        event.path = Some(path.into());
        event.issuer = n.is_multiple_of(2).then(|| "ä".into());
        event
    }

    fn all(chunk: &mut Chunk) -> Vec<(Event, bool)> {
        std::iter::from_fn(|| chunk.next().map(|(row, done)| (row.to_event(), done.is_some())))
            .collect()
    }

    #[test]
    fn rows_leave_as_they_came() {
        let (ring, open) = (Ring::new(100), AtomicBool::new(false));
        let mut chunk = Chunk::default();
        for round in 0..3 {
            for n in 0..9 {
                let done = (n % 4 == round).then(|| oneshot::channel().0);
                assert_eq!(ring.push(&event(n, "/a"), done, &open).unwrap(), usize::from(n));
            }
            assert_eq!(ring.waiting(), 9);
            ring.swap(&mut chunk);
            assert_eq!(ring.waiting(), 9, "they are not read yet");
            let rows = all(&mut chunk);
            ring.settle(&chunk);
            assert_eq!(ring.waiting(), 0);
            let expect = (0..9).map(|n| (event(n, "/a"), n % 4 == round));
            assert_eq!(rows, expect.collect::<Vec<_>>());
        }
    }

    #[test]
    fn both_chunks_count_against_the_bound() {
        let (ring, open) = (Ring::new(5), AtomicBool::new(false));
        let mut chunk = Chunk::default();
        let fill = || (0..9).filter(|n| ring.push(&event(*n, "/a"), None, &open).is_ok()).count();
        assert_eq!(fill(), 5);
        ring.swap(&mut chunk);
        assert_eq!(fill(), 0);
        assert!(chunk.next().is_some() && chunk.next().is_some());
        ring.settle(&chunk);
        assert_eq!((fill(), ring.waiting()), (2, 5));
        assert!(matches!(ring.push(&event(1, "/"), None, &open), Err(LedgerError::Busy)));
    }

    #[test]
    fn the_bytes_of_a_chunk_are_bounded_and_given_back() {
        let (ring, open) = (Ring::new(usize::MAX), AtomicBool::new(false));
        let long = "/".repeat(leaf::TEXT_BYTES * 2);
        let taken = (0..10_000).take_while(|_| ring.push(&event(1, &long), None, &open).is_ok());
        let most = CHUNK_BYTES / leaf::TEXT_BYTES;
        assert!((most - most / 10..=most).contains(&taken.count()), "each text is cut");
        let mut chunk = Chunk::default();
        ring.swap(&mut chunk);
        assert!(all(&mut chunk).iter().all(|(event, _)| {
            event
                .path
                .as_deref()
                .is_some_and(|it| it.len() == leaf::TEXT_BYTES && it.ends_with('…'))
        }));
        ring.swap(&mut chunk);
        ring.swap(&mut chunk);
        assert!(chunk.slots.capacity() <= ROWS_KEPT && chunk.texts.capacity() <= TEXT_KEPT);
    }

    #[test]
    fn behind_the_last_look_nothing_comes_in() {
        let ring = Ring::new(5);
        let closed = ring.push(&event(1, "/"), None, &AtomicBool::new(true));
        assert!(matches!(closed, Err(LedgerError::Closed)));
        assert_eq!(ring.waiting(), 0);
    }
}
