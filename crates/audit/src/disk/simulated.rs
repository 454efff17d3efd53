//! A disk in memory that behaves as badly as a real one may: for tests and simulation.

use super::{Barrier, Disk, Entry, File, Guard};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk in memory. [`SimulatedDisk::cut`] takes the power away: what was not synced survives in part, torn,
/// or not at all. It can be full, and its syncs can fail.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Names as the running system sees them.
    names: BTreeMap<PathBuf, u64>,
    /// Names as they would be after a cut.
    durable_names: BTreeMap<PathBuf, u64>,
    files: BTreeMap<u64, Content>,
    folders: BTreeSet<PathBuf>,
    next: u64,
    used: u64,
    capacity: Option<u64>,
    failing_syncs: u32,
    syncs: u64,
    /// Changes until the power goes.
    fuse: Option<u64>,
    dead: bool,
}

#[derive(Debug, Default, Clone)]
struct Content {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// How many bytes `bytes` and `durable` still share at the front.
    shared: usize,
}

#[derive(Debug)]
struct SimulatedFile {
    state: Arc<Mutex<State>>,
    id: u64,
}

#[derive(Debug)]
struct SimulatedGuard;

impl Guard for SimulatedGuard {}

/// xorshift64*: enough for choosing what survives.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap_or(0).checked_rem(below).unwrap_or(0)
    }
}

