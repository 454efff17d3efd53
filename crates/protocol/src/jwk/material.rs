//! The typed keys and the one place where a signature is verified.

use super::read::SkipReason;
use super::{roca, small_order};
use crate::algorithm::Algorithm;
use crate::b64;
use crate::json::Object;
use crate::p256::Gradual;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents,
};
use serde_json::Value;

/// Bits of the smallest RSA modulus that is taken (RFC 7518 §3.3, §3.5).
const RSA_BITS_MIN: usize = 2048;
/// Bits of the largest; verification takes time with the square of it.
const RSA_BITS_MAX: usize = 8192;
/// Bytes of the largest RSA exponent; larger ones only make verification slow.
const RSA_EXPONENT_BYTES: usize = 4;

/// A public key whose kind is its type.
#[derive(Debug, Clone)]
pub enum VerifyingKey {
    /// NIST P-256.
    P256(P256Key),
    /// NIST P-384.
    P384(EcKey<48>),
    /// Ed25519.
    Ed25519(EdKey),
    /// RSA of 2048 to 8192 bits.
    Rsa(RsaKey),
}

/// A point on the NIST curve whose coordinates have `N` bytes.
#[derive(Debug, Clone)]
pub struct EcKey<const N: usize> {
    x: [u8; N],
    y: [u8; N],
    parsed: ParsedPublicKey,
}

/// A point on NIST P-256, and the table that it gets when it is much used.
#[derive(Debug, Clone)]
pub struct P256Key {
    point: EcKey<32>,
    table: Gradual,
}

impl P256Key {
    /// The table may only accept; where it does not, the library decides (`docs/adr/0006-fast-p256.md`).
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        if self.table.accepts(|| sha256(message), signature) {
            return true;
        }
        let good = self.point.parsed.verify_sig(message, signature).is_ok();
        if good {
            self.table.verified(&self.point.x, &self.point.y);
        }
        good
    }
}

/// An Ed25519 public key.
#[derive(Debug, Clone)]
pub struct EdKey {
    x: [u8; 32],
    parsed: ParsedPublicKey,
}

/// An RSA public key, prepared for each algorithm that it may be used with.
#[derive(Debug, Clone)]
pub struct RsaKey {
    n: Box<[u8]>,
    e: Box<[u8]>,
    parsed: Box<[(Algorithm, ParsedPublicKey)]>,
}

