//! A gate that is administered from elsewhere: signing in from the command line, the first administrator, TLS and an
//! address of its own for the API, SCIM, and what `explain` says of OAuth requests.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod directory;
mod explain;
mod first;
mod login;
mod people;
mod recover;
mod setup;
mod transfer;
