//! Demonstrating proof of possession (RFC 9449).
//!
//! Owns: the checks of a proof (§4.3), the nonces that a server asks for (§8, §9).
//!
//! Never does: remember a `jti`. What it returns says until when that must be done.
//!
//! Invariant: a [`Proof`] was signed by the key whose thumbprint it carries, for this method and this URI,
//! and lately.

mod nonce;
#[cfg(test)]
mod tests;

pub use nonce::{NONCE_STEP, NonceMaker, NonceStepError};

use crate::algorithm::AlgorithmSet;
use crate::b64;
use crate::error::JwtError;
use crate::json::{self, Object};
use crate::jwk::{Key, SkipReason};
use crate::jws::{Compact, HEADER_BYTES};
use crate::jwt::{Claims, TokenTypes};
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::uri::Uri;
use aws_lc_rs::digest::{SHA256, digest};
use base::UnixMs;
use base::limits::CLOCK_SKEW;
use serde_json::Value;
use std::time::Duration;

/// The header's name (§4.1).
pub const HEADER: &str = "DPoP";
/// The header that carries a server's nonce (§8.1).
pub const NONCE_HEADER: &str = "DPoP-Nonce";
/// Bytes of a proof: with the largest RSA key it has 4 KB.
pub const PROOF_BYTES: usize = 8 * 1024;
/// Bytes of a `jti`. A UUID has 36.
pub const JTI_BYTES: usize = 256;
/// How old a proof may be (§11.1: "relatively brief"); [`CLOCK_SKEW`] comes on top, on both sides.
pub const PROOF_AGE: Duration = Duration::from_secs(60);

const TYPES: TokenTypes = TokenTypes { absent: false, names: &["dpop+jwt"] };

/// Why a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DpopError {
    /// There is no proof.
    #[error("there is no DPoP proof")]
    Missing,
    /// There are several (§4.3 check 1).
    #[error("there is more than one DPoP proof")]
    Several,
    /// Its form, type, algorithm, signature or claims.
    #[error(transparent)]
    Token(#[from] JwtError),
    /// `jwk` is missing, or not a public key that can be used.
    #[error("the DPoP proof has no usable public key")]
    Key(#[source] SkipReason),
    /// `jti` is missing or too long.
    #[error("the DPoP proof has no usable jti")]
    Jti,
    /// `htm` is not the method.
    #[error("the DPoP proof is for another method")]
    Method,
    /// `htu` is not the URI.
    #[error("the DPoP proof is for another URI")]
    Uri,
    /// `iat` is missing, too old or in the future.
    #[error("the DPoP proof is too old or from the future")]
    Stale,
    /// `ath` is not the hash of the access token.
    #[error("the DPoP proof is not for this access token")]
    AccessToken,
    /// The nonce is missing or no longer taken: the client tries again with a new one.
    #[error("the DPoP proof needs the nonce of the server")]
    UseNonce,
}

impl From<DpopError> for OAuthError {
    fn from(error: DpopError) -> Self {
        let code = match error {
            DpopError::UseNonce => ErrorCode::UseDpopNonce,
            _ => ErrorCode::InvalidDpopProof,
        };
        Self::new(code, error.to_string())
    }
}

/// What a proof must be.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// The URI of the request, as the client knows it: by the public name, not by a header of the request.
    pub uri: &'a str,
    /// The access token that comes with it, at a protected resource.
    pub access_token: Option<&'a [u8]>,
    /// The algorithms that are taken.
    pub algorithms: AlgorithmSet,
    /// The maker of nonces, where one is asked for.
    pub nonces: Option<&'a NonceMaker>,
    /// The time.
    pub now: UnixMs,
}

/// A proof that holds. Its `jti` must not have been seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The thumbprint of its key (RFC 7638, SHA-256), as in `cnf.jkt` (§6.1).
    pub jkt: Box<str>,
    /// `jti`.
    pub jti: Box<str>,
    /// `iat`.
    pub issued_at: UnixMs,
    /// `nonce`. Judged only if the expectation has a maker of nonces.
    pub nonce: Option<Box<str>>,
    /// Until when the pair of `jkt` and `jti` must be remembered; later the proof is too old by itself.
    pub until: UnixMs,
}

