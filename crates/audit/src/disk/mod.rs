//! The file layer: everything the ledger asks of a disk, behind two traits.
//!
//! Owns: [`Disk`] and [`File`], the real implementation, and [`SimulatedDisk`], which forgets what was not
//! synced, fills up and fails, for tests.
//!
//! Never does: retry. What failed is reported; a failed sync is never called a success later.

mod real;
mod simulated;

pub use real::RealDisk;
pub use simulated::SimulatedDisk;

use std::fmt::Debug;
use std::io;
use std::path::Path;

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, without its folder. Names that are not UTF-8 appear with replacement characters.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
}

/// Held as long as this process may write to the folder; released on drop.
pub trait Guard: Send + Sync + Debug {}

/// What the ledger asks of a disk. All paths are absolute, or relative to the working folder.
pub trait Disk: Send + Sync + Debug {
    /// Makes a folder and its parents.
    ///
    /// # Errors
    /// What the system says.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes an empty file, or empties it, and opens it for appending.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// The whole content.
    ///
    /// # Errors
    /// What the system says; `NotFound` when there is no such file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// At most `len` bytes from `offset`; fewer at the end of the file.
    ///
    /// # Errors
    /// What the system says.
    fn read_range(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>>;

    /// What lies in a folder, sorted by name.
    ///
    /// # Errors
    /// What the system says; `NotFound` when there is no such folder.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// The length of a file in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self, path: &Path) -> io::Result<u64>;

    /// Cuts a file to `len` bytes and syncs it.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&self, path: &Path, len: u64) -> io::Result<()>;

    /// Gives a file another name, in place of what had it.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// What makes everything durable that is written below the folder `path`, at once.
    ///
    /// # Errors
    /// What the system says.
    fn barrier(&self, path: &Path) -> io::Result<Box<dyn Barrier>>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Takes the folder's lock file for this process.
    ///
    /// # Errors
    /// `WouldBlock` when another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Guard>>;
}

/// Makes many small files durable at the price of one sync.
pub trait Barrier: Send + Debug {
    /// Makes all files and names durable that were written before; more than those of the folder, where the
    /// system cannot tell them apart.
    ///
    /// # Errors
    /// When anything failed to reach the disk since the barrier was made or last asked. What was written since
    /// then must be written again: a second call would call it durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file open for appending.
pub trait File: Send + Debug {
    /// Writes all bytes at the end.
    ///
    /// # Errors
    /// What the system says; some of the bytes may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written durable.
    ///
    /// # Errors
    /// What the system says. The file must not be used after that: what the kernel dropped, a second call
    /// would call durable.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `len` bytes; not durable before the next [`File::sync`].
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}
