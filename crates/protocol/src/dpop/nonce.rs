//! Nonces that need no memory: a keyed hash of the time.

use crate::b64;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base::{Secret, UnixMs};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How long a step may be: a nonce lives for one to two steps, so one to five minutes (RFC 9449 §8 leaves it
/// to the server; a shorter life costs every client a second request more often).
pub const NONCE_STEP: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(150);
/// How far the clocks of two nodes with one key may be apart.
const NODES: Duration = Duration::from_secs(5);
/// What the keyed hash is for, so that the key's other uses cannot meet this one.
const LABEL: &[u8] = b"portcullis dpop nonce 1\0";
/// Bytes of the keyed hash that are kept: 128 bits cannot be guessed.
const TAG_BYTES: usize = 16;

/// A step outside of [`NONCE_STEP`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the step of a nonce lies between 60 and 150 seconds")]
pub struct NonceStepError;

/// Makes and judges nonces. Nodes with the same key take each other's.
pub struct NonceMaker {
    key: Key,
    step_ms: i64,
}

impl NonceMaker {
    /// A maker with this key.
    ///
    /// # Errors
    /// When the step is not within [`NONCE_STEP`].
    pub fn new(key: &Secret<[u8; 32]>, step: Duration) -> Result<Self, NonceStepError> {
        let step_ms = i64::try_from(step.as_millis()).map_err(|_| NonceStepError)?;
        match NONCE_STEP.contains(&step) {
            true => Ok(Self { key: Key::new(HMAC_SHA256, key.expose()), step_ms }),
            false => Err(NonceStepError),
        }
    }

    /// The nonce to hand out now (RFC 9449 §8.1).
    pub fn current(&self, now: UnixMs) -> String {
        self.of(self.step(now))
    }

    /// Whether `nonce` is of this step or the one before, or of the next as far as another node's clock may
    /// be ahead.
    pub fn accepts(&self, nonce: &str, now: UnixMs) -> bool {
        let step = self.step(now);
        let steps = [step, step.saturating_sub(1), self.step(now.plus(NODES))];
        steps
            .into_iter()
            .any(|step| verify_slices_are_equal(self.of(step).as_bytes(), nonce.as_bytes()).is_ok())
    }

    /// Whether `nonce` is taken but of an earlier step: the answer should bring the new one, so that the
    /// client's next request is not refused (RFC 9449 §8.2).
    pub fn ages(&self, nonce: &str, now: UnixMs) -> bool {
        self.accepts(nonce, now) && nonce != self.current(now)
    }

    fn step(&self, now: UnixMs) -> i64 {
        now.0.div_euclid(self.step_ms)
    }

    fn of(&self, step: i64) -> String {
        let tag = sign(&self.key, &[LABEL, &step.to_be_bytes()].concat());
        b64::encode(tag.as_ref().get(..TAG_BYTES).unwrap_or_default())
    }
}

impl fmt::Debug for NonceMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NonceMaker({} ms)", self.step_ms)
    }
}
