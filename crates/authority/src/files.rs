//! Files that only the owner may read, made whole or not at all.

use crate::sealing::SealError;
use base::{Secret, base62};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

fn problem(path: &Path, error: &std::io::Error) -> SealError {
    SealError::File { path: path.to_owned(), problem: error.to_string() }
}

/// The content of a file that is at most `limit` bytes long; `None` when there is none.
pub(crate) fn read_private(path: &Path, limit: u64) -> Result<Option<Secret<Vec<u8>>>, SealError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(problem(path, &error)),
    };
    let mode = file.metadata().map_err(|e| problem(path, &e))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SealError::Exposed { path: path.to_owned(), mode });
    }
    // WHY: the whole capacity at once, so that no grown-out-of copy of the secret stays in memory.
    let mut bytes = Vec::with_capacity(usize::try_from(limit).unwrap_or(0) + 1);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| problem(path, &e))?;
    Ok(Some(Secret::new(bytes)))
}

/// Makes a file with mode 0600, durable when this returns. One that is there already stays as it is.
pub(crate) fn create_private(path: &Path, content: &[u8]) -> Result<(), SealError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let temporary = folder.join(format!(".new-{}", base62::random(12)?));
    let made = write_synced(&temporary, content).and_then(|()| {
        // INVARIANT: a link never replaces a file, and appears with its whole content.
        match std::fs::hard_link(&temporary, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => File::open(folder)?.sync_all(),
        }
    });
    let removed = std::fs::remove_file(&temporary);
    made.and(removed).map_err(|e| problem(path, &e))
}

fn write_synced(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
