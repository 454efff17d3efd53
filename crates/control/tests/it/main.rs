//! The edge over a real socket and a real port, with nothing real behind it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is missing"
)]

mod admin;
mod api;
mod authority;
mod client;
mod description;
mod fakes;
mod ledger;
mod mail;
mod network;
mod roles;
mod socket;
mod trust;
