//! Who may pass: issuers, keys, lists, limits and revocation, against the running binary over the network.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod access;
mod addresses;
mod dpop;
mod introspection;
mod issuers;
mod keys;
mod ledger;
mod limits;
mod metadata;
mod names;
mod own;
mod postgres;
mod reload;
mod revocation;
mod sessions;
mod sessions_attacks;
mod sessions_hosts;
mod setup;
mod step_up;
mod visitor;
