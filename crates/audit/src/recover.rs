//! Finds the end of a ledger, and repairs what a crash may leave behind.
//!
//! A crash leaves at most a torn frame at the very end, because each frame is synced before the next is
//! written. It is cut off. Anything else that does not fit is damage: it is reported, and nothing is changed.

use crate::columns::ColumnsReader;
use crate::disk::Disk;
use crate::error::LedgerError;
use crate::frame::{self, FrameKind, HEADER, Header, REMEMBERED_IDS, State, Usage};
use crate::layout;
use crate::leaf::LeafEncoder;
use crate::log::Found;
use crate::note::{self, TreeHead, VerifierKey};
use crate::tree::Tile;
use base::{EventId, Kind};
use std::io;
use std::path::{Path, PathBuf};

/// What is there, and how the last run ended.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) found: Found,
    /// Nothing when the last run ended in order, or there was none.
    pub(crate) cut: Option<Cut>,
}

/// How far a ledger is known good whose node stopped without order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// How many events are there.
    pub(crate) entries: u64,
    /// The time of the last of them; 0 when there is none.
    pub(crate) last_ms: i64,
    /// Bytes that were cut off.
    pub(crate) bytes: u64,
}

/// Finds the end of the ledger in `dir`.
pub(crate) fn recover(
    disk: &dyn Disk,
    dir: &Path,
    keys: &[VerifierKey],
) -> Result<Recovered, LedgerError> {
    remove_temporary(disk, dir)?;
    remove_temporary(disk, &dir.join(layout::SEGMENTS))?;
    let head = tree_head(disk, dir, keys)?;
    let segments = layout::segments(disk, dir)?;
    let recovered = match segments.as_slice() {
        [] => Recovered { found: Found::nothing(), cut: None },
        [.., last] => match closed(disk, dir, *last)? {
            Some(found) => Recovered { found, cut: None },
            None => replay(disk, dir, &segments)?,
        },
    };
    let size = recovered.found.state.tree.size();
    match head {
        Some(head) if head.size > size => Err(damaged(format!(
            "events {size} to {} were signed for and are missing",
            head.size.saturating_sub(1)
        ))),
        Some(head) if head.size == size && head.root != recovered.found.state.tree.root() => {
            Err(damaged("the signed root is not that of the events".to_owned()))
        }
        _ => Ok(recovered),
    }
}

impl Found {
    fn nothing() -> Self {
        let state = State { tree: crate::tree::Tree::default(), ids: Vec::new() };
        Self { state, usage: Usage::default(), tiles: Vec::new() }
    }
}

fn damaged(text: String) -> LedgerError {
    LedgerError::Damaged(text)
}

fn remove_temporary(disk: &dyn Disk, dir: &Path) -> Result<(), LedgerError> {
    for entry in disk.list(dir)? {
        if !entry.folder && entry.name.ends_with(layout::TEMPORARY) {
            disk.remove(&dir.join(entry.name))?;
        }
    }
    Ok(())
}

fn tree_head(
    disk: &dyn Disk,
    dir: &Path,
    keys: &[VerifierKey],
) -> Result<Option<TreeHead>, LedgerError> {
    match disk.read(&dir.join(layout::CHECKPOINT)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
        Ok(bytes) => TreeHead::open(&bytes, keys).map(Some).ok_or_else(|| {
            damaged("the signed tree head is not one that a key of ours signed".into())
        }),
    }
}

/// Looks for a `Close` frame at the end of a segment, walking over headers only.
fn closed(disk: &dyn Disk, dir: &Path, first: u64) -> Result<Option<Found>, LedgerError> {
    let path = layout::segment(dir, first);
    let len = disk.len(&path)?;
    let mut offset = 0u64;
    while offset < len {
        let bytes = disk.read_range(&path, offset, HEADER)?;
        let Ok(header) = Header::parse(&bytes) else { return Ok(None) };
        let end = offset + header.frame_len() as u64;
        if header.kind == FrameKind::Close && end == len {
            let body = disk.read_range(&path, offset + HEADER as u64, header.body_len as usize)?;
            let state = header.check(&body).and_then(|()| State::decode(&body));
            let fits = |it: &State| it.tree.size() == header.first && it.tree.root() == header.root;
            let state = state.ok().filter(fits);
            return Ok(state.map(|state| Found { state, usage: header.usage, tiles: Vec::new() }));
        }
        offset = end;
    }
    Ok(None)
}

/// Reads the last two segments again: the tiles of both may be missing, the tail of the last torn.
fn replay(disk: &dyn Disk, dir: &Path, segments: &[u64]) -> Result<Recovered, LedgerError> {
    let mut tiles = Vec::new();
    if let [.., before, last] = segments {
        let mut replay = Replay::begin(disk, dir, *before)?;
        replay.run(Some(*last))?;
        tiles = replay.tiles;
    }
    let Some(last) = segments.last() else {
        return Ok(Recovered { found: Found::nothing(), cut: None });
    };
    let mut replay = Replay::begin(disk, dir, *last)?;
    let bytes = replay.run(None)?;
    let entries = replay.state.tree.size();
    let cut = Cut { entries, last_ms: replay.last_ms, bytes };
    tiles.append(&mut replay.tiles);
    let found = Found { state: replay.state, usage: replay.usage, tiles };
    Ok(Recovered { found, cut: Some(cut) })
}

