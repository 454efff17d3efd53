//! The pages for people in a real browser: with scripts and without, by hand and by keyboard, light and dark.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod account;
mod addresses;
mod elsewhere;
mod email;
mod flows;
mod forged;
mod forgery;
mod gate;
mod inputs;
mod keyboard;
mod mail;
mod passkeys;
mod plain;
mod policy;
mod recovery;
mod second;
mod sights;
mod stage;
mod tour;
mod walk;
