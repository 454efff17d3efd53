//! Finds the end of a ledger, and repairs what a crash may leave behind.
//!
//! A crash leaves at most a torn frame at the very end, because each frame is synced before the next is
//! written. It is cut off. Anything else that does not fit is damage: it is reported, and nothing is changed.

use crate::account::{Account, Untrue};
use crate::columns::ColumnsReader;
use crate::disk::Disk;
use crate::error::LedgerError;
use crate::frame::{self, FrameKind, HEADER, Header, State};
use crate::layout;
use crate::leaf::LeafEncoder;
use crate::log::Found;
use crate::note::{self, TreeHead, VerifierKey};
use crate::row::Row;
use crate::tree::{Tile, Tree};
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
    let size = recovered.found.tree.size();
    match head {
        Some(head) if head.size > size => Err(damaged(format!(
            "events {size} to {} were signed for and are missing",
            head.size.saturating_sub(1)
        ))),
        Some(head) if head.size == size && head.root != recovered.found.tree.root() => {
            Err(damaged("the signed root is not that of the events".to_owned()))
        }
        _ => Ok(recovered),
    }
}

impl Found {
    fn nothing() -> Self {
        Self { tree: Tree::default(), account: Account::nothing(), replayed: false }
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
    let (mut offset, mut usage) = (0u64, None);
    while offset < len {
        let bytes = disk.read_range(&path, offset, HEADER)?;
        let Ok(header) = Header::parse(&bytes) else { return Ok(None) };
        let end = offset + header.frame_len() as u64;
        if header.kind == FrameKind::Close && end == len {
            let body = disk.read_range(&path, offset + HEADER as u64, header.body_len as usize)?;
            let state = header.check(&body).and_then(|()| State::decode(&body));
            let fits = |it: &State| it.tree.size() == header.first && it.tree.root() == header.root;
            let state = state.ok().filter(fits).filter(|_| usage == Some(header.usage));
            return Ok(state.map(|State { tree, ids }| {
                let account = Account::new(ids, header.usage, header.times.1);
                Found { tree, account, replayed: false }
            }));
        }
        usage = Some(header.usage);
        offset = end;
    }
    Ok(None)
}

/// Reads the last two segments again: the tiles of both may be missing, the tail of the last torn.
fn replay(disk: &dyn Disk, dir: &Path, segments: &[u64]) -> Result<Recovered, LedgerError> {
    let mut before = None;
    if let [.., first, last] = segments {
        let mut replay = Replay::begin(disk, dir, *first)?;
        replay.run(Some(*last))?;
        before = Some(replay.account);
    }
    let Some(last) = segments.last() else {
        return Ok(Recovered { found: Found::nothing(), cut: None });
    };
    let mut replay = Replay::begin(disk, dir, *last)?;
    if let Some(mut before) = before {
        // What the segment begins with must follow from the one before it.
        before.state(&replay.opened.0, &replay.opened.1).map_err(|what| replay.untrue(0, what))?;
    }
    let bytes = replay.run(None)?;
    let entries = replay.tree.size();
    let cut = Cut { entries, last_ms: replay.last_ms, bytes };
    let found = Found { tree: replay.tree, account: replay.account, replayed: true };
    Ok(Recovered { found, cut: Some(cut) })
}

/// Writes all tiles again that the events from `first`, where a segment begins, to `next` complete: the kernel
/// may have dropped what it was given and still show it.
pub(crate) fn rewrite_tiles(
    disk: &dyn Disk,
    dir: &Path,
    first: u64,
    next: u64,
) -> Result<(), LedgerError> {
    if first >= next {
        return Ok(());
    }
    let mut replay = Replay::begin(disk, dir, first)?;
    replay.always = true;
    replay.frames(Some(next)).map(drop)
}

struct Replay<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    path: PathBuf,
    bytes: Vec<u8>,
    offset: usize,
    reader: ColumnsReader,
    opened: (Header, State),
    tree: Tree,
    account: Account,
    last_ms: i64,
    /// Whether tiles are written that seem to be there.
    always: bool,
}

