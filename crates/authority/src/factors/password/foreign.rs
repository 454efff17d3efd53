//! Hashes that another program made: bcrypt, PBKDF2, scrypt. They are checked at sign-in and replaced there.
//!
//! Invariant: what this reads, the machine can bear to check.

use super::config::RuleBroken;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::pbkdf2;
use base::Secret;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use std::num::NonZeroU32;

/// bcrypt's costs: 14 are some 0.8 s.
const BCRYPT_COST: std::ops::RangeInclusive<u32> = 4..=14;
/// Bytes of a password that bcrypt looks at, with the zero at its end.
const BCRYPT_KEY_BYTES: usize = 72;
/// Rounds of PBKDF2: OWASP and Django ask for 1.3 million at most; 0.2 to 0.7 s.
const PBKDF2_ROUNDS: u32 = 2_000_000;
/// Of scrypt, the memory (128·N·r bytes): OWASP asks for 128 MiB at most.
const SCRYPT_MEMORY: u64 = 128 * 1024 * 1024;
/// Of scrypt, the work (N·r·p): twice of what OWASP asks for; some 0.7 s.
const SCRYPT_WORK: u64 = 1 << 21;
/// Bytes of a salt.
const SALT_BYTES: std::ops::RangeInclusive<usize> = 1..=64;
/// Bytes of what comes out; fewer would be hit by chance.
const OUT_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// WHY lax: other programs write padding or none, and leave bits in the last character.
const LAX: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LAX);
const BCRYPT: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, LAX);

/// A hash of another program.
pub(super) enum Foreign {
    Bcrypt { cost: u32, salt: [u8; 16], out: [u8; 23] },
    Pbkdf2 { algorithm: pbkdf2::Algorithm, rounds: NonZeroU32, salt: Vec<u8>, out: Vec<u8> },
    Scrypt { params: scrypt::Params, salt: Vec<u8>, out: Vec<u8> },
}

impl Foreign {
    /// Reads what bcrypt (`$2b$`), passlib and the PHC format (`$pbkdf2-sha256$`, `$scrypt$`) and Django
    /// (`pbkdf2_sha256$`) write.
    pub(super) fn read(text: &str) -> Result<Self, RuleBroken> {
        // One more than any form has.
        let parts: Vec<&str> = text.splitn(6, '$').collect();
        match parts.as_slice() {
            ["", "2a" | "2b" | "2y", cost, rest] => bcrypt(cost, rest),
            ["", "scrypt", params, salt, out] => scrypt(params, salt, out),
            ["", name, rounds, salt, out] => {
                let salt = ab64(salt)?;
                pbkdf2(name.strip_prefix("pbkdf2"), rounds, salt, &ab64(out)?)
            }
            [name, rounds, salt, out] => {
                let out = STANDARD.decode(out).map_err(|_| RuleBroken::NotAHash)?;
                pbkdf2(name.strip_prefix("pbkdf2"), rounds, salt.as_bytes().to_vec(), &out)
            }
            _ => Err(RuleBroken::NotAHash),
        }
    }

    /// Whether this is the password. Slow on purpose; compares in constant time.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt { cost, salt, out } => {
                let key: Vec<u8> =
                    password.iter().copied().chain([0]).take(BCRYPT_KEY_BYTES).collect();
                let key = Secret::new(key);
                let made = Secret::new(bcrypt::bcrypt(*cost, *salt, key.expose()));
                // The format leaves the last byte out.
                made.expose()
                    .get(..out.len())
                    .is_some_and(|made| verify_slices_are_equal(made, out).is_ok())
            }
            Self::Pbkdf2 { algorithm, rounds, salt, out } => {
                pbkdf2::verify(*algorithm, *rounds, salt, password, out).is_ok()
            }
            Self::Scrypt { params, salt, out } => {
                let mut made = vec![0; out.len()];
                scrypt::scrypt(password, salt, params, &mut made).is_ok()
                    && verify_slices_are_equal(&made, out).is_ok()
            }
        }
    }
}

