//! Checks a ledger from its files alone, while it is written or not.
//!
//! What is read, and in which order, follows from a writer that may be at work: the signed tree head first,
//! then the names of tiles, then the segments. What was named first is covered by what is read later.
//!
//! Never does: change a file, or trust one. A torn frame at the very end of the last segment is no problem:
//! it is either being written, or the next start will cut it off and record that.

use crate::account::Account;
use crate::columns::ColumnsReader;
use crate::disk::{Disk, RealDisk};
use crate::error::Malformed;
use crate::frame::{self, FrameKind, HEADER, Header};
use crate::layout;
use crate::leaf::LeafEncoder;
use crate::note::{self, TreeHead, VerifierKey};
use crate::row::Row;
use crate::tree::{TILE_WIDTH, Tile, Tree};
use base::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// Problems that are listed; more are only counted.
const PROBLEMS: usize = 100;
/// Levels of folders below `tile/L`: 7 of `xNNN` name 10²⁴ tiles.
const TILE_DEPTH: usize = 10;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the ledger's folder.
    pub file: String,
    /// Where in the file, in bytes, when that is known.
    pub offset: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "{}, byte {offset}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Whether there is no problem.
    pub ok: bool,
    /// How many events there are.
    pub entries: u64,
    /// The root over them, in base64.
    pub root: String,
    /// How many of them the last signed tree head covers.
    pub signed_entries: u64,
    /// The key of the last tree head as it stands in the ledger; compare it with one kept elsewhere.
    pub key: Option<String>,
    /// Whether the node that wrote it stopped in order. Of a ledger that is being written: no.
    pub closed: bool,
    /// Bytes at the end that belong to no whole frame.
    pub torn_bytes: u64,
    /// What is wrong, at most 100 of them.
    pub problems: Vec<Problem>,
}

/// Checks the ledger in the folder `dir` (`DIR/ledger`).
///
/// # Errors
/// When a file cannot be read at all.
pub fn verify(dir: &Path) -> io::Result<VerifyReport> {
    verify_with(&RealDisk, dir, None)
}

/// Checks a ledger on any disk. `pinned`: the key that must have signed the last tree head, kept elsewhere.
///
/// # Errors
/// When a file cannot be read at all.
pub fn verify_with(
    disk: &dyn Disk,
    dir: &Path,
    pinned: Option<&VerifierKey>,
) -> io::Result<VerifyReport> {
    let mut check = Check::new(disk, dir);
    check.keys_and_head(pinned)?;
    check.names()?;
    check.head_here();
    let segments = layout::segments(disk, dir)?;
    for (at, first) in segments.iter().enumerate() {
        check.segment(*first, segments.get(at + 1).copied())?;
    }
    check.end();
    Ok(check.report())
}

struct Check<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    keys: Vec<VerifierKey>,
    head: Option<TreeHead>,
    /// Full tiles that were there at the beginning and are not yet checked, by path.
    tiles: BTreeSet<String>,
    /// Partial tiles, by the size at which they can be checked.
    partials: BTreeMap<u64, Vec<(usize, u64, usize)>>,
    tree: Tree,
    account: Account,
    encoder: LeafEncoder,
    closed: bool,
    torn: u64,
    problems: Vec<Problem>,
    more: usize,
}

impl<'a> Check<'a> {
    fn new(disk: &'a dyn Disk, dir: &'a Path) -> Self {
        Self {
            disk,
            dir,
            keys: Vec::new(),
            head: None,
            tiles: BTreeSet::new(),
            partials: BTreeMap::new(),
            tree: Tree::default(),
            account: Account::nothing(),
            encoder: LeafEncoder::default(),
            closed: false,
            torn: 0,
            problems: Vec::new(),
            more: 0,
        }
    }