impl SimulatedDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the disk take only `bytes` more before it is full; `None` lifts the limit.
    pub fn limit(&self, bytes: Option<u64>) {
        let mut state = self.state();
        state.capacity = bytes.map(|more| state.used.saturating_add(more));
    }

    /// Lets the next `times` syncs of files fail. What they should have made durable is lost.
    pub fn fail_syncs(&self, times: u32) {
        self.state().failing_syncs = times;
    }

    /// Lets the power go after so many changes (creations, appends, syncs, renames, removals), in the midst of
    /// the next one. [`SimulatedDisk::cut`] then gives what is found.
    pub fn cut_after(&self, changes: u64) {
        self.state().fuse = Some(changes);
    }

    /// How many syncs of files there were.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Overwrites one byte of a file, as a hand or a bad sector would.
    pub fn flip(&self, path: &Path, offset: usize, mask: u8) {
        let mut state = self.state();
        if let Some(id) = state.names.get(path).copied()
            && let Some(content) = state.files.get_mut(&id)
        {
            for bytes in [&mut content.bytes, &mut content.durable] {
                if let Some(byte) = bytes.get_mut(offset) {
                    *byte ^= mask;
                }
            }
        }
    }

    /// Takes the power away and gives the disk as it is found after the restart; `seed` decides what
    /// survives of what was not synced. Whoever still holds the old disk gets errors from then on.
    #[must_use]
    pub fn cut(&self, seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut old = self.state();
        old.dead = true;
        let mut new = State { folders: old.folders.clone(), next: old.next, ..State::default() };
        let paths: BTreeSet<&PathBuf> = old.names.keys().chain(old.durable_names.keys()).collect();
        for path in paths {
            let (now, before) = (old.names.get(path), old.durable_names.get(path));
            let id = if now == before || dice.roll(2) == 0 { now } else { before };
            if let Some(content) = id.and_then(|id| old.files.get(id).map(|it| (*id, it))) {
                let bytes = content.1.survive(&mut dice);
                new.used += bytes.len() as u64;
                let shared = bytes.len();
                let file = Content { durable: bytes.clone(), bytes, shared };
                new.files.insert(content.0, file);
                new.names.insert(path.clone(), content.0);
            }
        }
        new.durable_names = new.names.clone();
        Self { state: Arc::new(Mutex::new(new)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.dead { Err(gone()) } else { Ok(state) }
    }

    /// For a change that happens at once or not at all.
    fn changing(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.live()?;
        if state.burn() { Err(gone()) } else { Ok(state) }
    }
}

fn gone() -> io::Error {
    io::Error::other("the power is gone")
}

impl Content {
    fn persist(&mut self) {
        self.durable.truncate(self.shared);
        self.durable.extend_from_slice(self.bytes.get(self.shared..).unwrap_or_default());
        self.shared = self.bytes.len();
    }

    /// What is found after a cut: the durable bytes, and of the rest a prefix whose last bytes may be
    /// garbage.
    fn survive(&self, dice: &mut Dice) -> Vec<u8> {
        if self.shared < self.durable.len() && dice.roll(2) == 0 {
            return self.durable.clone();
        }
        let keep = self.shared + dice.roll(self.bytes.len() - self.shared + 1);
        let mut bytes = self.bytes.get(..keep).unwrap_or_default().to_vec();
        let torn = dice.roll(3) == 0;
        if torn {
            let from = bytes.len() - dice.roll((bytes.len() - self.shared).min(512) + 1);
            bytes.iter_mut().skip(from).for_each(|byte| *byte = 0);
        }
        bytes
    }
}

impl State {
    /// Whether the power goes with this change.
    fn burn(&mut self) -> bool {
        self.dead |= self.fuse == Some(0);
        self.fuse = self.fuse.map(|left| left.saturating_sub(1));
        self.dead
    }

    fn id(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn content(&self, path: &Path) -> io::Result<&Content> {
        self.files.get(&self.id(path)?).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync(&mut self, id: u64) -> io::Result<()> {
        self.syncs += 1;
        let fails = self.failing_syncs > 0;
        self.failing_syncs = self.failing_syncs.saturating_sub(1);
        let Some(content) = self.files.get_mut(&id) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if fails {
            return Err(io::Error::other("sync failed"));
        }
        content.persist();
        Ok(())
    }

    fn truncate(&mut self, id: u64, len: u64) {
        if let Some(content) = self.files.get_mut(&id) {
            let len = usize::try_from(len).unwrap_or(usize::MAX).min(content.bytes.len());
            self.used = self.used.saturating_sub((content.bytes.len() - len) as u64);
            content.bytes.truncate(len);
            content.shared = content.shared.min(len);
        }
    }
}

impl Disk for SimulatedDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.live()?;
        for folder in path.ancestors() {
            state.folders.insert(folder.to_owned());
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.changing()?;
        let id = state.next;
        state.next += 1;
        state.files.insert(id, Content::default());
        state.names.insert(path.to_owned(), id);
        Ok(Box::new(SimulatedFile { state: Arc::clone(&self.state), id }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.live()?.content(path)?.bytes.clone())
    }

    fn read_range(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let state = self.live()?;
        let bytes = &state.content(path)?.bytes;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(len).min(bytes.len());
        Ok(bytes.get(start..end).unwrap_or_default().to_vec())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let state = self.live()?;
        if !state.folders.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let within = |candidate: &Path, folder: bool| {
            let name = candidate.file_name()?.to_string_lossy().into_owned();
            (candidate.parent() == Some(path)).then_some(Entry { name, folder })
        };
        let files = state.names.keys().filter_map(|it| within(it, false));
        let mut all: Vec<Entry> =
            files.chain(state.folders.iter().filter_map(|it| within(it, true))).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(self.live()?.content(path)?.bytes.len() as u64)
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let mut state = self.changing()?;
        let id = state.id(path)?;
        state.truncate(id, len);
        state.sync(id)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        let id = state.id(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), id);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        state.id(path)?;
        state.names.remove(path);
        Ok(())
    }

    fn barrier(&self, _: &Path) -> io::Result<Box<dyn Barrier>> {
        drop(self.live()?);
        Ok(Box::new(SimulatedBarrier(self.clone())))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.changing()?;
        let inside = |name: &&PathBuf| name.parent() == Some(path);
        let gone: Vec<PathBuf> = state.durable_names.keys().filter(inside).cloned().collect();
        for name in gone {
            state.durable_names.remove(&name);
        }
        let kept: Vec<(PathBuf, u64)> = state
            .names
            .iter()
            .filter(|(name, _)| inside(name))
            .map(|(n, id)| (n.clone(), *id))
            .collect();
        state.durable_names.extend(kept);
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Guard>> {
        self.create(path)?;
        Ok(Box::new(SimulatedGuard))
    }
}

#[derive(Debug)]
struct SimulatedBarrier(SimulatedDisk);

impl Barrier for SimulatedBarrier {
    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.0.changing()?;
        state.syncs += 1;
        if state.failing_syncs > 0 {
            state.failing_syncs -= 1;
            return Err(io::Error::other("sync failed"));
        }
        for content in state.files.values_mut() {
            content.persist();
        }
        state.durable_names = state.names.clone();
        Ok(())
    }
}

impl File for SimulatedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.dead {
            return Err(gone());
        }
        let cut = state.burn();
        let room = state.capacity.map_or(u64::MAX, |limit| limit.saturating_sub(state.used));
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        state.used += fits as u64;
        if let Some(content) = state.files.get_mut(&self.id) {
            content.bytes.extend_from_slice(bytes.get(..fits).unwrap_or_default());
        }
        if cut {
            return Err(gone());
        }
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.dead || state.burn() {
            return Err(gone());
        }
        state.sync(self.id)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.dead || state.burn() {
            return Err(gone());
        }
        state.truncate(self.id, len);
        Ok(())
    }
}
