//! The log on disk: the segment that is written, the tree, the tiles, the tree head.
//!
//! Never does: decide what is recorded. It is given batches and makes them durable, whole or not at all.
//!
//! INVARIANT: the tree holds exactly what is synced. A batch enters it after its frame's sync succeeded.
//! INVARIANT: of all segments but the two latest the tiles are durable; those of the two latest are derived
//! again after a crash.

use crate::account::Account;
use crate::batch::Batch;
use crate::disk::{Disk, File};
use crate::error::LedgerError;
use crate::frame::{self, FrameKind, HEADER, Header, State, Usage};
use crate::layout;
use crate::note::{Signer, TreeHead};
use crate::tiles::Tiles;
use crate::tree::Tree;
use base::{Clock, EventId, UnixMs};
use std::path::PathBuf;
use std::sync::Arc;

/// Milliseconds after which a segment ends whatever its size.
const SEGMENT_MS: i64 = 3_600_000;

/// Where the log lies and what it needs.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) signer: Signer,
    pub(crate) segment_bytes: u64,
}

/// The log.
#[derive(Debug)]
pub(crate) struct Log {
    place: Place,
    tree: Tree,
    account: Account,
    segment: Option<Segment>,
    tiles: Tiles,
    /// Partial tiles of the last tree head.
    partials: Vec<PathBuf>,
    /// The size of the last signed tree head.
    signed: Option<u64>,
}

#[derive(Debug)]
struct Segment {
    file: Box<dyn File>,
    len: u64,
    began: UnixMs,
}

/// What recovery found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) tree: Tree,
    pub(crate) account: Account,
    /// Whether the tiles of the last segments were written again.
    pub(crate) replayed: bool,
}

impl Log {
    /// Goes on where `found` ends, in a new segment.
    pub(crate) fn start(place: Place, found: Found) -> Result<Self, LedgerError> {
        let Found { tree, account, replayed } = found;
        let tiles = Tiles::new(Arc::clone(&place.disk), place.dir.clone(), replayed)?;
        let (segment, partials, signed) = (None, Vec::new(), None);
        let mut log = Self { place, tree, account, segment, tiles, partials, signed };
        log.begin_segment()?;
        Ok(log)
    }

    pub(crate) fn usage(&self) -> Usage {
        self.account.usage
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.place.signer
    }

    /// Whether an administrative event with this id is among the latest.
    pub(crate) fn knows(&self, id: EventId) -> bool {
        self.account.ids.contains(&id)
    }

    /// Whether the last signed tree head is behind.
    pub(crate) fn unsigned(&self) -> bool {
        self.signed != Some(self.tree.size())
    }

    /// Makes a batch durable and empties it; gives how many bytes were written. On an error nothing of it is
    /// in the log.
    pub(crate) fn commit(&mut self, batch: &mut Batch) -> Result<u64, LedgerError> {
        let result = self.append(batch);
        if result.is_ok() {
            let account = &mut self.account;
            account.usage = batch.usage_after(account.usage);
            account.latest_ms = account.latest_ms.max(batch.latest_ms());
            batch.admin_ids().iter().for_each(|id| account.ids.remember(*id));
            let mut tiles = Vec::new();
            batch.leaves().iter().for_each(|leaf| self.tree.push(*leaf, &mut tiles));
            self.tiles.add(tiles);
        }
        batch.clear();
        result
    }

    fn append(&mut self, batch: &mut Batch) -> Result<u64, LedgerError> {
        self.roll_if_due()?;
        let header = batch.header(&self.tree, self.account.usage);
        let frame = batch.frame(header)?;
        let Some(segment) = &mut self.segment else { return Err(LedgerError::Closed) };
        if let Err(error) = segment.file.append(frame) {
            // What was written of the frame must go; where even that fails, so must the file.
            if segment.file.truncate(segment.len).is_err() {
                self.segment = None;
            }
            return Err(error.into());
        }
        if let Err(error) = segment.file.sync() {
            // After a failed sync the kernel may have dropped what was written and may say otherwise the
            // next time: this file is never written again.
            drop(segment.file.truncate(segment.len));
            self.segment = None;
            return Err(error.into());
        }
        segment.len += frame.len() as u64;
        Ok(frame.len() as u64)
    }

