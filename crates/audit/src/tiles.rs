//! The tiles on disk: written in groups, made durable by one barrier for all of a segment.
//!
//! Never does: decide what a tile holds. Tiles are derived from segments: what a crash takes is written again
//! when the ledger is opened.
//!
//! INVARIANT: once [`Tiles::settle`] has succeeded, the tiles of all segments before the one that
//! [`Tiles::begun`] named last are durable; so after a crash only the last two segments are read again.
//!
//! WHY: a file that is made alone costs the kernel several times what one of many in a row does, and a sync
//! of each file costs more than to write it.

use crate::disk::{Barrier, Disk};
use crate::error::LedgerError;
use crate::recover;
use crate::tree::Tile;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// Tiles that wait until they are written together: 8 KiB each, so half a MiB in memory.
const AT_ONCE: usize = 64;

/// A barrier that another thread waits for: the ledger's writer must not stand still for a slow disk.
type Running = JoinHandle<(Box<dyn Barrier>, io::Result<()>)>;

/// The tiles of one ledger.
#[derive(Debug)]
pub(crate) struct Tiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    pending: Vec<Tile>,
    /// The folder that was made last.
    folder: PathBuf,
    barrier: Option<Box<dyn Barrier>>,
    running: Option<Running>,
    /// Segments with tiles that no barrier has covered, by their first event.
    uncovered: Vec<u64>,
    /// Whether anything was written since the last barrier began.
    written: bool,
    /// A barrier failed: what it should have covered must be written again, since the kernel may have dropped
    /// it and may call the next barrier a success.
    doubtful: bool,
}