    fn problem(&mut self, file: &str, offset: Option<usize>, what: impl ToString) {
        if self.problems.len() >= PROBLEMS {
            self.more += 1;
            return;
        }
        let offset = offset.map(|it| it as u64);
        self.problems.push(Problem { file: file.to_owned(), offset, what: what.to_string() });
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self.disk.read(&self.dir.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn keys_and_head(&mut self, pinned: Option<&VerifierKey>) -> io::Result<()> {
        let head = self.read(layout::CHECKPOINT)?;
        match self.read(layout::KEYS)?.map(|bytes| note::read_keys(&bytes)) {
            Some(Some(keys)) => self.keys = keys,
            Some(None) => {
                self.problem(layout::KEYS, None, "a public key is malformed or was changed")
            }
            None => self.problem(layout::KEYS, None, "there are no public keys"),
        }
        if let Some(pinned) = pinned {
            self.keys.retain(|key| key == pinned);
            if self.keys.is_empty() {
                self.problem(layout::KEYS, None, "the expected key is not among the public keys");
            }
        }
        if let Some(bytes) = head {
            self.head = TreeHead::open(&bytes, &self.keys);
            if self.head.is_none() {
                self.problem(
                    layout::CHECKPOINT,
                    None,
                    "the tree head was not signed by a known key",
                );
            }
        }
        Ok(())
    }

    /// Takes down which tiles there are, and what should not be there.
    fn names(&mut self) -> io::Result<()> {
        for entry in self.disk.list(self.dir)? {
            let folder = [layout::SEGMENTS, layout::TILES].contains(&entry.name.as_str());
            let file =
                [layout::CHECKPOINT, layout::KEYS, layout::LOCK].contains(&entry.name.as_str());
            let temporary = !entry.folder && entry.name.ends_with(layout::TEMPORARY);
            if !(temporary || if entry.folder { folder } else { file }) {
                self.problem(&entry.name, None, "it does not belong to the ledger");
            }
        }
        if self.read(layout::LOCK)?.is_some_and(|bytes| !bytes.is_empty()) {
            self.problem(layout::LOCK, None, "it should be empty");
        }
        for entry in self.list(layout::SEGMENTS)? {
            let segment = !entry.folder && layout::segment_first(&entry.name).is_some();
            if !segment && !entry.name.ends_with(layout::TEMPORARY) {
                let name = format!("{}/{}", layout::SEGMENTS, entry.name);
                self.problem(&name, None, "it does not belong to the ledger");
            }
        }
        self.tile_names(layout::TILES.to_owned(), 0)
    }

    fn list(&self, name: &str) -> io::Result<Vec<crate::disk::Entry>> {
        match self.disk.list(&self.dir.join(name)) {
            // A folder of a partial tile may go while we look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        }
    }

    fn tile_names(&mut self, folder: String, depth: usize) -> io::Result<()> {
        for entry in self.list(&folder)? {
            let name = format!("{folder}/{}", entry.name);
            if entry.folder && depth < TILE_DEPTH {
                self.tile_names(name, depth + 1)?;
                continue;
            }
            match parse_tile(&name) {
                Some((_, _, TILE_WIDTH)) if !entry.folder => drop(self.tiles.insert(name)),
                Some((level, index, width)) if !entry.folder => {
                    let tile = Tile { level, index, hashes: vec![[0; 32]; width] };
                    self.partials
                        .entry(tile.complete_at())
                        .or_default()
                        .push((level, index, width));
                }
                _ => self.problem(&name, None, "it does not belong to the ledger"),
            }
        }
        Ok(())
    }

    fn segment(&mut self, first: u64, next: Option<u64>) -> io::Result<()> {
        let name = format!("{}/{first:020}.seg", layout::SEGMENTS);
        let Some(bytes) = self.read(&name)? else {
            self.problem(&name, None, "it is gone");
            return Ok(());
        };
        let mut reader = None;
        let (mut offset, mut closed) = (0, false);
        loop {
            let (header, body) = match frame::frame_at(&bytes, offset) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                // With a whole header behind it, what is broken is no torn tail: events would be hidden.
                Err(Malformed::Short)
                    if next.is_none() && offset > 0 && !frame::header_after(&bytes, offset) =>
                {
                    self.torn = (bytes.len() - offset) as u64;
                    break;
                }
                Err(error) => {
                    self.problem(&name, Some(offset), error);
                    break;
                }
            };
            if closed {
                self.problem(&name, Some(offset), "there is more behind its end");
                break;
            }
            let place = Place { name: &name, offset };
            let good = match header.kind {
                FrameKind::Open => self.open(&place, &header, body, &mut reader),
                FrameKind::Batch => self.batch(&place, &header, body, reader.as_mut())?,
                FrameKind::Close => self.close(&place, &header, body),
            };
            if !good {
                break;
            }
            closed = header.kind == FrameKind::Close;
            offset += header.frame_len();
        }
        self.closed = closed && next.is_none();
        if next.is_some_and(|next| next != self.tree.size()) {
            let end = self.tree.size();
            self.problem(
                &name,
                Some(offset),
                format!("it ends at event {end}, not where the next begins"),
            );
        }
        Ok(())
    }

    fn in_place(&mut self, place: &Place<'_>, header: &Header) -> bool {
        let fits = header.first == self.tree.size() && header.root == self.tree.root();
        if !fits {
            self.problem(
                place.name,
                Some(place.offset),
                "the frame does not continue the tree before it",
            );
        }
        fits
    }

    fn open(
        &mut self,
        place: &Place<'_>,
        header: &Header,
        body: &[u8],
        reader: &mut Option<ColumnsReader>,
    ) -> bool {
        if place.offset != 0 {
            let what = "a segment's beginning stands in its middle";
            self.problem(place.name, Some(place.offset), what);
            return false;
        }
        if !self.in_place(place, header) {
            return false;
        }
        let parsed = frame::parse_open(body);
        let opened = parsed.and_then(|(schema, state)| Ok((ColumnsReader::new(schema)?, state)));
        match opened {
            Ok((found, state)) if state.tree == self.tree => {
                self.told(place, header, &state);
                *reader = Some(found);
                true
            }
            Ok(_) => {
                self.problem(
                    place.name,
                    Some(place.offset),
                    "its state is not that of the tree before it",
                );
                false
            }
            Err(error) => {
                self.problem(place.name, Some(place.offset), error);
                false
            }
        }
    }

    fn close(&mut self, place: &Place<'_>, header: &Header, body: &[u8]) -> bool {
        let fits = self.in_place(place, header);
        let state = frame::State::decode(body);
        match state {
            Ok(state) if state.tree == self.tree => {
                self.told(place, header, &state);
                fits
            }
            _ => {
                let what = "its state is not that of the tree before it";
                self.problem(place.name, Some(place.offset), what);
                false
            }
        }
    }

    /// What a segment's beginning or end says besides the tree.
    fn told(&mut self, place: &Place<'_>, header: &Header, state: &frame::State) {
        if let Err(what) = self.account.state(header, state) {
            self.problem(place.name, Some(place.offset), what);
        }
    }

    fn batch(
        &mut self,
        place: &Place<'_>,
        header: &Header,
        body: &[u8],
        reader: Option<&mut ColumnsReader>,
    ) -> io::Result<bool> {
        let Some(reader) = reader else {
            self.problem(
                place.name,
                Some(place.offset),
                "the segment does not begin with its state",
            );
            return Ok(false);
        };
        if !self.in_place(place, header) {
            return Ok(false);
        }
        let events = match reader.read(body, header.count) {
            Ok(events) => events,
            Err(error) => {
                self.problem(place.name, Some(place.offset + HEADER), error);
                return Ok(false);
            }
        };
        // The tree does not cover the header, and readers pass over a frame by what stands there.
        if let Err(what) = self.account.batch(header, &events) {
            self.problem(place.name, Some(place.offset), what);
        }
        for (event, salt) in &events {
            if event.kind == Kind::Gap && !note::gap_is_signed(event, &self.keys) {
                let what = format!(
                    "event {}: the gap record is not signed by a known key",
                    self.tree.size()
                );
                self.problem(place.name, Some(place.offset), what);
            }
            let mut tiles = Vec::new();
            let leaf = self.encoder.hash(&Row::from(event), salt);
            self.tree.push(leaf, &mut tiles);
            self.tiles(&tiles)?;
            self.head_here();
        }
        Ok(true)
    }

    /// Compares the tree with the signed head, once it has as many leaves.
    fn head_here(&mut self) {
        if let Some(head) = self.head
            && head.size == self.tree.size()
            && head.root != self.tree.root()
        {
            self.problem(layout::CHECKPOINT, None, "the signed root is not that of the events");
        }
    }

    fn tiles(&mut self, tiles: &[Tile]) -> io::Result<()> {
        let signed = self.head.map_or(0, |head| head.size);
        if let Some(partials) = self.partials.remove(&self.tree.size()) {
            for (level, index, width) in partials {
                // A tile that is full by now gives the hashes; else the edge has exactly these.
                let full = tiles.iter().find(|it| it.level == level && it.index == index);
                let edge = self.tree.edge().get(level);
                let hashes = full.map(|it| &it.hashes).or(edge).cloned().unwrap_or_default();
                let hashes = hashes.into_iter().take(width).collect();
                let tile = Tile { level, index, hashes };
                let found = self.read(&tile.path())?;
                if found.is_some_and(|bytes| bytes != tile.bytes()) {
                    self.problem(&tile.path(), None, "the partial tile is not that of the events");
                }
            }
        }
        for tile in tiles {
            let (path, expect) = (tile.path(), tile.bytes());
            let listed = self.tiles.remove(&path);
            match self.read(&path)? {
                Some(bytes) if bytes == expect => {}
                // Not covered by a tree head yet: it may be on its way to the disk.
                None if !listed && tile.complete_at() > signed => {}
                Some(bytes) if tile.complete_at() > signed && bytes.len() < expect.len() => {}
                Some(_) => self.problem(&path, None, "the tile is not that of the events"),
                None => self.problem(&path, None, "the tile is missing"),
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        let size = self.tree.size();
        if let Some(head) = self.head.filter(|head| head.size > size) {
            let what = format!("it was signed for {} events; there are {size}", head.size);
            self.problem(layout::CHECKPOINT, None, what);
        }
        if self.head.is_none() && self.closed && size > 0 {
            self.problem(layout::CHECKPOINT, None, "there is no signed tree head");
        }
        for path in std::mem::take(&mut self.tiles) {
            self.problem(&path, None, "there are no events for this tile");
        }
        for (level, index, width) in std::mem::take(&mut self.partials).into_values().flatten() {
            let path = Tile { level, index, hashes: vec![[0; 32]; width] }.path();
            self.problem(&path, None, "there are no events for this tile");
        }
    }

    fn report(mut self) -> VerifyReport {
        if self.more > 0 {
            let what = format!("and {} more", self.more);
            self.problems.push(Problem { file: ".".to_owned(), offset: None, what });
        }
        VerifyReport {
            ok: self.problems.is_empty(),
            entries: self.tree.size(),
            root: note::show(&self.tree.root()),
            signed_entries: self.head.map_or(0, |head| head.size),
            key: self.keys.last().map(ToString::to_string),
            closed: self.closed,
            torn_bytes: self.torn,
            problems: self.problems,
        }
    }
}

struct Place<'a> {
    name: &'a str,
    offset: usize,
}

/// Reads `tile/L/xNNN/NNN` or `tile/L/xNNN/NNN.p/W`.
fn parse_tile(path: &str) -> Option<(usize, u64, usize)> {
    let rest = path.strip_prefix("tile/")?;
    let (level, rest) = rest.split_once('/')?;
    let (groups, width) = match rest.split_once(".p/") {
        Some((groups, width)) => {
            (groups, width.parse().ok().filter(|it| (1..TILE_WIDTH).contains(it))?)
        }
        None => (rest, TILE_WIDTH),
    };
    let mut index = 0u64;
    for group in groups.split('/') {
        let digits: u64 = group.strip_prefix('x').unwrap_or(group).parse().ok()?;
        index = index.checked_mul(1000)?.checked_add(digits)?;
    }
    let (level, index) = (level.parse().ok().filter(|it| *it < 8)?, index);
    // Only the one spelling that we write.
    let tile = Tile { level, index, hashes: vec![[0; 32]; width] };
    (tile.path() == path).then_some((level, index, width))
}
