//! Use cases: what people do to the gate's run-time state, and the ports through which it is kept.
//!
//! Owns: API keys, local blocks, run-time address entries ([`Authority`]); the master key and what is sealed
//! under it ([`Sealer`], [`Pepper`], [`NodeIdentity`]); the ports that a store implements ([`Registry`] and
//! its parts), each a whole intention in one transaction.
//!
//! Never does: SQL or HTTP. The only input and output of its own are the two key files of the data folder.
//!
//! Invariants:
//! - Every change goes to the store together with its audit event and its row in the change feed; the port
//!   answers only after all three are durable.
//! - The text of a key leaves this crate once, in [`CreatedKey`]; nothing that is kept can restore it.

mod actor;
mod addresses;
mod authority;
mod blocks;
mod error;
pub mod factors;
mod files;
mod identity;
mod keys;
pub mod mail;
pub mod oauth;
pub mod people;
mod ports;
mod records;
mod sealing;
mod text;

#[cfg(test)]
mod tests;

pub use actor::Actor;
pub use addresses::{ALLOW_LONGEST, AllowIp};
pub use authority::{Authority, Done};
pub use blocks::AddBlock;
pub use error::{Error, PortError};
pub use identity::{Keyring, NodeIdentity};
pub use keys::{CreateKey, CreatedKey, KEY_DEFAULT, KEY_LONGEST};
pub use ports::{
    Answer, AuditLog, Beat, BlockStore, Feed, FeedPage, FeedRow, IpStore, KeyStore, NodeStore,
    Outbox, OutboxRow, PAGE_ROWS, Page, Registry, SealedStore, SnapshotSink, Snapshots,
};
pub use records::{
    Block, BlockId, BlockKind, Change, Cursor, IpEntry, IpId, IpOwner, KeyFilter, KeyId, KeyRecord,
    ShortId,
};
pub use sealing::{MasterKey, Pepper, SealError, Sealer};
