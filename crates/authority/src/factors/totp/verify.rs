//! Whether a code is right. Pure: the secret, what was typed, the time and the last step are arguments.

use super::config::{Algorithm, DIGITS, MODULUS, STEP_SECONDS, STEPS_ASIDE, TYPED_BYTES};
use super::secret::TotpSecret;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base::UnixMs;

/// What became of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// Nothing was typed.
    NotPresented,
    /// It is right, and was not used before.
    Accepted {
        /// Its step; the keeper keeps it in the same transaction that lets the person in, and accepts nothing unless
        /// it is higher than what is kept by then.
        step: i64,
        /// How many steps the person's clock is before (+) or behind (−) ours.
        drift: i8,
    },
    /// It is wrong, too old, too early, or was used before.
    Rejected,
}

/// Judges what was typed. `last_step` is the step of the last code that was accepted from this secret.
#[must_use]
pub fn verify(
    secret: &TotpSecret,
    algorithm: Algorithm,
    typed: &str,
    now: UnixMs,
    last_step: Option<i64>,
) -> Checked {
    if typed.len() <= TYPED_BYTES && typed.trim().is_empty() {
        return Checked::NotPresented;
    }
    let Some(typed) = digits(typed) else { return Checked::Rejected };
    let key = key(secret, algorithm);
    let present = now.seconds().div_euclid(STEP_SECONDS);
    let mut found = Checked::Rejected;
    // WHY no early end: time must not tell which step was near. WHY upwards: should two steps in the window have the
    // same code, the later one counts, and both are spent.
    for drift in -STEPS_ASIDE..=STEPS_ASIDE {
        let step = present.saturating_add(i64::from(drift));
        let right =
            code(&key, step).is_some_and(|code| verify_slices_are_equal(&code, &typed).is_ok());
        // RFC 6238 §5.2: a code is accepted once, and so is none from before one that was.
        if right && last_step.is_none_or(|last| step > last) {
            found = Checked::Accepted { step, drift };
        }
    }
    found
}

fn key(secret: &TotpSecret, algorithm: Algorithm) -> hmac::Key {
    let algorithm = match algorithm {
        Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::Sha256 => hmac::HMAC_SHA256,
    };
    hmac::Key::new(algorithm, secret.bytes())
}

/// RFC 4226 §5.3 over the step (RFC 6238 §4.2). `None` before 1970.
fn code(key: &hmac::Key, step: i64) -> Option<[u8; DIGITS]> {
    let tag = hmac::sign(key, &u64::try_from(step).ok()?.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last()? & 0x0f);
    let bytes: [u8; 4] = tag.get(offset..offset + 4)?.try_into().ok()?;
    let mut rest = (u32::from_be_bytes(bytes) & 0x7fff_ffff) % MODULUS;
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    Some(digits)
}

/// The six digits of what was typed; apps show them in groups, so spaces do not count.
fn digits(typed: &str) -> Option<[u8; DIGITS]> {
    if typed.len() > TYPED_BYTES {
        return None;
    }
    let mut digits = [0u8; DIGITS];
    let mut places = digits.iter_mut();
    for c in typed.chars().filter(|c| !c.is_whitespace()) {
        let digit = u8::try_from(c).ok().filter(u8::is_ascii_digit)?;
        *places.next()? = digit;
    }
    places.next().is_none().then_some(digits)
}

/// The code of a moment; for tests, which play the app.
#[cfg(test)]
pub(crate) fn code_at(secret: &TotpSecret, algorithm: Algorithm, at: UnixMs) -> String {
    let code = code(&key(secret, algorithm), at.seconds().div_euclid(STEP_SECONDS));
    code.iter().flatten().map(|digit| char::from(*digit)).collect()
}
