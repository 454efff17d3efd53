//! The ledger as its users see it: append, crash, verify, read.

mod fixture;
mod power;
mod read;
mod write;
