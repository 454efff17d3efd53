//! One JWK: which keys are usable, and why others are not.

use super::{Key, VerifyingKey};
use crate::algorithm::Algorithm;
use crate::b64;
use crate::json::Object;
use serde_json::Value;

/// Members that only symmetric and private keys have (RFC 7518 §6.2.2, §6.3.2, §6.4).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// Bytes of a `kid`. Thumbprint URIs (RFC 9278) have 77.
const KID_BYTES: usize = 256;

/// Why a key of a set is not used. The rest of the set is not affected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// The entry is not an object, or a member is missing or of the wrong type.
    #[error("a member is missing or of the wrong type")]
    Shape,
    /// A number is not canonical base64url, or has another length than its curve gives it.
    #[error("a number is not encoded as it must be")]
    Encoding,
    /// A symmetric key: whoever reads the set could sign with it.
    #[error("the key is symmetric")]
    Symmetric,
    /// The private half stands beside the public one.
    #[error("the key is published with its private half")]
    Private,
    /// `use` is not `sig`, or `key_ops` does not hold `verify`.
    #[error("the key is not meant for signatures")]
    NotForSignatures,
    /// `kty` or `crv` is not one that is known here.
    #[error("the kind of key is not known")]
    UnknownKind,
    /// `alg` is not known, or is not one for this kind of key.
    #[error("the key's algorithm is not known or does not fit it")]
    Algorithm,
    /// The coordinates are not on the curve.
    #[error("the key is not a point on its curve")]
    NotAPoint,
    /// An RSA modulus of less than 2048 or more than 8192 bits.
    #[error("the modulus has less than 2048 or more than 8192 bits")]
    RsaSize,
    /// An RSA exponent or modulus of a weak form, or an Ed25519 point of small order.
    #[error("the key is of a weak form")]
    Weak,
    /// More keys stand in the set than are read.
    #[error("the set holds too many keys")]
    TooMany,
}

/// Reads one JWK.
pub(super) fn key(jwk: &Object) -> Result<Key, SkipReason> {
    let kty = text(jwk, "kty")?.ok_or(SkipReason::Shape)?;
    if kty == "oct" {
        return Err(SkipReason::Symmetric);
    }
    if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
        return Err(SkipReason::Private);
    }
    purpose(jwk)?;
    let id = text(jwk, "kid")?;
    if id.is_some_and(|id| id.len() > KID_BYTES) {
        return Err(SkipReason::Shape);
    }
    let algorithm = text(jwk, "alg")?
        .map(str::parse::<Algorithm>)
        .transpose()
        .map_err(|_| SkipReason::Algorithm)?;
    let material = match (kty, text(jwk, "crv")?) {
        ("EC", Some("P-256")) => VerifyingKey::p256(fixed(jwk, "x")?, fixed(jwk, "y")?)?,
        ("EC", Some("P-384")) => VerifyingKey::p384(fixed(jwk, "x")?, fixed(jwk, "y")?)?,
        ("OKP", Some("Ed25519")) => VerifyingKey::ed25519(fixed(jwk, "x")?)?,
        ("RSA", None) => VerifyingKey::rsa(&number(jwk, "n")?, &number(jwk, "e")?, algorithm)?,
        ("EC" | "OKP", None) | ("RSA", Some(_)) => return Err(SkipReason::Shape),
        _ => return Err(SkipReason::UnknownKind),
    };
    if algorithm.is_some_and(|algorithm| !algorithm.fits(&material)) {
        return Err(SkipReason::Algorithm);
    }
    let thumbprint = material.thumbprint();
    Ok(Key { id: id.map(Into::into), algorithm, material, thumbprint })
}

/// RFC 7517 §4.2 and §4.3: a key that says what it is for is used for nothing else.
fn purpose(jwk: &Object) -> Result<(), SkipReason> {
    if text(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(SkipReason::NotForSignatures);
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(ops)) if ops.iter().any(|op| op == "verify") => Ok(()),
        Some(Value::Array(_)) => Err(SkipReason::NotForSignatures),
        Some(_) => Err(SkipReason::Shape),
    }
}

fn text<'a>(jwk: &'a Object, name: &str) -> Result<Option<&'a str>, SkipReason> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(SkipReason::Shape),
    }
}

fn number(jwk: &Object, name: &str) -> Result<Vec<u8>, SkipReason> {
    let text = text(jwk, name)?.ok_or(SkipReason::Shape)?;
    b64::decode(text.as_bytes()).map_err(|_| SkipReason::Encoding)
}

/// RFC 7518 §6.2.1.2, RFC 8037 §2: a coordinate has exactly the length of its curve's field.
fn fixed<const N: usize>(jwk: &Object, name: &str) -> Result<[u8; N], SkipReason> {
    number(jwk, name)?.try_into().map_err(|_| SkipReason::Encoding)
}
