//! Passwords.
//!
//! Owns: which passwords may be chosen, how they are hashed and compared, and how much of the machine that may take.
//!
//! Never does: keep a password, or say which part of a sign-in was wrong.
//!
//! Invariants:
//! - Nothing is asked of anybody: the list of common passwords stands in the binary.
//! - A hash from elsewhere is checked only at a cost that the machine can bear, and replaced at the next sign-in.
//! - Hashing runs on a bounded number of threads behind a bounded queue, so that logins never starve tokens.
//! - What is compared is the NFC form, at most [`CHARS_MOST`] characters of it.

mod common;
mod config;
mod foreign;
mod judge;
mod pool;
mod shape;
mod strength;
#[cfg(test)]
mod tests;
mod verify;

pub use config::{CHARS_LEAST, CHARS_LEAST_BESIDE, CHARS_MOST, Context, RuleBroken};
pub use judge::judge;
pub(crate) use pool::Pool;
pub use strength::{Strength, strength};
pub(crate) use verify::{hash, verify};
pub use verify::{importable, kind_of, needs_rehash};

use super::Kind;

/// The factor's name.
pub const NAME: &str = "password";
/// Its name in `amr` (RFC 8176 §2).
pub const AMR: &str = "pwd";
/// What it proves.
pub const KIND: Kind = Kind::Knowledge;
