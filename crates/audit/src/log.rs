//! The log on disk: the segment that is written, the tree, the tiles, the tree head.
//!
//! Never does: decide what is recorded. It is given batches and makes them durable, whole or not at all.
//!
//! INVARIANT: the tree holds exactly what is synced. A batch enters it after its frame's sync succeeded.
//! INVARIANT: when a segment is made, the tiles of all segments but the two latest are durable; those of the
//! two latest are derived again after a crash.

use crate::batch::Batch;
use crate::disk::{Disk, File};
use crate::error::LedgerError;
use crate::frame::{self, FrameKind, HEADER, Header, REMEMBERED_IDS, State, Usage};
use crate::layout;
use crate::note::{Signer, TreeHead};
use crate::tree::{Tile, Tree};
use base::{Clock, EventId, UnixMs};
use std::collections::{HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
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
    ids: Remembered,
    usage: Usage,
    segment: Option<Segment>,
    /// Tiles of the segment before, not yet synced.
    older_tiles: Vec<PathBuf>,
    /// Tiles that could not be written yet.
    unwritten: Vec<Tile>,
    /// Partial tiles of the last tree head.
    partials: Vec<PathBuf>,
    folder: PathBuf,
    /// The size of the last signed tree head.
    signed: Option<u64>,
}

#[derive(Debug)]
struct Segment {
    file: Box<dyn File>,
    len: u64,
    began: UnixMs,
    tiles: Vec<PathBuf>,
}

/// What recovery found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) state: State,
    pub(crate) usage: Usage,
    pub(crate) tiles: Vec<PathBuf>,
}

impl Log {
    /// Goes on where `found` ends, in a new segment.
    pub(crate) fn start(place: Place, found: Found) -> Result<Self, LedgerError> {
        let Found { state, usage, tiles } = found;
        let mut log = Self {
            place,
            tree: state.tree,
            ids: Remembered::new(state.ids),
            usage,
            segment: None,
            older_tiles: tiles,
            unwritten: Vec::new(),
            partials: Vec::new(),
            folder: PathBuf::new(),
            signed: None,
        };
        log.begin_segment()?;
        Ok(log)
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.place.signer
    }

    /// Whether an administrative event with this id is among the latest.
    pub(crate) fn knows(&self, id: EventId) -> bool {
        self.ids.set.contains(&id)
    }

    /// Whether the last signed tree head is behind.
    pub(crate) fn unsigned(&self) -> bool {
        self.signed != Some(self.tree.size()) || !self.unwritten.is_empty()
    }

    /// Makes a batch durable and empties it; gives how many bytes were written. On an error nothing of it is
    /// in the log.
    pub(crate) fn commit(&mut self, batch: &mut Batch) -> Result<u64, LedgerError> {
        let result = self.append(batch);
        if result.is_ok() {
            self.usage = batch.usage_after(self.usage);
            batch.admin_ids().iter().for_each(|id| self.ids.remember(*id));
            let mut tiles = std::mem::take(&mut self.unwritten);
            batch.leaves().iter().for_each(|leaf| self.tree.push(*leaf, &mut tiles));
            self.write_tiles(tiles);
        }
        batch.clear();
        result
    }

    fn append(&mut self, batch: &mut Batch) -> Result<u64, LedgerError> {
        self.roll_if_due()?;
        let header = batch.header(&self.tree, self.usage);
        let frame = batch.frame(header)?;
        let Some(segment) = &mut self.segment else { return Err(LedgerError::Closed) };
        if let Err(error) = segment.file.append(frame) {
            // What was written of the frame must go; where even that fails, so must the file.
            if segment.file.truncate(segment.len).is_err() {
                self.abandon_segment();
            }
            return Err(error.into());
        }
        if let Err(error) = segment.file.sync() {
            // After a failed sync the kernel may have dropped what was written and may say otherwise the
            // next time: this file is never written again.
            drop(segment.file.truncate(segment.len));
            self.abandon_segment();
            return Err(error.into());
        }
        segment.len += frame.len() as u64;
        Ok(frame.len() as u64)
    }

