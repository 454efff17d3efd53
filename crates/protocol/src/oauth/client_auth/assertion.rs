//! A client's signed assertion (RFC 7523 §3).

use crate::algorithm::AlgorithmSet;
use crate::error::JwtError;
use crate::jwk::KeySet;
use crate::jwt::{Claims, Token, TokenTypes, times};
use base::UnixMs;
use base::limits::CREDENTIAL_BYTES;
use std::time::Duration;

/// How far in the future an assertion may end: its `jti` must be remembered for as long.
pub const ASSERTION_LIFETIME: Duration = Duration::from_secs(3600);
/// Bytes of a `jti`.
pub const JTI_BYTES: usize = 256;

/// Types of client assertions: `client-authentication+jwt` of the revision of RFC 7523, and what clients
/// send until then. A token that says that it is something else is refused (RFC 8725 §3.11).
const TYPES: TokenTypes = TokenTypes { absent: true, names: &["JWT", "client-authentication+jwt"] };

/// Why an assertion does not authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// Its form, signature, type or times.
    #[error(transparent)]
    Token(#[from] JwtError),
    /// `iss` and `sub` are not both the client.
    #[error("the assertion is not of the client for itself")]
    NotTheClient,
    /// `aud` is not the issuer and nothing else, or, where only the issuer is taken, not a string.
    #[error("the assertion is not for this issuer alone")]
    Audience,
    /// `exp` is farther than [`ASSERTION_LIFETIME`].
    #[error("the assertion is valid for too long")]
    TooLong,
    /// `jti` is missing or too long.
    #[error("the assertion has no usable jti")]
    NoJti,
}

/// What an assertion must be.
#[derive(Debug, Clone, Copy)]
pub struct AssertionExpectation<'a> {
    /// The client.
    pub client_id: &'a str,
    /// Our issuer.
    pub issuer: &'a str,
    /// Further audiences that are taken, such as the token endpoint (RFC 7523 §3). Without any, as for a
    /// FAPI client, `aud` must be a string, not an array.
    pub also: &'a [&'a str],
    /// The client's keys.
    pub keys: &'a KeySet,
    /// The algorithms that the client may use.
    pub algorithms: AlgorithmSet,
    /// The time.
    pub now: UnixMs,
    /// How far the client's clock may be off.
    pub skew: Duration,
}

/// What may be used once only, and until when that must be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceOnly {
    /// `jti`.
    pub jti: Box<str>,
    /// When it can no longer be used, skew included.
    pub until: UnixMs,
}

/// An assertion, read and not verified.
#[derive(Debug, Clone)]
pub struct ClientAssertion<'a>(Token<'a>);

impl<'a> ClientAssertion<'a> {
    /// Reads an assertion.
    ///
    /// # Errors
    /// As [`Token::parse`].
    pub fn parse(text: &'a str) -> Result<Self, JwtError> {
        Token::parse(text.as_bytes(), CREDENTIAL_BYTES).map(Self)
    }

    /// The client that it claims to be of, for the search for its keys and nothing else.
    pub fn claimed_client(&self) -> Option<&str> {
        self.0.unverified().issuer()
    }

    /// Verifies and judges it.
    ///
    /// # Errors
    /// See [`AssertionError`].
    pub fn validate(self, expect: &AssertionExpectation<'_>) -> Result<OnceOnly, AssertionError> {
        // FAPI 2.0 Security Profile §5.3.2.1 (8): the issuer alone, as a string.
        let form = !expect.also.is_empty() || self.0.audience_is_text();
        let signed = self.0.verify(expect.keys, expect.algorithms)?;
        if !TYPES.takes(signed.header.typ.as_deref()) {
            return Err(JwtError::WrongType.into());
        }
        if !form {
            return Err(AssertionError::Audience);
        }
        judge(&signed.claims, expect)
    }
}

fn judge(claims: &Claims, expect: &AssertionExpectation<'_>) -> Result<OnceOnly, AssertionError> {
    // RFC 7523 §3 (1, 2.B), OpenID Connect Core §9: issuer and subject are the client.
    let is_client = |it: &Option<Box<str>>| it.as_deref() == Some(expect.client_id);
    if !is_client(&claims.issuer) || !is_client(&claims.subject) {
        return Err(AssertionError::NotTheClient);
    }
    // RFC 7523 §3 (3), stricter: every audience is ours, so that nobody who gets the assertion can use it at
    // another server, nor another server here.
    let ours = |aud: &str| aud == expect.issuer || expect.also.contains(&aud);
    if claims.audiences.is_empty() || !claims.audiences.iter().all(|aud| ours(aud)) {
        return Err(AssertionError::Audience);
    }
    // RFC 7523 §3 (4, 5, 6).
    times(claims, expect.now, expect.skew)?;
    let expires_at = claims.expires_at.ok_or(JwtError::ClaimInvalid("exp"))?;
    if expires_at > expect.now.plus(ASSERTION_LIFETIME).plus(expect.skew) {
        return Err(AssertionError::TooLong);
    }
    // OpenID Connect Core §9: once only, so it needs an id.
    let jti = claims.jti.clone().filter(|jti| !jti.is_empty() && jti.len() <= JTI_BYTES);
    let jti = jti.ok_or(AssertionError::NoJti)?;
    Ok(OnceOnly { jti, until: expires_at.plus(expect.skew) })
}
