//! The ID token that came back, judged (OpenID Connect Core §3.1.3.7).
//!
//! Never does: reach the network or read a clock. Pure.

use base::UnixMs;
use base::limits::{CLOCK_SKEW, CREDENTIAL_BYTES};
use protocol::AlgorithmSet;
use protocol::jwk::KeySet;
use protocol::jwt::{Claims, Expectation, JwtError, Token, TokenTypes, validate};
use protocol::oidc::token_hash;
use serde_json::Value;

/// Characters of a subject (OpenID Connect Core §2).
const SUBJECT_CHARS: usize = 255;
/// ID tokens say nothing of their type, or that they are JWTs. WHY not `at+jwt` and its kin: the same keys sign those
/// (RFC 8725 §3.11).
const TYPES: TokenTypes = TokenTypes { absent: true, names: &["JWT"] };

/// What the token must say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    /// The access token that came with it.
    pub(super) access_token: Option<&'a str>,
    /// When the person was sent away.
    pub(super) begun: UnixMs,
    pub(super) now: UnixMs,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// As of any JWT.
    #[error("the ID token: {0}")]
    Jwt(#[from] JwtError),
    /// It is a statement about events.
    #[error("what came is no ID token")]
    NotOne,
    /// §3.1.3.7 rules 4 and 5.
    #[error("the ID token was issued to another client (azp)")]
    Party,
    /// §3.1.3.7 rule 11.
    #[error("the ID token has another nonce")]
    Nonce,
    /// `iat` is missing, or lies before the person was sent away.
    #[error("the ID token is older than the sign-in")]
    Old,
    /// `sub` is missing, empty or too long.
    #[error("the ID token names nobody")]
    Nobody,
    /// §3.1.3.8.
    #[error("the access token is not the one of the ID token (at_hash)")]
    AccessToken,
}

/// Judges a token; its claims.
pub(super) fn check(text: &str, keys: &KeySet, expected: &Expected<'_>) -> Result<Claims, Fault> {
    let token = Token::parse(text.as_bytes(), CREDENTIAL_BYTES)?;
    // Rules 6 to 8: always by signature, with a key of the provider. There are no symmetric algorithms and no `none`.
    let signed = token.verify(keys, AlgorithmSet::ALL)?;
    let claims = signed.claims;
    let audiences = [expected.client_id.to_owned()];
    let expectation = Expectation {
        issuer: expected.issuer,
        audiences: &audiences,
        types: TYPES,
        now: expected.now,
        skew: CLOCK_SKEW,
    };
    validate(&claims, &signed.header, &expectation)?;
    if claims.events.is_some() {
        return Err(Fault::NotOne);
    }
    // Rules 3 to 5: where there are other audiences, or a party is named, we are that party.
    let party = claims.authorized_party.as_deref();
    if party.is_some_and(|it| it != expected.client_id)
        || (party.is_none() && claims.audiences.len() > 1)
    {
        return Err(Fault::Party);
    }
    let same = |given: &str, own: &str| {
        aws_lc_rs::constant_time::verify_slices_are_equal(given.as_bytes(), own.as_bytes()).is_ok()
    };
    if !claims.other.get("nonce").and_then(Value::as_str).is_some_and(|it| same(it, expected.nonce))
    {
        return Err(Fault::Nonce);
    }
    // Rule 10: `iat` is required (§2), and nothing that was signed before we asked answers us.
    if claims.issued_at.is_none_or(|it| it.plus(CLOCK_SKEW) < expected.begun) {
        return Err(Fault::Old);
    }
    let subject = claims.subject.as_deref().unwrap_or_default();
    if subject.is_empty() || subject.chars().count() > SUBJECT_CHARS {
        return Err(Fault::Nobody);
    }
    if let (Some(hash), Some(token)) = (claims.other.get("at_hash"), expected.access_token)
        && hash.as_str() != Some(&token_hash(signed.header.algorithm, token))
    {
        return Err(Fault::AccessToken);
    }
    Ok(claims)
}
