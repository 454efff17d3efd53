//! How long passwords may be, what a hash costs, and what may go wrong when one is chosen.

use argon2::Params;
use base::Secret;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroize as _;

/// Characters of a password that stands alone, at least (NIST SP 800-63B-4 §3.1.1.2).
pub const CHARS_LEAST: usize = 15;
/// Characters of a password that always goes with a second factor, at least (NIST SP 800-63B-4 §3.1.1.2).
pub const CHARS_LEAST_BESIDE: usize = 8;
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
/// Memory of a hash that came from elsewhere, KiB. Django asks for 100 MiB; four at once are then half a gigabyte.
const FOREIGN_MEMORY_KIB: u32 = 128 * 1024;
/// Passes and lanes of one.
const FOREIGN_PASSES: u32 = 10;
/// Lanes of one; Django asks for eight. They are worked off one after the other.
const FOREIGN_LANES: u32 = 8;
/// Work of one, in hashes of our own: some 0.4 s.
const FOREIGN_WORK: u64 = 16;

/// Who chooses a password, and where: words that somebody who guesses would try first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// The address of the account.
    pub email: &'a str,
    /// The person's name.
    pub name: Option<&'a str>,
    /// The host under which this server is reached.
    pub host: &'a str,
    /// Whether nobody comes in with this password alone. Who gives the second factor up must then choose again, unless
    /// the password would do alone.
    pub has_second_factor: bool,
}

impl Context<'_> {
    /// Characters that a password must have here.
    #[must_use]
    pub fn least(&self) -> usize {
        match self.has_second_factor {
            true => CHARS_LEAST_BESIDE,
            false => CHARS_LEAST,
        }
    }
}

/// Why a password may not be chosen, or a hash not be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleBroken {
    /// Fewer characters than [`Context::least`].
    #[error("must have at least {least} characters; a few words in a row are easy to keep in mind")]
    TooShort {
        /// So many it must have.
        least: usize,
    },
    /// More than [`CHARS_MOST`] characters.
    #[error("may have at most {CHARS_MOST} characters")]
    TooLong,
    /// It is on the list of common and breached passwords, or nearly so.
    #[error("is too easy to guess: many people have chosen it, or one that is nearly the same")]
    Common,
    /// Without the address, the name, the host and the product's name, little is left.
    #[error("is too easy to guess: it is made of your address, your name or the name of this site")]
    Context,
    /// One piece over and over, or keys and letters in their order.
    #[error("is too easy to guess: it repeats itself, or follows the order of letters or keys")]
    Repetitive,
    /// The text is no hash of a kind that can be checked.
    #[error(
        "is not a password hash that is known here (Argon2id, Argon2i, bcrypt, scrypt or PBKDF2)"
    )]
    NotAHash,
    /// Checking it would take too long or too much memory.
    #[error(
        "would cost too much to check; lower its cost, or let the person choose a new password"
    )]
    TooCostly,
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

/// What a new hash costs; `None` would mean that the constants above do not fit the algorithm.
pub(super) fn cost() -> Option<Params> {
    Params::new(MEMORY_KIB, PASSES, LANES, Some(Params::DEFAULT_OUTPUT_LEN)).ok()
}

/// Whether a hash costs what new ones do.
pub(super) fn is_current(params: &Params) -> bool {
    (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES)
}

/// Whether the machine can bear a kept hash, so that a foreign row cannot take it down.
pub(super) fn affordable(params: &Params) -> bool {
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    let own = u64::from(MEMORY_KIB) * u64::from(PASSES);
    params.m_cost() <= FOREIGN_MEMORY_KIB
        && params.t_cost() <= FOREIGN_PASSES
        && params.p_cost() <= FOREIGN_LANES
        && work <= own * FOREIGN_WORK
}
