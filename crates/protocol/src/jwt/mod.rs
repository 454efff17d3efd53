//! JSON Web Tokens (RFC 7519) as access tokens (RFC 9068).
//!
//! Owns: the claims with their strict types, the order in which a token is read and verified, the rules of
//! validity.
//!
//! Never does: read the clock; `now` is an argument.
//!
//! Invariant: a claim that is present has the type that its specification gives it, or the token is refused;
//! no check is skipped because a value could not be read.

mod claims;
#[cfg(test)]
mod tests;
mod validate;

pub use claims::{Claims, Confirmation};
pub use validate::{Expectation, TokenTypes, validate};
pub(crate) use validate::{audience, times};

use crate::algorithm::AlgorithmSet;
pub use crate::error::JwtError;

use crate::jwk::KeySet;
use crate::jws::{self, Compact, Header};

/// A value for which no signature vouches yet: it may steer the search for the right key, and nothing else.
#[derive(Debug, Clone)]
pub struct Unverified<T>(T);

impl Unverified<Claims> {
    /// The `iss` that the token claims.
    pub fn issuer(&self) -> Option<&str> {
        self.0.issuer.as_deref()
    }
}

/// A signed token, read and not verified.
#[derive(Debug, Clone)]
pub struct Token<'a> {
    jws: Compact<'a>,
    claims: Unverified<Claims>,
}

/// A token whose signature was verified. Whether it is valid for us, [`validate`] says.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The header.
    pub header: Header,
    /// The claims.
    pub claims: Claims,
}

impl<'a> Token<'a> {
    /// Whether `credential` has the form of a compact JWS: three parts of base64url characters. Opaque
    /// tokens do not.
    pub fn looks_like(credential: &[u8]) -> bool {
        credential.starts_with(b"ey")
            && credential.iter().filter(|byte| **byte == b'.').count() == 2
    }

    /// Reads a token of at most `max` bytes.
    ///
    /// # Errors
    /// `Malformed`, `AlgorithmRefused`, `CriticalHeader`, `ClaimInvalid`, `BadSignature` (too long).
    pub fn parse(token: &'a [u8], max: usize) -> Result<Self, JwtError> {
        let jws = Compact::parse(token, max)?;
        let claims = Unverified(Claims::parse(jws.payload())?);
        Ok(Self { jws, claims })
    }

    /// The claims as far as they may be used already.
    pub fn unverified(&self) -> &Unverified<Claims> {
        &self.claims
    }

    /// The header. Nothing vouches for it yet.
    pub fn header(&self) -> &Header {
        self.jws.header()
    }

    /// Whether `aud` is a single string, for rules that ask for that form. Nothing vouches for it yet.
    pub(crate) fn audience_is_text(&self) -> bool {
        let object = crate::json::object(self.jws.payload(), self.jws.payload().len());
        object.is_ok_and(|claims| claims.get("aud").is_some_and(serde_json::Value::is_string))
    }

    /// Verifies the signature, and only then gives out the claims.
    ///
    /// # Errors
    /// `AlgorithmRefused`, `UnknownKey`, `BadSignature`.
    pub fn verify(self, keys: &KeySet, allowed: AlgorithmSet) -> Result<Signed, JwtError> {
        jws::verify(&self.jws, keys, allowed)?;
        Ok(Signed { header: self.jws.into_header(), claims: self.claims.0 })
    }
}