fn bcrypt(cost: &str, rest: &str) -> Result<Foreign, RuleBroken> {
    let (salt, out) = rest.split_at_checked(22).ok_or(RuleBroken::NotAHash)?;
    let decode = |text: &str| BCRYPT.decode(text).map_err(|_| RuleBroken::NotAHash);
    let salt = decode(salt)?.try_into().map_err(|_| RuleBroken::NotAHash)?;
    let out = decode(out)?.try_into().map_err(|_| RuleBroken::NotAHash)?;
    match number(cost)? {
        cost if BCRYPT_COST.contains(&cost) => Ok(Foreign::Bcrypt { cost, salt, out }),
        _ => Err(RuleBroken::TooCostly),
    }
}

fn pbkdf2(
    hash: Option<&str>,
    rounds: &str,
    salt: Vec<u8>,
    out: &[u8],
) -> Result<Foreign, RuleBroken> {
    let algorithm = match hash {
        Some("" | "-sha1" | "_sha1") => pbkdf2::PBKDF2_HMAC_SHA1,
        Some("-sha256" | "_sha256") => pbkdf2::PBKDF2_HMAC_SHA256,
        Some("-sha512" | "_sha512") => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return Err(RuleBroken::NotAHash),
    };
    // passlib and Django write the number alone, the PHC format `i=600000,l=32`.
    let rounds = match rounds.split_once('=') {
        None => number(rounds)?,
        Some(_) => field(rounds, "i")?,
    };
    let out = sized(&salt, out)?;
    match NonZeroU32::new(rounds) {
        Some(rounds) if rounds.get() <= PBKDF2_ROUNDS => {
            Ok(Foreign::Pbkdf2 { algorithm, rounds, salt, out })
        }
        Some(_) => Err(RuleBroken::TooCostly),
        None => Err(RuleBroken::NotAHash),
    }
}

fn scrypt(params: &str, salt: &str, out: &str) -> Result<Foreign, RuleBroken> {
    let (log_n, r, p) = (field(params, "ln")?, field(params, "r")?, field(params, "p")?);
    let (salt, out) = (ab64(salt)?, ab64(out)?);
    let out = sized(&salt, &out)?;
    let n = 1u64.checked_shl(log_n).ok_or(RuleBroken::TooCostly)?;
    let block = n.checked_mul(u64::from(r)).ok_or(RuleBroken::TooCostly)?;
    let memory = block.checked_mul(128).ok_or(RuleBroken::TooCostly)?;
    let work = block.checked_mul(u64::from(p)).ok_or(RuleBroken::TooCostly)?;
    if memory > SCRYPT_MEMORY || work > SCRYPT_WORK {
        return Err(RuleBroken::TooCostly);
    }
    let log_n = u8::try_from(log_n).map_err(|_| RuleBroken::TooCostly)?;
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| RuleBroken::NotAHash)?;
    Ok(Foreign::Scrypt { params, salt, out })
}

fn sized(salt: &[u8], out: &[u8]) -> Result<Vec<u8>, RuleBroken> {
    match SALT_BYTES.contains(&salt.len()) && OUT_BYTES.contains(&out.len()) {
        true => Ok(out.to_vec()),
        false => Err(RuleBroken::NotAHash),
    }
}

/// Standard base64; passlib writes `.` for `+`.
fn ab64(text: &str) -> Result<Vec<u8>, RuleBroken> {
    STANDARD.decode(text.replace('.', "+")).map_err(|_| RuleBroken::NotAHash)
}

/// A number of a list like `ln=16,r=8,p=1`.
fn field(list: &str, name: &str) -> Result<u32, RuleBroken> {
    let value = |pair: &str| pair.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
    let found = list.split(',').find_map(value).ok_or(RuleBroken::NotAHash)?;
    number(&found)
}

fn number(text: &str) -> Result<u32, RuleBroken> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match digits {
        // Digits that are no such number are one that is too large.
        true => text.parse().map_err(|_| RuleBroken::TooCostly),
        false => Err(RuleBroken::NotAHash),
    }
}
