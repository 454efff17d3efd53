//! The `Authorization` header with a bearer token (RFC 6750 §2.1).

use base::limits::CREDENTIAL_BYTES;
use std::fmt;

/// Why a header value gives no bearer token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// The scheme is another one, well formed or not; no bearer token is presented.
    #[error("the scheme is not bearer")]
    OtherScheme,
    /// The scheme is bearer, and what follows is not exactly one token.
    #[error("there is not exactly one well-formed token")]
    Malformed,
    /// The token is longer than `CREDENTIAL_BYTES`.
    #[error("the token is too long")]
    TooLong,
}

/// A bearer token as it was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bearer<'a>(&'a str);

impl<'a> Bearer<'a> {
    /// Reads the value of one `Authorization` header.
    ///
    /// # Errors
    /// See [`BearerError`].
    pub fn parse(value: &'a [u8]) -> Result<Self, BearerError> {
        let scheme_len = value.iter().position(|c| *c == b' ').unwrap_or(value.len());
        let (scheme, rest) = value.split_at_checked(scheme_len).unwrap_or((value, &[]));
        // RFC 9110 §11.1: the scheme has no case.
        if !scheme.eq_ignore_ascii_case(b"Bearer") {
            return Err(BearerError::OtherScheme);
        }
        // RFC 6750 §2.1: "Bearer" 1*SP b64token
        let token = rest.trim_ascii_start();
        if rest.iter().take(rest.len() - token.len()).any(|c| *c != b' ') {
            return Err(BearerError::Malformed);
        }
        if token.len() > CREDENTIAL_BYTES {
            return Err(BearerError::TooLong);
        }
        let body = token.iter().position(|c| *c == b'=').unwrap_or(token.len());
        let (body, padding) = token.split_at_checked(body).unwrap_or((token, &[]));
        if body.is_empty() || !body.iter().all(is_token68) || padding.iter().any(|c| *c != b'=') {
            return Err(BearerError::Malformed);
        }
        std::str::from_utf8(token).map(Self).map_err(|_| BearerError::Malformed)
    }

    /// The token.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}

fn is_token68(c: &u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(value: &str, expect: Result<&str, BearerError>) {
        assert_eq!(Bearer::parse(value.as_bytes()).map(Bearer::as_str), expect, "{value:?}");
    }

    #[test]
    fn rfc6750_s2_1_exactly_one_token() {
        check("Bearer abc", Ok("abc"));
        check("bEARER  a-._~+/9==", Ok("a-._~+/9=="));
        check("Basic abc", Err(BearerError::OtherScheme));
        check("", Err(BearerError::OtherScheme));
        check("Bearerabc", Err(BearerError::OtherScheme));
        check("Bearer\tabc", Err(BearerError::OtherScheme));
        for bad in [
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a,b",
            "Bearer \ta",
            "Bearer a ",
            "Bearer =",
            "Bearer a=b",
            "Bearer \"a\"",
            "Bearer ä",
            "Bearer a, Bearer b",
        ] {
            check(bad, Err(BearerError::Malformed));
        }
        let long = format!("Bearer {}", "a".repeat(CREDENTIAL_BYTES + 1));
        check(&long, Err(BearerError::TooLong));
    }

    #[test]
    fn debug_shows_no_token() {
        assert_eq!(format!("{:?}", Bearer::parse(b"Bearer abc").unwrap()), "Bearer(…)");
    }

    proptest! {
        #[test]
        fn nothing_panics(value in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Bearer::parse(&value);
        }
    }
}
