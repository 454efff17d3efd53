//! Hashing and comparing. Pure, slow on purpose: some 20 ms and 19 MiB each.

use super::config;
use crate::factors::Verdict;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use base::{IdError, Secret, random_array};

/// A hash of no password that costs what a real one costs: it is compared where there is no account, or none with
/// a password.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The PHC string of a password that [`config::judge`] has let through.
pub(crate) fn hash(typed: &Secret<String>) -> Result<String, IdError> {
    let salt = random_array::<16>()?;
    let (Some(normal), Some(cost)) = (config::normal(typed), config::cost()) else {
        return Err(IdError::Malformed);
    };
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost);
    let hash = argon2.hash_password_with_salt(normal.expose().as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|_| IdError::Malformed)
}

/// Compares what was typed with the kept hash. Without one, it takes as long and is never right.
pub(crate) fn verify(kept: Option<&str>, typed: &Secret<String>) -> Verdict {
    // WHY: no branch before the slow part, so that time does not tell which of the reasons it was.
    let hash = kept.and_then(read);
    let right = hash.is_some();
    let normal = config::normal(typed);
    let right = right && normal.is_some();
    let Some(hash) = hash.or_else(|| read(NOBODY)) else { return Verdict::Rejected };
    let text = normal.as_ref().map_or("", |normal| normal.expose().as_str());
    let same = Argon2::default().verify_password(text.as_bytes(), &hash).is_ok();
    match same && right {
        true => Verdict::Accepted,
        false => Verdict::Rejected,
    }
}

fn read(text: &str) -> Option<PasswordHash> {
    let hash = PasswordHash::new(text).ok()?;
    let params = Params::try_from(&hash).ok()?;
    config::affordable(&params).then_some(hash)
}
