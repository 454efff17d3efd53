//! Codes of an authenticator app: TOTP (RFC 6238).
//!
//! Owns: the secret that app and server share, how it is shown, and whether a code is right.
//!
//! Never does: keep a secret or the last step, or count failures. Sealing the secret is its keeper's work.
//!
//! Invariants:
//! - A step is accepted at most once, as long as its keeper hands in the last one that was.
//! - Comparing takes as long whatever is wrong.
//! - No secret stands in `Debug`, and its memory is wiped.

mod config;
mod secret;
#[cfg(test)]
mod tests;
mod verify;
mod view;

pub use config::{Algorithm, DIGITS, STEP_SECONDS, STEPS_ASIDE};
pub use secret::TotpSecret;
#[cfg(test)]
pub(crate) use verify::code_at;
pub use verify::{Checked, verify};
pub use view::qr_svg;

use super::Kind;

/// The factor's name.
pub const NAME: &str = "totp";
/// Its names in `amr` (RFC 8176 §2).
pub const AMR: &[&str] = &["otp"];
/// What it proves (NIST SP 800-63B-4 §3.1.4: a single-factor OTP authenticator).
pub const KIND: Kind = Kind::Possession;
