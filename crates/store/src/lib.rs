//! All SQL. Implements the ports of `authority` over SQLite and PostgreSQL.
//!
//! Owns: the schema and its migrations, the group commit, the change feed and its [`Follower`], the outbox.
//!
//! Never does: decide anything. What a key may be, who may revoke it, what a refused act is called: all of
//! that arrives as an argument, and so do ids and times.
//!
//! Invariants:
//! - A change, its audit event and its feed row are one transaction, and a mutating method answers after the
//!   commit is durable, never before.
//! - Every statement is written once, in what both engines understand; what differs is in `dialect.rs`.

mod addresses;
mod blocks;
mod conn;
mod dialect;
mod error;
mod event_row;
mod feed;
mod follower;
mod keys;
mod maintain;
mod migrate;
mod oauth;
mod open;
mod outbox;
mod readers;
mod rows;
mod sealed;
mod signals;
mod snapshot;
mod writer;

pub use error::OpenError;
pub use follower::{Applied, Batch, Contact, Follower, Loading, Step};
pub use maintain::{FEED_KEPT, Swept};
pub use open::{Store, StoreUrl};
pub use outbox::{DEAD_AFTER, Mourner};
