//! The ledger as its users see it: append, crash, verify, read.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "fixtures of tests are tests")]

mod fixture;
mod power;
mod read;
mod write;
