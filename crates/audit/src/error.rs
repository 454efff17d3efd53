//! What can go wrong, by blame.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the ledger could not be opened, or did not take an event.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// Operator: another process has the ledger open.
    #[error("the ledger {0} is open in another process")]
    Locked(PathBuf),
    /// Operator: bytes that were known good are gone or changed. The ledger is not continued, so that the
    /// evidence stays as it is.
    #[error("the ledger is damaged: {0}; keep the folder as evidence and start with an empty one")]
    Damaged(String),
    /// Operator: the disk, or the ledger's quota with its reserve, is full.
    #[error("the ledger is full")]
    Full,
    /// Caller: more is waiting to be recorded than the ring holds.
    #[error("the ledger cannot keep up")]
    Busy,
    /// Caller: more events at once than are taken.
    #[error("more than {0} events at once")]
    TooMany(usize),
    /// The ledger is closed, or its writer has ended.
    #[error("the ledger is closed")]
    Closed,
    /// Operator: the key is not an Ed25519 seed.
    #[error("the ledger's key is unusable")]
    Key,
    /// The system: the disk failed.
    #[error("the ledger's disk failed")]
    Disk(#[source] Arc<io::Error>),
    /// Bug: the events could not be encoded, or the system has no randomness to give.
    #[error("the events could not be encoded: {0}")]
    Encoding(String),
}

impl From<io::Error> for LedgerError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Disk(Arc::new(error)),
        }
    }
}

/// What is wrong with bytes that should be part of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not a frame's header, or a changed one.
    #[error("the frame's header is damaged")]
    Header,
    /// The body is not what was written.
    #[error("the frame's checksum is wrong")]
    Checksum,
    /// The frame is longer than the file.
    #[error("the frame is cut off")]
    Short,
    /// The segment's columns are not those of this version.
    #[error("the columns are not those of this version")]
    Schema,
    /// The body is not a record batch of the length that the header says.
    #[error("the record batch is malformed")]
    Batch,
    /// A value stands for nothing.
    #[error("a value of a record is malformed")]
    Value,
    /// The state at a segment's beginning or end is malformed.
    #[error("the state of the tree is malformed")]
    State,
}

/// Why the ledger could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Caller: the query cannot be answered.
    #[error(transparent)]
    Query(#[from] crate::query::QueryError),
    /// Operator: bytes are not what was written; `verify` tells more.
    #[error("{} is damaged at byte {offset}", file.display())]
    Damaged {
        /// The segment.
        file: PathBuf,
        /// Where its frame begins, or the one before it.
        offset: u64,
        /// What is wrong.
        #[source]
        what: Malformed,
    },
    /// Whoever asked no longer waits.
    #[error("the query was stopped")]
    Stopped,
    /// The system: the files cannot be read.
    #[error("the ledger's files cannot be read")]
    Disk(#[from] io::Error),
}