impl Tiles {
    /// The tiles of the ledger in `dir`. `replayed`: those of its last segments were written again just now.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        replayed: bool,
    ) -> Result<Self, LedgerError> {
        // WHY here: a barrier tells of failures since it was made.
        let barrier = Some(disk.barrier(&dir)?);
        let mut tiles = Self {
            disk,
            dir,
            pending: Vec::new(),
            folder: PathBuf::new(),
            barrier,
            running: None,
            uncovered: Vec::new(),
            written: false,
            doubtful: false,
        };
        if replayed {
            tiles.sync_now()?;
        }
        Ok(tiles)
    }

    /// Takes tiles, and writes them when there are enough. What fails is tried again with the next ones.
    pub(crate) fn add(&mut self, mut tiles: Vec<Tile>) {
        self.pending.append(&mut tiles);
        if self.pending.len() >= AT_ONCE {
            drop(self.write());
        }
    }

    /// Writes what waits, without making it durable.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        while let Some(tile) = self.pending.pop() {
            if let Err(error) = self.write_one(&tile) {
                self.pending.push(tile);
                return Err(error);
            }
        }
        Ok(())
    }

    fn write_one(&mut self, tile: &Tile) -> io::Result<()> {
        let path = self.dir.join(tile.path());
        self.folder_of(&path)?;
        self.written = true;
        self.disk.create(&path)?.append(&tile.bytes())
    }

    /// Makes the folder of a tile.
    pub(crate) fn folder_of(&mut self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(path);
        if folder != self.folder {
            self.disk.create_folder(folder)?;
            self.folder = folder.to_owned();
        }
        Ok(())
    }

    /// A segment was begun, and all tiles before it are written: begins to make them durable.
    pub(crate) fn begun(&mut self, first: u64) {
        if self.uncovered.last() != Some(&first) {
            self.uncovered.push(first);
        }
        if !std::mem::take(&mut self.written) {
            return;
        }
        let barrier = match self.barrier.take() {
            Some(barrier) => barrier,
            // The last one was lost with its thread.
            None => return self.doubtful = true,
        };
        let work = move || {
            let mut barrier = barrier;
            let result = barrier.sync();
            (barrier, result)
        };
        match thread::Builder::new().name("ledger-tiles".to_owned()).spawn(work) {
            Ok(running) => self.running = Some(running),
            Err(_) => self.doubtful = true,
        }
    }

    /// Waits for what [`Tiles::begun`] began. `size`: how many events the log has.
    pub(crate) fn settle(&mut self, size: u64) -> Result<(), LedgerError> {
        if let Some(running) = self.running.take() {
            match running.join() {
                Ok((barrier, Ok(()))) => {
                    self.barrier = Some(barrier);
                    // Only those of the segment that is being written came later.
                    let keep = self.uncovered.pop();
                    self.uncovered = keep.into_iter().collect();
                }
                Ok((barrier, Err(_))) => {
                    self.barrier = Some(barrier);
                    self.doubtful = true;
                }
                Err(_) => self.doubtful = true,
            }
        }
        if self.doubtful { self.restore(size) } else { Ok(()) }
    }

    /// Makes all tiles durable.
    pub(crate) fn finish(&mut self, size: u64) -> Result<(), LedgerError> {
        self.write()?;
        self.settle(size)?;
        match self.sync_now() {
            Ok(()) => Ok(()),
            Err(_) => self.restore(size),
        }
    }

    /// Writes the tiles again that may be lost, from their segments.
    fn restore(&mut self, size: u64) -> Result<(), LedgerError> {
        self.doubtful = true;
        for (at, first) in self.uncovered.iter().enumerate() {
            let next = self.uncovered.get(at + 1).copied().unwrap_or(size);
            recover::rewrite_tiles(self.disk.as_ref(), &self.dir, *first, next)?;
        }
        self.sync_now()?;
        self.doubtful = false;
        // Whatever the segment that is being written has got so far is covered too.
        let keep = self.uncovered.pop();
        self.uncovered = keep.into_iter().collect();
        Ok(())
    }

    fn sync_now(&mut self) -> io::Result<()> {
        let mut barrier = match self.barrier.take() {
            Some(barrier) => barrier,
            None => self.disk.barrier(&self.dir)?,
        };
        let result = barrier.sync();
        self.barrier = Some(barrier);
        if result.is_ok() {
            self.written = false;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;
    use crate::{Ledger, LedgerOptions};
    use base::{Event, EventId, FakeClock, Kind, NodeId, Secret, UnixMs, code};

    /// A ledger of 600 events that was closed, and one of its tiles.
    fn ledger() -> (SimulatedDisk, PathBuf) {
        let disk = SimulatedDisk::new();
        let clock = Arc::new(FakeClock::at(UnixMs(1000)));
        let options = LedgerOptions {
            disk: Arc::new(disk.clone()),
            ..LedgerOptions::new("/ledger".into(), NodeId(1), Secret::new([1; 32]), clock)
        };
        let (ledger, recorders) = Ledger::open(options, 1).unwrap();
        for n in 0..600u128 {
            let id = EventId(n.to_be_bytes());
            let event = Event::new(id, UnixMs(1000), NodeId(1), Kind::System, code::OK);
            recorders[0].record(&event);
        }
        ledger.close().unwrap();
        (disk, PathBuf::from("/ledger/tile/0/001"))
    }

    #[test]
    fn what_a_failed_barrier_should_have_covered_is_written_again() {
        let (disk, tile) = ledger();
        let good = disk.read(&tile).unwrap();
        let mut tiles = Tiles::new(Arc::new(disk.clone()), "/ledger".into(), false).unwrap();
        tiles.begun(0);
        // The kernel has dropped the page.
        disk.flip(&tile, 77, 1);
        disk.fail_syncs(2);
        assert!(tiles.finish(600).is_err(), "written again, and that failed too");
        disk.flip(&tile, 78, 1);
        tiles.finish(600).unwrap();
        assert_eq!(disk.read(&tile).unwrap(), good);
        assert_eq!(disk.cut(1).read(&tile).unwrap(), good);
    }

    #[test]
    fn a_barrier_that_failed_in_the_background_is_noticed() {
        let (disk, tile) = ledger();
        let good = disk.read(&tile).unwrap();
        let mut tiles = Tiles::new(Arc::new(disk.clone()), "/ledger".into(), false).unwrap();
        tiles.written = true;
        tiles.begun(0);
        tiles.settle(600).unwrap();
        tiles.written = true;
        disk.flip(&tile, 77, 1);
        disk.fail_syncs(1);
        tiles.begun(0);
        tiles.settle(600).unwrap();
        assert_eq!(disk.read(&tile).unwrap(), good);
    }
}
