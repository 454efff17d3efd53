//! How the codes are made: what the person's app and this server must agree on.

use serde::{Deserialize, Serialize};

/// Digits of a code (RFC 4226 §5.3: six at least; every app can show six).
pub const DIGITS: usize = 6;
/// 10 to the power of [`DIGITS`].
pub(super) const MODULUS: u32 = 1_000_000;
/// Seconds of one step (RFC 6238 §5.2: 30 is the recommended value).
pub const STEP_SECONDS: i64 = 30;
/// Steps before and after the present one that are taken as well (RFC 6238 §5.2: at most one for the network, and one
/// for clocks that go wrong).
pub const STEPS_ASIDE: i8 = 1;
/// Bytes of what is typed that are looked at; six digits and spaces anywhere.
pub(super) const TYPED_BYTES: usize = 64;
/// Bytes of a secret at least (RFC 4226 §4, R6: 128 bits) and at most (the block of the longest hash).
pub(super) const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// The hash under the codes (RFC 6238 §1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Algorithm {
    /// HMAC-SHA-1, what every app knows; HMAC does not need a hash that resists collisions.
    #[default]
    #[serde(rename = "SHA1")]
    Sha1,
    /// HMAC-SHA-256; some apps take it for SHA-1 without a word, and then no code is right.
    #[serde(rename = "SHA256")]
    Sha256,
}

impl Algorithm {
    /// Its name in the key's URI, and where it is kept.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// Bytes of a fresh secret: as many as the hash gives out (RFC 6238 §5.1, RFC 4226 §4, R6).
    #[must_use]
    pub const fn secret_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}