impl<'a> Replay<'a> {
    fn begin(disk: &'a dyn Disk, dir: &'a Path, first: u64) -> Result<Self, LedgerError> {
        let path = layout::segment(dir, first);
        let bytes = disk.read(&path)?;
        let bad =
            |what: &dyn std::fmt::Display| damaged(format!("{}, byte 0: {what}", path.display()));
        let (header, body) = match frame::frame_at(&bytes, 0) {
            Ok(Some((header, body))) if header.kind == FrameKind::Open => (header, body),
            Ok(_) => return Err(bad(&"it does not begin with its state")),
            Err(error) => return Err(bad(&error)),
        };
        let (schema, state) = frame::parse_open(body).map_err(|error| bad(&error))?;
        let reader = ColumnsReader::new(schema).map_err(|error| bad(&error))?;
        if state.tree.size() != first || state.tree.root() != header.root || header.first != first {
            return Err(bad(&"its state is not that of its place"));
        }
        let (offset, last_ms) = (header.frame_len(), header.times.0);
        let account = Account::new(state.ids.clone(), header.usage, header.times.0);
        let (tree, opened, always) = (state.tree.clone(), (header, state), false);
        Ok(Self { disk, dir, path, bytes, offset, reader, opened, tree, account, last_ms, always })
    }

    /// Takes in all frames; cuts what is torn, and what reaches beyond `next`, where the next segment begins.
    /// Gives how many bytes were cut.
    fn run(&mut self, next: Option<u64>) -> Result<u64, LedgerError> {
        let bytes = self.frames(next)?;
        let rest = bytes.get(self.offset..).unwrap_or_default();
        let close = |(header, _): (Header, &[u8])| header.kind == FrameKind::Close;
        let closed = frame::frame_at(rest, 0).ok().flatten().is_some_and(close);
        if rest.is_empty() || (next.is_some() && closed) {
            return Ok(0);
        }
        self.disk.truncate(&self.path, self.offset as u64)?;
        Ok(rest.len() as u64)
    }

    /// Takes in all frames up to `next`, or to the first that is torn; gives the segment's bytes.
    fn frames(&mut self, next: Option<u64>) -> Result<Vec<u8>, LedgerError> {
        let bytes = std::mem::take(&mut self.bytes);
        while next != Some(self.tree.size()) {
            match frame::frame_at(&bytes, self.offset) {
                Ok(Some((header, body))) => self.frame(&header, body)?,
                Ok(None) => break,
                Err(error) if next.is_some() || frame::header_after(&bytes, self.offset) => {
                    return Err(self.bad(self.offset, error));
                }
                Err(_) => break,
            }
        }
        if next.is_some_and(|next| next != self.tree.size()) {
            return Err(damaged(format!("{}: events are missing at its end", self.path.display())));
        }
        Ok(bytes)
    }

    fn frame(&mut self, header: &Header, body: &[u8]) -> Result<(), LedgerError> {
        let at = self.offset;
        if header.first != self.tree.size() || header.root != self.tree.root() {
            return Err(self.bad(at, "the frame is not in its place"));
        }
        if header.kind != FrameKind::Batch {
            return Err(self.bad(at, "a frame of another kind than expected"));
        }
        let events = self.reader.read(body, header.count).map_err(|error| self.bad(at, error))?;
        self.account.batch(header, &events).map_err(|what| self.untrue(at, what))?;
        let (mut encoder, mut tiles) = (LeafEncoder::default(), Vec::new());
        for (event, salt) in &events {
            self.tree.push(encoder.hash(&Row::from(event), salt), &mut tiles);
        }
        for tile in tiles {
            self.tile(&tile)?;
        }
        self.offset += header.frame_len();
        self.last_ms = header.times.1;
        Ok(())
    }

    /// Writes a tile that is missing or was not durable.
    fn tile(&self, tile: &Tile) -> Result<(), LedgerError> {
        let path = self.dir.join(tile.path());
        let expect = tile.bytes();
        if self.always || self.disk.read(&path).ok().as_ref() != Some(&expect) {
            if let Some(folder) = path.parent() {
                self.disk.create_folder(folder)?;
            }
            self.disk.create(&path)?.append(&expect)?;
        }
        Ok(())
    }

    fn bad(&self, at: usize, what: impl std::fmt::Display) -> LedgerError {
        damaged(format!("{}, byte {at}: {what}", self.path.display()))
    }

    fn untrue(&self, at: usize, what: Untrue) -> LedgerError {
        self.bad(at, what)
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
