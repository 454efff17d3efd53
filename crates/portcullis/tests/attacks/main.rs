//! Attempts to walk around the gate, each a test of the running binary over the network. A test is named after what
//! an attacker would win; it passes while he does not.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod authority_nodes;
#[expect(dead_code, reason = "the tests of rules use the rest")]
#[path = "../authority/rules_stage.rs"]
mod authority_stage;
mod authority_strangers;
mod bodies;
mod chaos;
mod connections;
mod control;
mod frames;
mod identity;
mod people_nodes;
mod places;
mod reloads;
mod revocation;
mod setup;
