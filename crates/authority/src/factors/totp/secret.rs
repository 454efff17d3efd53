//! The secret that an app and this server share.

use super::config::{Algorithm, DIGITS, SECRET_BYTES, STEP_SECONDS};
use crate::error::Error;
use base::{Secret, random_array};
use std::fmt::Write as _;
use zeroize::Zeroizing;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Bytes of a text that may hold a secret: 64 bytes are 103 digits, and people write them in groups.
const TEXT_BYTES: usize = 256;
/// Characters of the issuer and of the account that an app is told; no app shows more, and the QR code stays readable.
const LABEL_CHARS: usize = 64;

/// A shared secret. Its memory is wiped when it is dropped, and `Debug` shows nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotpSecret(Secret<Vec<u8>>);

impl TotpSecret {
    /// A random secret, as long as the algorithm wants it.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn fresh(algorithm: Algorithm) -> Result<Self, Error> {
        let random = Secret::new(random_array::<{ Algorithm::Sha256.secret_bytes() }>()?);
        Ok(Self(Secret::new(
            random.expose().iter().copied().take(algorithm.secret_bytes()).collect(),
        )))
    }

    /// A secret that was kept or comes from elsewhere. `None` below 128 bits (RFC 4226 §4, R6) and above 512.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        SECRET_BYTES.contains(&bytes.len()).then(|| Self(Secret::new(bytes.to_vec())))
    }

    /// A secret that comes as text (RFC 4648 §6): in any case, with or without padding, spaces and hyphens. `None` when it
    /// is none, or none of a length that is taken.
    #[must_use]
    pub fn from_base32(text: &str) -> Option<Self> {
        if text.len() > TEXT_BYTES {
            return None;
        }
        let digits = text.trim_end_matches('=').chars().filter(|c| !matches!(c, ' ' | '-'));
        let mut bytes = Zeroizing::new(Vec::with_capacity(TEXT_BYTES));
        let (mut bits, mut held) = (0u64, 0u32);
        for digit in digits {
            let digit = u8::try_from(digit.to_ascii_uppercase()).ok()?;
            let value = BASE32.iter().position(|it| *it == digit)?;
            bits = (bits << 5 | u64::try_from(value).ok()?) & 0xfff;
            held += 5;
            if held >= 8 {
                held -= 8;
                bytes.push(u8::try_from((bits >> held) & 0xff).ok()?);
            }
        }
        Self::from_bytes(&bytes)
    }

    /// The bytes, for sealing and for the hash.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.expose()
    }

    /// The text that people type into an app: base32 without padding (RFC 4648 §6). It is the secret itself: show it,
    /// and keep it nowhere.
    #[must_use]
    pub fn base32(&self) -> String {
        let bytes = self.bytes();
        let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
        for group in bytes.chunks(5) {
            let bits = group.iter().fold(0u64, |bits, byte| (bits << 8) | u64::from(*byte));
            let length = group.len() * 8;
            // WHY: shifted up, so that the last digit's missing bits are zeros.
            let bits = bits << (40 - length);
            for digit in 0..length.div_ceil(5) {
                let index = usize::try_from((bits >> (35 - 5 * digit)) & 31).unwrap_or(0);
                text.extend(BASE32.get(index).map(|c| char::from(*c)));
            }
        }
        text
    }

    /// The address that a QR code holds, in the form that authenticator apps read (`otpauth://totp/…`). It holds the
    /// secret: show it, and keep it nowhere.
    #[must_use]
    pub fn uri(&self, issuer: &str, account: &str, algorithm: Algorithm) -> String {
        let (issuer, account) = (label(issuer), label(account));
        let (secret, algorithm) = (self.base32(), algorithm.name());
        format!(
            "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm={algorithm}&digits={DIGITS}&period={STEP_SECONDS}"
        )
    }
}

/// A text as a part of the address: cut, percent-encoded, and without colons, since an app reads one as the end of the
/// issuer, encoded or not.
fn label(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut buffer = [0u8; 4];
    for c in text.chars().filter(|c| !c.is_control()).take(LABEL_CHARS) {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' | '~' => out.push(c),
            ':' => out.push_str("%20"),
            other => {
                for byte in other.encode_utf8(&mut buffer).bytes() {
                    let written = write!(out, "%{byte:02X}");
                    debug_assert!(written.is_ok(), "a string takes whatever is written");
                }
            }
        }
    }
    out
}
