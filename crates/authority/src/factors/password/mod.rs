//! Passwords.
//!
//! Owns: which passwords may be chosen, how they are hashed and compared, and how much of the machine that may take.
//!
//! Never does: keep a password, or say which part of a sign-in was wrong.
//!
//! Invariants:
//! - Hashing runs on a bounded number of threads behind a bounded queue, so that logins never starve tokens.
//! - What is compared is the NFC form, at most [`CHARS_MOST`] characters of it.

mod config;
mod pool;
#[cfg(test)]
mod tests;
mod verify;

pub use config::{CHARS_LEAST, CHARS_MOST, RuleBroken, judge};
pub(crate) use pool::Pool;
pub(crate) use verify::{hash, verify};

use super::Kind;

/// The factor's name.
pub const NAME: &str = "password";
/// Its name in `amr` (RFC 8176 §2).
pub const AMR: &str = "pwd";
/// What it proves.
pub const KIND: Kind = Kind::Knowledge;
