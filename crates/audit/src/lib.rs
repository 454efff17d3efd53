//! The ledger: every decision and every administrative act, appended, provable, readable.
//!
//! Owns: the canonical leaf of an [`Event`](base::Event), the Merkle tree over them (RFC 6962, in the tiles of
//! C2SP tlog-tiles), the segments on disk, the one writer with its rings, signed gap records, recovery after
//! a crash, verification without a running server, and a reader with simple filters and groups.
//!
//! Never does: know HTTP or a database; wait on the way in; drop an event silently.
//!
//! Invariants: what was acknowledged is durable. What could not be recorded is counted in a signed record. A
//! change of any byte below the ledger's folder is found by [`verify`].

mod account;
mod batch;
mod columns;
pub mod disk;
mod error;
mod fold;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod gaps;
mod hash;
mod layout;
mod leaf;
mod ledger;
mod log;
mod message;
mod note;
mod query;
mod read;
mod recorder;
mod recover;
mod ring;
mod row;
mod scan;
mod tiles;
mod tree;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{LedgerError, Malformed, ReadError};
pub use fold::FOLD_AFTER;
pub use frame::APPEND_EVENTS;
pub use hash::Hash;
pub use leaf::LEAF_VERSION;
pub use ledger::{Ledger, LedgerOptions, Quotas};
pub use note::VerifierKey;
pub use query::{COLUMNS, QueryError};
pub use read::{Reader, Record};
pub use recorder::{Metrics, Recorder};
pub use scan::Tail;
pub use verify::{Problem, VerifyReport, verify, verify_with};
