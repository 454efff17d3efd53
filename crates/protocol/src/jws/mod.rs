//! Compact JWS (RFC 7515 §7.1).
//!
//! Owns: splitting and decoding, the header's rules, the verification against a key set.
//!
//! Never does: look at `jwk`, `jku`, `x5u` or `x5c`. A token that brings its own key brings nothing.

pub use crate::algorithm::{Algorithm, AlgorithmFault, AlgorithmSet};

use crate::error::JwtError;
use crate::jwk::{Key, KeySet};
use crate::{b64, json};
use serde_json::Value;

/// Bytes of the decoded header. One with a certificate chain has 6 KB.
pub const HEADER_BYTES: usize = 8 * 1024;
/// Characters of the encoded signature: that of an RSA key of 8192 bits has 1366.
pub const SIGNATURE_CHARS: usize = 1366;

/// The members of a JOSE header that mean something here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `kid`.
    pub key_id: Option<Box<str>>,
    /// `typ`, as it was written.
    pub typ: Option<Box<str>>,
}

/// A JWS in compact form, decoded and not verified.
#[derive(Debug, Clone)]
pub struct Compact<'a> {
    header: Header,
    signing_input: &'a [u8],
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Decodes a compact JWS of at most `max` bytes.
    ///
    /// # Errors
    /// `Malformed`, `AlgorithmRefused`, `CriticalHeader`, `BadSignature` (one that is too long for any key).
    pub fn parse(token: &'a [u8], max: usize) -> Result<Self, JwtError> {
        if token.len() > max {
            return Err(JwtError::Malformed("it is too long"));
        }
        // RFC 7515 §7.1: header, payload and signature, separated by dots.
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header_part), Some(payload_part), Some(signature_part), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwtError::Malformed("it has not three parts"));
        };
        let header = b64::decode(header_part)
            .map_err(|_| JwtError::Malformed("the header is not base64url"))?;
        let header = read_header(&header)?;
        // Before anything is decoded or computed: a long signature costs nothing.
        if signature_part.len() > SIGNATURE_CHARS {
            return Err(JwtError::BadSignature);
        }
        let payload = b64::decode(payload_part)
            .map_err(|_| JwtError::Malformed("the payload is not base64url"))?;
        let signature = b64::decode(signature_part)
            .map_err(|_| JwtError::Malformed("the signature is not base64url"))?;
        let signing_input = token
            .get(..header_part.len() + 1 + payload_part.len())
            .ok_or(JwtError::Malformed("it has not three parts"))?;
        Ok(Self { header, signing_input, payload, signature })
    }

    /// The header. Nothing vouches for it before [`verify`].
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The header alone.
    pub(crate) fn into_header(self) -> Header {
        self.header
    }

    /// The `iss` of the payload, for the search for the right issuer and nothing else: no signature vouches
    /// for it, and the other claims are not looked at yet. What is strict about them, duplicates included,
    /// comes with [`crate::jwt::Claims::parse`].
    ///
    /// # Errors
    /// `Malformed` when the payload is no JSON object or has `iss` twice, `ClaimInvalid` when it is no
    /// string.
    pub fn unverified_issuer(&self) -> Result<Option<String>, JwtError> {
        let malformed = JwtError::Malformed("the claims are not a strict JSON object");
        // WHY: serde reads a structure from an array, too.
        if self.payload.trim_ascii_start().first() != Some(&b'{') {
            return Err(malformed);
        }
        let Payload { iss } = serde_json::from_slice(&self.payload).map_err(|_| malformed)?;
        match iss {
            None => Ok(None),
            Some(Value::String(iss)) => Ok(Some(iss)),
            Some(_) => Err(JwtError::ClaimInvalid("iss")),
        }
    }

    /// [`verify`], as a method.
    ///
    /// # Errors
    /// As there.
    pub fn verify(&self, keys: &KeySet, allowed: AlgorithmSet) -> Result<(), JwtError> {
        verify(self, keys, allowed)
    }

    /// Verifies with this one key, whatever `kid` says: for proofs, which bring their key (RFC 9449 §4.2).
    ///
    /// # Errors
    /// `AlgorithmRefused`, `UnknownKey` (one that does not fit the algorithm), `BadSignature`.
    pub(crate) fn verify_with(&self, key: &Key, allowed: AlgorithmSet) -> Result<(), JwtError> {
        let algorithm = self.header.algorithm;
        if !allowed.contains(algorithm) {
            return Err(JwtError::AlgorithmRefused(AlgorithmFault::NotAllowed));
        }
        if !key.fits(algorithm) {
            return Err(JwtError::UnknownKey);
        }
        match key.material().verifies(algorithm, self.signing_input, &self.signature) {
            true => Ok(()),
            false => Err(JwtError::BadSignature),
        }
    }

    /// The payload. Nothing vouches for it before [`verify`].
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Verifies the signature with the key of `keys` that the header points to.
///
/// # Errors
/// `AlgorithmRefused` when the algorithm is not in `allowed`, `UnknownKey`, `BadSignature`.
pub fn verify(jws: &Compact<'_>, keys: &KeySet, allowed: AlgorithmSet) -> Result<(), JwtError> {
    let algorithm = jws.header.algorithm;
    // RFC 8725 §3.1: only algorithms that the verifier was configured with.
    if !allowed.contains(algorithm) {
        return Err(JwtError::AlgorithmRefused(AlgorithmFault::NotAllowed));
    }
    let mut outcome = JwtError::UnknownKey;
    for key in keys.find(jws.header.key_id.as_deref(), algorithm) {
        if key.material().verifies(algorithm, jws.signing_input, &jws.signature) {
            return Ok(());
        }
        outcome = JwtError::BadSignature;
    }
    Err(outcome)
}

#[derive(serde::Deserialize)]
struct Payload {
    iss: Option<Value>,
}

fn read_header(bytes: &[u8]) -> Result<Header, JwtError> {
    // RFC 7515 §4: a JSON object whose member names are unique.
    let header = json::object(bytes, HEADER_BYTES)
        .map_err(|_| JwtError::Malformed("the header is not a strict JSON object"))?;
    let text = |name: &str| match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(JwtError::Malformed("a member of the header is not a string")),
    };
    // RFC 7515 §4.1.1: `alg` is required.
    let algorithm = text("alg")?.ok_or(JwtError::Malformed("the header has no algorithm"))?;
    let algorithm = algorithm.parse::<Algorithm>().map_err(JwtError::AlgorithmRefused)?;
    // RFC 7515 §4.1.11: no extension is understood, so any `crit` is refused. RFC 7797 §6: `b64` must stand
    // in `crit`; a producer that forgot it means another signing input than we would compute.
    if header.contains_key("crit") || header.get("b64").is_some_and(|b64| *b64 != Value::Bool(true))
    {
        return Err(JwtError::CriticalHeader);
    }
    let (key_id, typ) = (text("kid")?.map(Into::into), text("typ")?.map(Into::into));
    Ok(Header { algorithm, key_id, typ })
}

#[cfg(test)]
mod tests;
