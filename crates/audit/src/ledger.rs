//! The ledger's handle: opens, appends administrative events, closes.

use crate::batch::Batch;
use crate::disk::{Disk, Guard, RealDisk};
use crate::error::LedgerError;
use crate::fold::Folder;
use crate::gaps::{self, Gaps, Loss};
use crate::layout;
use crate::log::{Log, Place};
use crate::note::{Signer, VerifierKey};
use crate::recorder::{Metrics, Recorder, Shared};
use crate::recover::{self, Cut, Recovered};
use crate::ring::Chunk;
use crate::writer::{Marks, Writer};
use base::{Clock, Event, NodeId, Secret, limits};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Bytes on disk that each class of events may take; about, since shared bytes are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// What was let through on normal routes, and errors. Default 8 GiB.
    pub normal_bytes: u64,
    /// Denials: a flood of them must not displace anything else. Default 2 GiB.
    pub denial_bytes: u64,
    /// Strict and administrative records, completions, gap records. Default 2 GiB.
    pub reserve_bytes: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { normal_bytes: 8 << 30, denial_bytes: 2 << 30, reserve_bytes: 2 << 30 }
    }
}

/// What a ledger needs.
#[derive(Debug)]
pub struct LedgerOptions {
    /// The ledger's own folder, `DIR/ledger`. Made when it is not there.
    pub dir: PathBuf,
    /// Whose ledger this is.
    pub node: NodeId,
    /// The seed of the Ed25519 key that signs tree heads and gap records.
    pub seed: Secret<[u8; 32]>,
    /// The disk's quotas.
    pub quotas: Quotas,
    /// Bytes after which a segment ends. Default 64 MiB.
    pub segment_bytes: u64,
    /// Events that may wait in one shard's ring. Default [`limits::AUDIT_RING`].
    pub ring: usize,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The disk. Default the operating system's.
    pub disk: Arc<dyn Disk>,
}

impl LedgerOptions {
    /// Options with the defaults.
    pub fn new(dir: PathBuf, node: NodeId, seed: Secret<[u8; 32]>, clock: Arc<dyn Clock>) -> Self {
        Self {
            dir,
            node,
            seed,
            quotas: Quotas::default(),
            segment_bytes: 64 * 1024 * 1024,
            ring: limits::AUDIT_RING,
            clock,
            disk: Arc::new(RealDisk),
        }
    }
}

/// An open ledger. There is one a node; dropping it closes it.
#[derive(Debug)]
pub struct Ledger {
    shared: Arc<Shared>,
    own: Recorder,
    key: VerifierKey,
    cut: Option<Cut>,
    writer: Mutex<Option<JoinHandle<Result<(), LedgerError>>>>,
    _lock: Box<dyn Guard>,
}

impl Ledger {
    /// Opens the ledger, or begins one, and gives a recorder for each of `shards` shards. Where the last run
    /// did not end in order, the torn tail is cut off at a record's boundary, and a `ledger.cut` record that
    /// says how far the ledger is known good is durable before this returns.
    ///
    /// # Errors
    /// [`LedgerError::Locked`], [`LedgerError::Damaged`] when more than a torn tail is wrong,
    /// [`LedgerError::Key`], or the disk's error.
    pub fn open(
        options: LedgerOptions,
        shards: usize,
    ) -> Result<(Self, Vec<Recorder>), LedgerError> {
        let LedgerOptions { dir, node, seed, quotas, segment_bytes, ring, clock, disk } = options;
        let signer = Signer::new(node, &seed)?;
        let key = signer.key().clone();
        disk.create_folder(&dir.join(layout::SEGMENTS))?;
        let lock = disk.lock(&dir.join(layout::LOCK)).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => LedgerError::Locked(dir.clone()),
            _ => error.into(),
        })?;
        let keys = recover::keys(disk.as_ref(), &dir, &key)?;
        let Recovered { found, cut } = recover::recover(disk.as_ref(), &dir, &keys)?;
        let place = Place { dir, disk, clock: Arc::clone(&clock), signer, segment_bytes };
        let mut log = Log::start(place, found)?;
        let mut batch = Batch::new()?;
        if let Some(cut) = &cut {
            let record = gaps::cut_record(cut, node, clock.now(), log.signer())?;
            batch.push_event(record, crate::batch::Class::Reserve)?;
            log.commit(&mut batch)?;
        }
        // One ring more: what does not come from a shard.
        let shared = Arc::new(Shared::new(shards + 1, ring));
        let writer = Writer {
            shared: Arc::clone(&shared),
            folder: Folder::at(clock.now()),
            clock,
            node,
            quotas,
            log,
            batch,
            gaps: Gaps::new(),
            marks: Marks::default(),
            waiting: Vec::new(),
            unwatched: Loss::NONE,
            first_ring: 0,
            taken: (0..=shards).map(|_| Chunk::default()).collect(),
        };
        let thread = thread::Builder::new().name("ledger".to_owned()).spawn(|| writer.run())?;
        let _first = shared.writer.set(thread.thread().clone());
        // Its first sleep may have begun before it could be woken by name.
        shared.wake();
        let recorders = (0..shards).map(|ring| Recorder::new(Arc::clone(&shared), ring)).collect();
        let own = Recorder::new(Arc::clone(&shared), shards);
        let writer = Mutex::new(Some(thread));
        Ok((Self { shared, own, key, cut, writer, _lock: lock }, recorders))
    }

    /// Records an event that comes from no shard: start, stop, reload. Never waits.
    pub fn record(&self, event: &Event) {
        self.own.record(event);
    }

    /// Appends administrative events (of the outbox, at most [`APPEND_EVENTS`](crate::APPEND_EVENTS)) and
    /// resolves once they are durable. An event whose id is among the latest administrative ones is not
    /// appended again, so after an error or a crash the same events may be handed in once more. They are
    /// charged to the reserve.
    ///
    /// # Errors
    /// [`LedgerError::TooMany`], [`LedgerError::Busy`], [`LedgerError::Full`], [`LedgerError::Closed`], or the
    /// disk's error: then hand them in again later.
    pub async fn append_synced(&self, events: Vec<Event>) -> Result<(), LedgerError> {
        if events.len() > crate::frame::APPEND_EVENTS {
            return Err(LedgerError::TooMany(crate::frame::APPEND_EVENTS));
        }
        self.shared.append(events).await
    }

    /// What happened since it was opened.
    pub fn metrics(&self) -> Metrics {
        self.shared.metrics()
    }

    /// The public key that tree heads and gap records are signed with. Keep it elsewhere too: whoever can
    /// write to the ledger's folder could put another in its place.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Whether the run before this one ended without order; then how many events there were.
    pub fn cut(&self) -> Option<u64> {
        self.cut.map(|cut| cut.entries)
    }

    /// Ends in order: what waits is written, the tree head is signed, the log is marked as closed. Call it
    /// after the last use of the recorders; what they are given later is not recorded. Blocks.
    ///
    /// # Errors
    /// When not everything could be made durable. The next start then records that the run was cut.
    pub fn close(&self) -> Result<(), LedgerError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return Ok(()) };
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.wake();
        writer.join().map_err(|_| LedgerError::Closed)?
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        drop(self.close());
    }
}
