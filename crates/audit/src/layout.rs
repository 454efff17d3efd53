//! Where everything lies below the ledger's folder.

use crate::disk::Disk;
use std::io;
use std::path::{Path, PathBuf};

/// The lock of the one process that writes; empty.
pub(crate) const LOCK: &str = "lock";
/// The signed tree head.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// The public keys.
pub(crate) const KEYS: &str = "keys";
/// The folder of segments.
pub(crate) const SEGMENTS: &str = "segments";
/// The folder of tiles.
pub(crate) const TILES: &str = "tile";
/// What ends the name of a file that is being written and not yet part of the ledger.
pub(crate) const TEMPORARY: &str = ".tmp";

/// The path of the segment that begins with event `first`.
pub(crate) fn segment(dir: &Path, first: u64) -> PathBuf {
    dir.join(SEGMENTS).join(format!("{first:020}.seg"))
}

/// The first index in the name of a segment.
pub(crate) fn segment_first(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 20 && digits.bytes().all(|c| c.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

/// The segments there are, by the index of their first event.
pub(crate) fn segments(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<u64>> {
    match disk.list(&dir.join(SEGMENTS)) {
        Ok(entries) => Ok(entries.iter().filter_map(|it| segment_first(&it.name)).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Writes a whole file so that after a crash it has either its old or its new content.
pub(crate) fn replace(disk: &dyn Disk, dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("new{TEMPORARY}"));
    let mut file = disk.create(&temporary)?;
    file.append(bytes)?;
    file.sync()?;
    disk.rename(&temporary, path)
}
