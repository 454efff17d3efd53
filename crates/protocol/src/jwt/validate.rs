//! Whether a token whose signature is right is valid here and now.

use super::Claims;
use crate::error::JwtError;
use crate::jws::Header;
use base::UnixMs;
use std::time::Duration;

/// Which values of `typ` are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenTypes {
    /// Whether a token without `typ` is taken.
    pub absent: bool,
    /// The names that are taken, without `application/`; compared without regard to case.
    pub names: &'static [&'static str],
}

impl TokenTypes {
    /// Access tokens of any issuer: absent, `JWT` or `at+jwt`.
    pub const ACCESS: Self = Self { absent: true, names: &["JWT", "at+jwt"] };
    /// Only what says that it is an access token (RFC 9068 §2.1).
    pub const AT_JWT: Self = Self { absent: false, names: &["at+jwt"] };

    /// Whether `typ` is taken.
    pub fn takes(&self, typ: Option<&str>) -> bool {
        let Some(typ) = typ else { return self.absent };
        // RFC 7515 §4.1.9: `application/` may be left out, and media types have no case.
        let bare = match typ.split_at_checked("application/".len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
            _ => typ,
        };
        self.names.iter().any(|name| name.eq_ignore_ascii_case(bare))
    }
}

/// What a token must be to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// The issuer, compared byte by byte.
    pub issuer: &'a str,
    /// Audiences of which the token must name one. Never empty in a configuration that was checked; an
    /// empty list takes no token.
    pub audiences: &'a [String],
    /// The types that are taken.
    pub types: TokenTypes,
    /// The time.
    pub now: UnixMs,
    /// How far the issuer's clock may be off; see `base::limits::CLOCK_SKEW`.
    pub skew: Duration,
}

/// Judges type, issuer, audience and times, in this order.
///
/// # Errors
/// `WrongType`, `WrongIssuer`, `WrongAudience`, `Expired`, `NotYetValid`, `ClaimInvalid` (`exp` missing, or
/// before `nbf`).
pub fn validate(
    claims: &Claims,
    header: &Header,
    expectation: &Expectation<'_>,
) -> Result<(), JwtError> {
    // RFC 9068 §4, RFC 8725 §3.11: the type is explicit, so that an ID token is no access token.
    if !expectation.types.takes(header.typ.as_deref()) {
        return Err(JwtError::WrongType);
    }
    // RFC 9068 §4: the issuer matches exactly.
    if claims.issuer.as_deref() != Some(expectation.issuer) {
        return Err(JwtError::WrongIssuer);
    }
    audience(claims, expectation.audiences)?;
    times(claims, expectation.now, expectation.skew)
}

impl Claims {
    /// [`validate`], as a method.
    ///
    /// # Errors
    /// As there.
    pub fn validate(&self, header: &Header, expectation: &Expectation<'_>) -> Result<(), JwtError> {
        validate(self, header, expectation)
    }
}

/// RFC 7519 §4.1.3, RFC 9068 §4: the token names an audience that is ours.
pub(crate) fn audience(claims: &Claims, ours: &[String]) -> Result<(), JwtError> {
    match claims.audiences.iter().any(|aud| ours.iter().any(|own| **own == **aud)) {
        true => Ok(()),
        false => Err(JwtError::WrongAudience),
    }
}

/// The rules on `exp`, `nbf` and `iat`.
pub(crate) fn times(claims: &Claims, now: UnixMs, skew: Duration) -> Result<(), JwtError> {
    let expires_at = claims.expires_at.ok_or(JwtError::ClaimInvalid("exp"))?;
    // A token that ends before it begins was never valid.
    if claims.not_before.is_some_and(|not_before| expires_at < not_before) {
        return Err(JwtError::ClaimInvalid("nbf"));
    }
    // RFC 7519 §4.1.4: not accepted on or after `exp`.
    if now >= expires_at.plus(skew) {
        return Err(JwtError::Expired);
    }
    // RFC 7519 §4.1.5: not accepted before `nbf`.
    if claims.not_before.is_some_and(|not_before| now.plus(skew) < not_before) {
        return Err(JwtError::NotYetValid("nbf"));
    }
    // RFC 7519 §4.1.6 asks nothing of `iat`; one in the future is a clock or an issuer gone wrong.
    if claims.issued_at.is_some_and(|issued_at| now.plus(skew) < issued_at) {
        return Err(JwtError::NotYetValid("iat"));
    }
    Ok(())
}