/// Verifies the proof of a request (§4.3). `headers` are the values of all its `DPoP` headers.
///
/// # Errors
/// See [`DpopError`].
pub fn verify(headers: &[&[u8]], expect: &Expectation<'_>) -> Result<Proof, DpopError> {
    // §4.3 check 1: one header.
    let text = match headers {
        [] => return Err(DpopError::Missing),
        [one] => *one,
        _ => return Err(DpopError::Several),
    };
    // Checks 2 and 5: one well-formed JWT with an asymmetric algorithm that is taken.
    let jws = Compact::parse(text, PROOF_BYTES)?;
    // Check 4.
    if !TYPES.takes(jws.header().typ.as_deref()) {
        return Err(JwtError::WrongType.into());
    }
    // Checks 6 and 7: by the key in the header, which is a public one.
    let key = key(text)?;
    jws.verify_with(&key, expect.algorithms)?;
    let payload = json::object(jws.payload(), PROOF_BYTES)
        .map_err(|_| JwtError::Malformed("the claims are not a strict JSON object"))?;
    let claims = Claims::from_object(payload)?;
    judge(claims, b64::encode(key.thumbprint()).into(), expect)
}

/// The `jwk` of the header (§4.2).
fn key(text: &[u8]) -> Result<Key, DpopError> {
    let part = text.split(|c| *c == b'.').next().unwrap_or_default();
    let header = b64::decode(part).ok().and_then(|it| json::object(&it, HEADER_BYTES).ok());
    match header.as_ref().and_then(|header| header.get("jwk")) {
        Some(Value::Object(jwk)) => Key::read(jwk).map_err(DpopError::Key),
        _ => Err(DpopError::Key(SkipReason::Shape)),
    }
}

/// §4.3 checks 3 and 8 to 12.
fn judge(claims: Claims, jkt: Box<str>, expect: &Expectation<'_>) -> Result<Proof, DpopError> {
    let jti = claims.jti.filter(|jti| !jti.is_empty() && jti.len() <= JTI_BYTES);
    let jti = jti.ok_or(DpopError::Jti)?;
    // Check 8. Methods have case (RFC 9110 §9.1).
    if text(&claims.other, "htm") != Some(expect.method) {
        return Err(DpopError::Method);
    }
    // Check 9: without query and fragment, in their normal form.
    let normal = |uri: &str| Uri::parse(uri).and_then(|uri| uri.normal_web());
    let own = normal(expect.uri);
    if own.is_none() || text(&claims.other, "htu").and_then(normal) != own {
        return Err(DpopError::Uri);
    }
    // Check 11: created lately. `exp` and `nbf` are not asked for; one that is there counts.
    let issued_at = claims.issued_at.ok_or(DpopError::Stale)?;
    let until = issued_at.plus(PROOF_AGE).plus(CLOCK_SKEW);
    let late = expect.now.plus(CLOCK_SKEW);
    let future = issued_at > late || claims.not_before.is_some_and(|it| it > late);
    let past = claims.expires_at.is_some_and(|it| it.plus(CLOCK_SKEW) <= expect.now);
    if future || past || until <= expect.now {
        return Err(DpopError::Stale);
    }
    // Check 12: bound to the token that it comes with.
    if let Some(token) = expect.access_token
        && text(&claims.other, "ath") != Some(b64::encode(digest(&SHA256, token)).as_str())
    {
        return Err(DpopError::AccessToken);
    }
    // Check 10, last: a client that is told to use a nonce has nothing else to mend.
    let nonce = text(&claims.other, "nonce");
    if let Some(maker) = expect.nonces
        && !nonce.is_some_and(|nonce| maker.accepts(nonce, expect.now))
    {
        return Err(DpopError::UseNonce);
    }
    Ok(Proof { jkt, jti, issued_at, nonce: nonce.map(Into::into), until })
}

fn text<'a>(claims: &'a Object, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}