struct Replay<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    path: PathBuf,
    bytes: Vec<u8>,
    offset: usize,
    reader: ColumnsReader,
    state: State,
    usage: Usage,
    last_ms: i64,
    tiles: Vec<PathBuf>,
}

impl<'a> Replay<'a> {
    fn begin(disk: &'a dyn Disk, dir: &'a Path, first: u64) -> Result<Self, LedgerError> {
        let path = layout::segment(dir, first);
        let bytes = disk.read(&path)?;
        let bad = |what: &dyn std::fmt::Display| damaged(format!("segment {first}: {what}"));
        let (header, body) = match frame::frame_at(&bytes, 0) {
            Ok(Some((header, body))) if header.kind == FrameKind::Open => (header, body),
            Ok(_) => return Err(bad(&"it does not begin with its state")),
            Err(error) => return Err(bad(&error)),
        };
        let (schema, state) = frame::parse_open(body).map_err(|error| bad(&error))?;
        let reader = ColumnsReader::new(schema).map_err(|error| bad(&error))?;
        if state.tree.size() != first || state.tree.root() != header.root {
            return Err(bad(&"its state is not that of its place"));
        }
        let (offset, usage, last_ms) = (header.frame_len(), header.usage, header.times.0);
        let tiles = Vec::new();
        Ok(Self { disk, dir, path, bytes, offset, reader, state, usage, last_ms, tiles })
    }

    /// Takes in all frames; cuts what is torn, and what reaches beyond `next`, where the next segment begins.
    /// Gives how many bytes were cut.
    fn run(&mut self, next: Option<u64>) -> Result<u64, LedgerError> {
        let bytes = std::mem::take(&mut self.bytes);
        while next != Some(self.state.tree.size()) {
            match frame::frame_at(&bytes, self.offset) {
                Ok(Some((header, body))) => self.frame(&header, body)?,
                Ok(None) => break,
                Err(error) if next.is_some() || frame::header_after(&bytes, self.offset) => {
                    let at = self.offset;
                    return Err(damaged(format!("{}, byte {at}: {error}", self.path.display())));
                }
                Err(_) => break,
            }
        }
        if next.is_some_and(|next| next != self.state.tree.size()) {
            return Err(damaged(format!("{}: events are missing at its end", self.path.display())));
        }
        let rest = bytes.get(self.offset..).unwrap_or_default();
        let close = |(header, _): (Header, &[u8])| header.kind == FrameKind::Close;
        let closed = frame::frame_at(rest, 0).ok().flatten().is_some_and(close);
        if rest.is_empty() || (next.is_some() && closed) {
            return Ok(0);
        }
        self.disk.truncate(&self.path, self.offset as u64)?;
        Ok(rest.len() as u64)
    }

    fn frame(&mut self, header: &Header, body: &[u8]) -> Result<(), LedgerError> {
        let at = self.offset;
        let bad = |what: &dyn std::fmt::Display| damaged(format!("byte {at} of a segment: {what}"));
        if header.first != self.state.tree.size() || header.root != self.state.tree.root() {
            return Err(bad(&"the frame is not in its place"));
        }
        if header.kind != FrameKind::Batch {
            return Err(bad(&"a frame of another kind than expected"));
        }
        let events = self.reader.read(body, header.count).map_err(|error| bad(&error))?;
        let (mut encoder, mut tiles) = (LeafEncoder::default(), Vec::new());
        for (event, salt) in &events {
            self.state.tree.push(encoder.hash(event, salt), &mut tiles);
            if event.kind == Kind::Admin {
                remember(&mut self.state.ids, event.id);
            }
        }
        for tile in tiles {
            self.tile(&tile)?;
        }
        self.offset += header.frame_len();
        self.usage = header.usage;
        self.last_ms = header.times.1;
        Ok(())
    }

    /// Writes a tile that is missing or was not durable.
    fn tile(&mut self, tile: &Tile) -> Result<(), LedgerError> {
        let path = self.dir.join(tile.path());
        let expect = tile.bytes();
        if self.disk.read(&path).ok().as_ref() != Some(&expect) {
            if let Some(folder) = path.parent() {
                self.disk.create_folder(folder)?;
            }
            self.disk.create(&path)?.append(&expect)?;
        }
        self.tiles.push(path);
        Ok(())
    }
}

fn remember(ids: &mut Vec<EventId>, id: EventId) {
    ids.push(id);
    if ids.len() > REMEMBERED_IDS {
        ids.remove(0);
    }
}

/// Reads the file of keys, and adds ours when it is new.
pub(crate) fn keys(
    disk: &dyn Disk,
    dir: &Path,
    own: &VerifierKey,
) -> Result<Vec<VerifierKey>, LedgerError> {
    let path = dir.join(layout::KEYS);
    let mut keys = match disk.read(&path) {
        Ok(bytes) => note::read_keys(&bytes)
            .ok_or_else(|| damaged("the file of public keys is malformed".to_owned()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    if keys.last() != Some(own) {
        keys.retain(|key| key != own);
        keys.push(own.clone());
        layout::replace(disk, dir, &path, note::write_keys(&keys).as_bytes())?;
        disk.sync_folder(dir)?;
    }
    Ok(keys)
}