    fn abandon_segment(&mut self) {
        if let Some(segment) = self.segment.take() {
            self.older_tiles.extend(segment.tiles);
        }
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
        self.sync_tiles()?;
        if let Some(old) = self.segment.take() {
            self.older_tiles = old.tiles;
        }
        let now = self.place.clock.now();
        let mut bytes = vec![0; HEADER];
        let schema = crate::columns::Columns::new().map_err(crate::batch::encoding)?;
        frame::open_body(schema.schema_message(), &self.state(), &mut bytes);
        let header = Header::new(FrameKind::Open, &self.tree, self.usage, (now.0, now.0));
        header.seal(&mut bytes).map_err(crate::batch::encoding)?;
        let path = layout::segment(&self.place.dir, self.tree.size());
        let temporary = path.with_extension("seg.tmp");
        let mut file = disk.create(&temporary)?;
        file.append(&bytes)?;
        file.sync()?;
        disk.rename(&temporary, &path)?;
        disk.sync_folder(&self.place.dir.join(layout::SEGMENTS))?;
        let len = bytes.len() as u64;
        self.segment = Some(Segment { file, len, began: now, tiles: Vec::new() });
        Ok(())
    }

    fn state(&self) -> State {
        State { tree: self.tree.clone(), ids: self.ids.order.iter().copied().collect() }
    }

    /// Writes tiles without syncing them. What fails is tried again after the next batch.
    fn write_tiles(&mut self, tiles: Vec<Tile>) {
        for tile in tiles {
            let path = self.place.dir.join(tile.path());
            let written = self
                .folder_of(&path)
                .and_then(|()| self.place.disk.create(&path)?.append(&tile.bytes()));
            match (written, &mut self.segment) {
                (Ok(()), Some(segment)) => segment.tiles.push(path),
                (Ok(()), None) => self.older_tiles.push(path),
                (Err(_), _) => self.unwritten.push(tile),
            }
        }
    }

    fn folder_of(&mut self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(path);
        if folder != self.folder {
            self.place.disk.create_folder(folder)?;
            self.folder = folder.to_owned();
        }
        Ok(())
    }

    /// Makes the tiles of the segment before durable.
    fn sync_tiles(&mut self) -> Result<(), LedgerError> {
        let mut folders = HashSet::new();
        for path in &self.older_tiles {
            match self.place.disk.sync_file(path) {
                // Somebody removed it; `verify` says so, and it must not stop the log.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
                Ok(()) => folders.extend(path.parent()),
            }
        }
        for folder in folders {
            self.place.disk.sync_folder(folder)?;
        }
        self.older_tiles.clear();
        Ok(())
    }

    /// Signs and writes the tree head, with the tiles that are not full.
    pub(crate) fn sign(&mut self) -> Result<(), LedgerError> {
        let unwritten = std::mem::take(&mut self.unwritten);
        self.write_tiles(unwritten);
        if !self.unwritten.is_empty() {
            return Err(LedgerError::Full);
        }
        let Place { dir, disk, .. } = &self.place;
        let (dir, disk) = (dir.clone(), Arc::clone(disk));
        let mut partials = Vec::new();
        for tile in self.tree.partial_tiles() {
            let path = dir.join(tile.path());
            if !self.partials.contains(&path) {
                self.folder_of(&path)?;
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
        if let Some(segment) = &mut self.segment {
            self.older_tiles.append(&mut segment.tiles);
        }
        self.sync_tiles()?;
        let now = self.place.clock.now();
        let mut bytes = vec![0; HEADER];
        self.state().encode(&mut bytes);
        let header = Header::new(FrameKind::Close, &self.tree, self.usage, (now.0, now.0));
        header.seal(&mut bytes).map_err(crate::batch::encoding)?;
        let Some(mut segment) = self.segment.take() else { return Err(LedgerError::Closed) };
        segment.file.append(&bytes)?;
        segment.file.sync()?;
        Ok(())
    }
}

/// The latest ids, bounded.
#[derive(Debug)]
struct Remembered {
    order: VecDeque<EventId>,
    set: HashSet<EventId>,
}

impl Remembered {
    fn new(ids: Vec<EventId>) -> Self {
        Self { set: ids.iter().copied().collect(), order: ids.into() }
    }

    fn remember(&mut self, id: EventId) {
        if self.set.insert(id) {
            self.order.push_back(id);
        }
        while self.order.len() > REMEMBERED_IDS {
            if let Some(oldest) = self.order.pop_front() {
                self.set.remove(&oldest);
            }
        }
    }
}
