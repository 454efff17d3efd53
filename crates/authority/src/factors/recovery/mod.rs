//! Recovery codes: ten look-up secrets for who has lost the other authenticator (NIST SP 800-63B-4 §3.1.2).
//!
//! Owns: how codes are drawn, written and read, and which of those kept one is.
//!
//! Never does: keep a code, or spend one: its keeper does that, in the transaction that lets the person in.
//!
//! Invariants:
//! - Only a MAC of a code's normal form is kept; the code itself is shown once.
//! - A code that is spent is never found again.
//! - Comparing takes as long whichever code it is, and when it is none.

mod config;
#[cfg(test)]
mod tests;
mod verify;

pub use config::{CODE_CHARS, CODES, code, fresh, normal};
pub use verify::{KeptCode, left, verify};

use super::Kind;

/// The factor's name.
pub const NAME: &str = "recovery";
/// Its names in `amr`: RFC 8176 §2 has none for look-up secrets; `otp` comes nearest, each code being good once.
pub const AMR: &[&str] = &["otp"];
/// What it proves: the person has the list.
pub const KIND: Kind = Kind::Possession;
