//! Which passwords may be chosen, and what a hash costs.

use argon2::Params;
use base::Secret;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroize as _;

/// Characters of a password that stands alone, at least (NIST SP 800-63B-4 §3.1.1.2).
pub const CHARS_LEAST: usize = 15;
/// Characters at most. NIST asks for 64 at least; more than this is nobody's password and only costs.
pub const CHARS_MOST: usize = 128;
/// Bytes of what is typed, before anything is done with it: four for each character, and as many for marks that
/// the NFC form joins to it.
const TYPED_BYTES: usize = CHARS_MOST * 8;

/// Memory of one hash, KiB (OWASP Password Storage: 19 MiB, two passes, one lane).
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;

/// Why a password may not be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleBroken {
    /// Fewer than [`CHARS_LEAST`] characters.
    #[error(
        "must have at least {CHARS_LEAST} characters; a few words in a row are easy to keep in mind"
    )]
    TooShort,
    /// More than [`CHARS_MOST`] characters.
    #[error("may have at most {CHARS_MOST} characters")]
    TooLong,
    /// It is the e-mail address, or one character over and over.
    #[error("is too easy to guess: it is your address, or one character over and over")]
    Guessable,
}

/// The form in which passwords are hashed: NFC (NIST SP 800-63B-4 §3.1.1.2). `None` when it is too long.
pub(super) fn normal(typed: &Secret<String>) -> Option<Secret<String>> {
    if typed.expose().len() > TYPED_BYTES {
        return None;
    }
    let mut text = String::with_capacity(TYPED_BYTES);
    text.extend(typed.expose().nfc());
    let fits = text.chars().count() <= CHARS_MOST;
    let normal = Secret::new(text.as_str().to_owned());
    text.zeroize();
    fits.then_some(normal)
}

/// Whether the person with this address may choose this password. No other rule: no classes of characters, no
/// end by date (NIST SP 800-63B-4 §3.1.1.2).
///
/// # Errors
/// The rule that it breaks.
pub fn judge(typed: &Secret<String>, email: &str) -> Result<(), RuleBroken> {
    let normal = normal(typed).ok_or(RuleBroken::TooLong)?;
    let mut chars = normal.expose().chars();
    if chars.clone().count() < CHARS_LEAST {
        return Err(RuleBroken::TooShort);
    }
    let first = chars.next();
    let same = chars.all(|c| Some(c) == first);
    match same || normal.expose().to_lowercase() == email.to_lowercase() {
        true => Err(RuleBroken::Guessable),
        false => Ok(()),
    }
}

/// What a new hash costs; `None` would mean that the constants above do not fit the algorithm.
pub(super) fn cost() -> Option<Params> {
    Params::new(MEMORY_KIB, PASSES, LANES, Some(Params::DEFAULT_OUTPUT_LEN)).ok()
}

/// Whether a kept hash asks for no more than four times of what new ones do, so that a foreign row cannot take the
/// machine down.
pub(super) fn affordable(params: &Params) -> bool {
    params.m_cost() <= 4 * MEMORY_KIB && params.t_cost() <= 4 * PASSES && params.p_cost() <= 4
}
