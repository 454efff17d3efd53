//! Credential public keys: COSE in, a typed key out. What is kept is a JWK.

use super::Refused;
use super::cbor::Item;
use protocol::b64;
use protocol::json::Object;
use protocol::jwk::Key;
use serde_json::{Value, json};

/// Algorithms that are asked for, the one preferred first (WebAuthn L3 §5.4; RS256 for older TPMs). By their COSE numbers.
/// WHY ES256 before Ed25519: every authenticator has it, and early firmware of some writes broken Ed25519 keys.
pub(super) const ALGORITHMS: [i64; 3] = [ES256, EDDSA, RS256];
/// EdDSA, here with Ed25519 (RFC 9053 §2.2; WebAuthn L3 §5.8.5).
pub(super) const EDDSA: i64 = -8;
/// ECDSA with SHA-256, here with P-256 (RFC 9053 §2.1; WebAuthn L3 §5.8.5).
pub(super) const ES256: i64 = -7;
/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8812 §2).
pub(super) const RS256: i64 = -257;

/// The JWK of a COSE key (RFC 9052 §7, RFC 9053 §7, RFC 8230 §4), checked: a point of its curve, no weak modulus.
///
/// # Errors
/// When it is none that was asked for, or cannot be used.
pub(super) fn jwk(cose: &Item<'_>) -> Result<Object, Refused> {
    let int = |label| cose.labelled(label).and_then(Item::int);
    let text = |label| cose.labelled(label).and_then(Item::bytes).map(b64::encode);
    let jwk = match (int(1), int(3), int(-1)) {
        (Some(2), Some(ES256), Some(1)) => {
            json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "x": text(-2), "y": text(-3) })
        }
        (Some(1), Some(EDDSA), Some(6)) => {
            json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": text(-2) })
        }
        (Some(3), Some(RS256), _) => {
            json!({ "kty": "RSA", "alg": "RS256", "n": text(-1), "e": text(-2) })
        }
        _ => return Err(Refused::Algorithm),
    };
    let Value::Object(jwk) = jwk else { return Err(Refused::Algorithm) };
    Key::read(&jwk).map_err(|_| Refused::Algorithm)?;
    Ok(jwk)
}

/// The COSE number of a kept key's algorithm.
pub(super) fn cose_algorithm(jwk: &Object) -> Option<i64> {
    match jwk.get("alg")?.as_str()? {
        "ES256" => Some(ES256),
        "EdDSA" => Some(EDDSA),
        "RS256" => Some(RS256),
        _ => None,
    }
}

/// Whether the key made this signature over the message.
pub(super) fn verifies(jwk: &Object, message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = Key::read(jwk) else { return false };
    let Some(algorithm) = key.algorithm() else { return false };
    // WebAuthn L3 §6.5.5: ECDSA signatures come in DER; JOSE has the two numbers side by side.
    match cose_algorithm(jwk) {
        Some(ES256) => fixed(signature)
            .is_some_and(|signature| key.material().verifies(algorithm, message, &signature)),
        Some(_) => key.material().verifies(algorithm, message, signature),
        None => false,
    }
}

/// The two numbers of a DER `Ecdsa-Sig-Value` (RFC 3279 §2.2.3), 32 bytes each. Only the one DER form is read.
pub(super) fn fixed(der: &[u8]) -> Option<[u8; 64]> {
    let (head, rest) = der.split_at_checked(2)?;
    if head.first() != Some(&0x30) || head.get(1).map(|len| usize::from(*len)) != Some(rest.len()) {
        return None;
    }
    let mut out = [0; 64];
    let (r, s) = out.split_at_mut(32);
    let rest = integer(rest, r)?;
    integer(rest, s)?.is_empty().then_some(out)
}

fn integer<'a>(der: &'a [u8], out: &mut [u8]) -> Option<&'a [u8]> {
    let (head, rest) = der.split_at_checked(2)?;
    let length = usize::from(*head.get(1)?);
    let (number, rest) = rest.split_at_checked(length)?;
    let number = match (head.first()?, number) {
        // X.690 §8.3.2: a zero before only where the number would be negative without it. SEC 1 §4.1.4: none is zero.
        (2, [0, after @ ..]) if after.first().is_some_and(|first| *first >= 0x80) => after,
        (2, [1..=0x7f, ..]) => number,
        _ => return None,
    };
    let start = out.len().checked_sub(number.len())?;
    out.get_mut(start..)?.copy_from_slice(number);
    Some(rest)
}