    fn roll_if_due(&mut self) -> Result<(), LedgerError> {
        let now = self.place.clock.now().0;
        let due = self.segment.as_ref().is_none_or(|it| {
            let hour = |ms: i64| ms.div_euclid(SEGMENT_MS);
            it.len >= self.place.segment_bytes || hour(it.began.0) != hour(now)
        });
        if due { self.begin_segment() } else { Ok(()) }
    }

    /// Makes the next segment: written aside, synced, then given its name, so that no segment is ever without
    /// its beginning.
    fn begin_segment(&mut self) -> Result<(), LedgerError> {
        let disk = Arc::clone(&self.place.disk);
        let first = self.tree.size();
        self.tiles.write()?;
        self.tiles.settle(first)?;
        self.segment = None;
        let began = self.place.clock.now();
        let mut bytes = vec![0; HEADER];
        let schema = crate::message::Columns::new().map_err(crate::batch::encoding)?;
        frame::open_body(schema.schema_message(), &self.state(), &mut bytes);
        let header = self.header(FrameKind::Open, began);
        header.seal(&mut bytes).map_err(crate::batch::encoding)?;
        let path = layout::segment(&self.place.dir, first);
        let temporary = path.with_extension("seg.tmp");
        let mut file = disk.create(&temporary)?;
        file.append(&bytes)?;
        file.sync()?;
        disk.rename(&temporary, &path)?;
        disk.sync_folder(&self.place.dir.join(layout::SEGMENTS))?;
        let len = bytes.len() as u64;
        self.segment = Some(Segment { file, len, began });
        self.tiles.begun(first);
        Ok(())
    }

    /// INVARIANT: the time in it is not before that of any event in front of it, even when the clock was set
    /// back: readers pass over segments by it.
    fn header(&mut self, kind: FrameKind, now: UnixMs) -> Header {
        let time = now.0.max(self.account.latest_ms);
        self.account.latest_ms = time;
        Header::new(kind, &self.tree, self.account.usage, (time, time))
    }

    fn state(&self) -> State {
        State { tree: self.tree.clone(), ids: self.account.ids.to_vec() }
    }

    /// Signs and writes the tree head, with the tiles that are not full.
    pub(crate) fn sign(&mut self) -> Result<(), LedgerError> {
        self.tiles.write()?;
        let Place { dir, disk, .. } = &self.place;
        let (dir, disk) = (dir.clone(), Arc::clone(disk));
        let mut partials = Vec::new();
        for tile in self.tree.partial_tiles() {
            let path = dir.join(tile.path());
            if !self.partials.contains(&path) {
                self.tiles.folder_of(&path)?;
                layout::replace(disk.as_ref(), &dir, &path, &tile.bytes())?;
            }
            partials.push(path);
        }
        let head = TreeHead { size: self.tree.size(), root: self.tree.root() };
        let note = self.place.signer.tree_head(&head);
        layout::replace(disk.as_ref(), &dir, &dir.join(layout::CHECKPOINT), note.as_bytes())?;
        disk.sync_folder(&dir)?;
        for path in std::mem::take(&mut self.partials) {
            if !partials.contains(&path) {
                // One that stays behind is still true: the log only grows.
                drop(disk.remove(&path));
            }
        }
        self.partials = partials;
        self.signed = Some(head.size);
        Ok(())
    }

    /// Ends the log in order: tiles and tree head durable, then a `Close` frame.
    pub(crate) fn close(&mut self) -> Result<(), LedgerError> {
        self.sign()?;
        self.tiles.finish(self.tree.size())?;
        let mut bytes = vec![0; HEADER];
        self.state().encode(&mut bytes);
        let header = self.header(FrameKind::Close, self.place.clock.now());
        header.seal(&mut bytes).map_err(crate::batch::encoding)?;
        let Some(mut segment) = self.segment.take() else { return Err(LedgerError::Closed) };
        segment.file.append(&bytes)?;
        segment.file.sync()?;
        Ok(())
    }
}