impl VerifyingKey {
    /// The P-256 key with these coordinates.
    ///
    /// # Errors
    /// When they are not those of a point on the curve.
    pub fn p256(x: [u8; 32], y: [u8; 32]) -> Result<Self, SkipReason> {
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, uncompressed(&x, &y))
            .map_err(|_| SkipReason::NotAPoint)?;
        Ok(Self::P256(P256Key { point: EcKey { x, y, parsed }, table: Gradual::default() }))
    }

    /// The P-384 key with these coordinates.
    ///
    /// # Errors
    /// When they are not those of a point on the curve.
    pub fn p384(x: [u8; 48], y: [u8; 48]) -> Result<Self, SkipReason> {
        let parsed = ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, uncompressed(&x, &y))
            .map_err(|_| SkipReason::NotAPoint)?;
        Ok(Self::P384(EcKey { x, y, parsed }))
    }

    /// The Ed25519 key with this encoding.
    ///
    /// # Errors
    /// When it is not a point on the curve, or one of small order.
    pub fn ed25519(x: [u8; 32]) -> Result<Self, SkipReason> {
        // RFC 8032 §8.9: with a key of small order anybody can make signatures.
        if small_order::is(x) {
            return Err(SkipReason::Weak);
        }
        let parsed = ParsedPublicKey::new(&ED25519, x).map_err(|_| SkipReason::NotAPoint)?;
        Ok(Self::Ed25519(EdKey { x, parsed }))
    }

    /// The RSA key with modulus `n` and exponent `e`, big-endian without leading zeros; prepared for
    /// `only`, or else for all RSA algorithms.
    ///
    /// # Errors
    /// When the numbers are out of bounds or of a known weak form.
    pub fn rsa(n: &[u8], e: &[u8], only: Option<Algorithm>) -> Result<Self, SkipReason> {
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        // RFC 7518 §6.3.1.1: the modulus has no leading zero octet.
        if n.first().is_none_or(|first| *first == 0) || e.first().is_none_or(|first| *first == 0) {
            return Err(SkipReason::Encoding);
        }
        // RFC 7518 §3.3 and §3.5: a key of 2048 bits or larger.
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(SkipReason::RsaSize);
        }
        let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        if !odd(n) || !odd(e) || e == [1] || e.len() > RSA_EXPONENT_BYTES || roca::is_weak(n) {
            return Err(SkipReason::Weak);
        }
        let components = RsaPublicKeyComponents { n, e };
        let parsed = Algorithm::RSA
            .into_iter()
            .filter(|algorithm| only.is_none_or(|only| only == *algorithm))
            .filter_map(|algorithm| Some((algorithm, rsa_parameters(algorithm)?)))
            .map(|(algorithm, parameters)| {
                let parsed = components.to_parsed_public_key(parameters);
                parsed.map(|it| (algorithm, it)).map_err(|_| SkipReason::Weak)
            })
            .collect::<Result<Box<[_]>, _>>()?;
        Ok(Self::Rsa(RsaKey { n: n.into(), e: e.into(), parsed }))
    }

    /// How many bytes a signature by this key has.
    pub fn signature_len(&self) -> usize {
        match self {
            Self::P256(_) | Self::Ed25519(_) => 64,
            Self::P384(_) => 96,
            Self::Rsa(key) => key.n.len(),
        }
    }

    /// Whether `signature` is this key's of `message` under `algorithm`. False, too, for an algorithm that
    /// does not fit.
    #[must_use]
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        // RFC 7518 §3.4, RFC 8017 §8.1.2 and §8.2.2 step 1: the length is fixed; looked at before any
        // arithmetic.
        if signature.len() != self.signature_len() {
            return false;
        }
        let parsed = match (self, algorithm) {
            (Self::P256(key), Algorithm::Es256) => return key.verifies(message, signature),
            (Self::P384(key), Algorithm::Es384) => Some(&key.parsed),
            (Self::Ed25519(key), Algorithm::EdDsa) => Some(&key.parsed),
            (Self::Rsa(key), _) => {
                key.parsed.iter().find(|(own, _)| *own == algorithm).map(|(_, parsed)| parsed)
            }
            _ => None,
        };
        parsed.is_some_and(|parsed| parsed.verify_sig(message, signature).is_ok())
    }

    /// What the table of a P-256 key says alone of `signature`, for tests that compare it with
    /// [`Self::verifies`]. `None` for other keys.
    #[doc(hidden)]
    pub fn accepted_by_table(&self, message: &[u8], signature: &[u8]) -> Option<bool> {
        let Self::P256(P256Key { point, table }) = self else { return None };
        Some(table.judged([&point.x, &point.y], sha256(message), signature))
    }

    /// The members of its JWK that are required, in the order that RFC 7638 §3 asks for.
    pub(super) fn required(&self) -> Vec<(&'static str, String)> {
        let ec = |crv: &str, x: &[u8], y: &[u8]| {
            vec![
                ("crv", crv.to_owned()),
                ("kty", "EC".to_owned()),
                ("x", b64::encode(x)),
                ("y", b64::encode(y)),
            ]
        };
        match self {
            Self::P256(P256Key { point, .. }) => ec("P-256", &point.x, &point.y),
            Self::P384(key) => ec("P-384", &key.x, &key.y),
            Self::Ed25519(key) => vec![
                ("crv", "Ed25519".to_owned()),
                ("kty", "OKP".to_owned()),
                ("x", b64::encode(key.x)),
            ],
            Self::Rsa(key) => vec![
                ("e", b64::encode(&key.e)),
                ("kty", "RSA".to_owned()),
                ("n", b64::encode(&key.n)),
            ],
        }
    }

    /// The same as a JSON object.
    pub(super) fn members(&self) -> Object {
        self.required().into_iter().map(|(name, value)| (name.into(), Value::from(value))).collect()
    }

    /// RFC 7638 §3: SHA-256 of the required members, in lexicographic order, without white space. All
    /// values are base64url or fixed names, so nothing needs escaping.
    pub(super) fn thumbprint(&self) -> [u8; 32] {
        let members = self.required();
        let text: Vec<String> =
            members.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        sha256(format!("{{{}}}", text.join(",")).as_bytes())
    }
}

/// SHA-256 of `bytes`.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
        *to = *from;
    }
    out
}

/// SEC 1 §2.3.3: the octet string of an uncompressed point.
fn uncompressed(x: &[u8], y: &[u8]) -> Vec<u8> {
    let mut point = Vec::with_capacity(1 + x.len() + y.len());
    point.push(4);
    point.extend_from_slice(x);
    point.extend_from_slice(y);
    point
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
        Algorithm::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}
