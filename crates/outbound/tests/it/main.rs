//! The client and the resolver against small servers on the loopback interface, mail against a real one.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is missing"
)]

mod dns;
mod fetch;
mod inward;
mod mail;
mod server;
mod tls;
