//! Hashing and comparing. Pure, slow on purpose: some 20 ms and 19 MiB each, and more for hashes from elsewhere.

use super::config::{self, RuleBroken};
use super::foreign::Foreign;
use crate::factors::Verdict;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use base::{IdError, Secret, random_array};

/// A hash of no password that costs what a real one costs: it is compared where there is no account, or none with
/// a password.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// Bytes of a kept hash; the longest that any program writes is half of it.
const HASH_BYTES: usize = 512;

/// A hash that can be checked.
enum Kept {
    Argon2(Box<PasswordHash>),
    Foreign(Foreign),
}

/// The PHC string of a password that [`super::judge`] has let through.
pub(crate) fn hash(typed: &Secret<String>) -> Result<String, IdError> {
    let salt = random_array::<16>()?;
    let (Some(normal), Some(cost)) = (config::normal(typed), config::cost()) else {
        return Err(IdError::Malformed);
    };
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost);
    let hash = argon2.hash_password_with_salt(normal.expose().as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|_| IdError::Malformed)
}

/// Compares what was typed with the kept hash. Without one, it takes as long and is never right. Only of an account
/// whose hash came from elsewhere and was not replaced yet does time tell something: that it is one.
pub(crate) fn verify(kept: Option<&str>, typed: &Secret<String>) -> Verdict {
    if typed.expose().is_empty() {
        return Verdict::NotPresented;
    }
    // WHY: no branch before the slow part, so that time does not tell which of the reasons it was.
    let hash = kept.and_then(|kept| read(kept).ok());
    let right = hash.is_some();
    let normal = config::normal(typed);
    let right = right && normal.is_some();
    let Some(hash) = hash.or_else(|| read(NOBODY).ok()) else { return Verdict::Rejected };
    let text = normal.as_ref().map_or("", |normal| normal.expose().as_str());
    let same = match &hash {
        Kept::Argon2(hash) => is_of(hash, text),
        Kept::Foreign(hash) => hash.is_of(text.as_bytes()),
    };
    match right && (same || as_typed(&hash, typed, text)) {
        true => Verdict::Accepted,
        false => Verdict::Rejected,
    }
}

/// Other programs hashed what was typed, normal form or not.
fn as_typed(hash: &Kept, typed: &Secret<String>, normal: &str) -> bool {
    let typed = typed.expose();
    typed != normal
        && match hash {
            Kept::Argon2(hash) => !is_ours(hash) && is_of(hash, typed),
            Kept::Foreign(hash) => hash.is_of(typed.as_bytes()),
        }
}

fn is_of(hash: &PasswordHash, text: &str) -> bool {
    Argon2::default().verify_password(text.as_bytes(), hash).is_ok()
}

/// Whether the password should be hashed again now that it is known: the kept hash is of another kind, or costs
/// something else than new ones do. So every account comes to cost the same.
#[must_use]
pub fn needs_rehash(phc: &str) -> bool {
    !matches!(read(phc), Ok(Kept::Argon2(hash)) if is_ours(&hash))
}

fn is_ours(hash: &PasswordHash) -> bool {
    hash.algorithm.as_str() == Algorithm::Argon2id.ident().as_str()
        && hash.version == Some(Version::V0x13.into())
        && Params::try_from(hash).is_ok_and(|params| config::is_current(&params))
}

/// Whether a hash from elsewhere can be kept and checked: Argon2id, Argon2i, bcrypt, scrypt or PBKDF2, at a cost that
/// the machine can bear. What is weak may come in, since it is replaced at the next sign-in.
///
/// # Errors
/// [`RuleBroken::NotAHash`] or [`RuleBroken::TooCostly`].
pub fn importable(text: &str) -> Result<(), RuleBroken> {
    read(text).map(|_| ())
}

/// What kind of hash this is, in one word; `None` when it is none that can be checked.
#[must_use]
pub fn kind_of(text: &str) -> Option<&'static str> {
    read(text).ok().map(|kept| match kept {
        Kept::Argon2(_) => "argon2",
        Kept::Foreign(Foreign::Bcrypt { .. }) => "bcrypt",
        Kept::Foreign(Foreign::Pbkdf2 { .. }) => "pbkdf2",
        Kept::Foreign(Foreign::Scrypt { .. }) => "scrypt",
    })
}

fn read(text: &str) -> Result<Kept, RuleBroken> {
    if text.len() > HASH_BYTES {
        return Err(RuleBroken::NotAHash);
    }
    // Django puts the kind before what the library wrote.
    let text = text.strip_prefix("argon2$").map_or(text, |_| text.get(6..).unwrap_or_default());
    let text = text.strip_prefix("bcrypt$").unwrap_or(text);
    if !text.starts_with("$argon2") {
        return Foreign::read(text).map(Kept::Foreign);
    }
    let hash = PasswordHash::new(text).map_err(|_| RuleBroken::NotAHash)?;
    let algorithm = hash.algorithm.as_str();
    let params = Params::try_from(&hash).map_err(|_| RuleBroken::NotAHash)?;
    if ![Algorithm::Argon2id, Algorithm::Argon2i].iter().any(|it| it.ident().as_str() == algorithm)
        || hash.salt.is_none()
        || hash.hash.is_none()
    {
        return Err(RuleBroken::NotAHash);
    }
    match config::affordable(&params) {
        true => Ok(Kept::Argon2(Box::new(hash))),
        false => Err(RuleBroken::TooCostly),
    }
}
