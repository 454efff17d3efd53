//! The `Authorization` header with a token (RFC 6750 §2.1, RFC 9449 §7.1).

use base::limits::CREDENTIAL_BYTES;
use std::fmt;

/// Why a header value gives no bearer token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
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
    /// The token.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// Reads the value of one `Authorization` header. `None` is another scheme: no bearer token is presented.
///
/// # Errors
/// See [`BearerError`].
pub fn parse(value: &[u8]) -> Result<Option<Bearer<'_>>, BearerError> {
    parse_as("Bearer", value)
}

/// [`parse`] for another scheme whose credentials are one token, such as `DPoP` (RFC 9449 §7.1).
///
/// # Errors
/// See [`BearerError`].
pub fn parse_as<'v>(scheme: &str, value: &'v [u8]) -> Result<Option<Bearer<'v>>, BearerError> {
    let expected = scheme;
    let scheme_len = value.iter().position(|c| *c == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(scheme_len).unwrap_or((value, &[]));
    // RFC 9110 §11.1: the scheme has no case.
    if !scheme.eq_ignore_ascii_case(expected.as_bytes()) {
        return Ok(None);
    }
    // RFC 6750 §2.1: "Bearer" 1*SP b64token; RFC 9449 §7.1: "DPoP" 1*SP token68
    let spaces = rest.iter().take_while(|c| **c == b' ').count();
    let token = rest.get(spaces..).unwrap_or_default();
    if token.len() > CREDENTIAL_BYTES {
        return Err(BearerError::TooLong);
    }
    let body = token.iter().position(|c| *c == b'=').unwrap_or(token.len());
    let (body, padding) = token.split_at_checked(body).unwrap_or((token, &[]));
    if body.is_empty() || !body.iter().all(is_token68) || padding.iter().any(|c| *c != b'=') {
        return Err(BearerError::Malformed);
    }
    let token = std::str::from_utf8(token).map_err(|_| BearerError::Malformed)?;
    Ok(Some(Bearer(token)))
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

    fn check(value: &str, expect: Result<Option<&str>, BearerError>) {
        let read = parse(value.as_bytes()).map(|it| it.map(Bearer::as_str));
        assert_eq!(read, expect, "{value:?}");
    }

    #[test]
    fn rfc6750_s2_1_exactly_one_token() {
        check("Bearer abc", Ok(Some("abc")));
        check("bEARER  a-._~+/9==", Ok(Some("a-._~+/9==")));
        for other in ["Basic abc", "", "Bearerabc", "Bearer\tabc", " Bearer a", "DPoP a"] {
            check(other, Ok(None));
        }
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
    fn rfc9449_s7_1_the_dpop_scheme_takes_one_token() {
        let read = |value: &'static str| {
            parse_as("DPoP", value.as_bytes()).map(|it| it.map(Bearer::as_str))
        };
        assert_eq!(read("dpop abc"), Ok(Some("abc")));
        assert_eq!(read("Bearer abc"), Ok(None));
        assert_eq!(read("DPoPabc"), Ok(None));
        assert_eq!(read("DPoP a b"), Err(BearerError::Malformed));
    }

    #[test]
    fn debug_shows_no_token() {
        assert_eq!(format!("{:?}", parse(b"Bearer abc").unwrap()), "Some(Bearer(…))");
    }

    proptest! {
        #[test]
        fn nothing_panics(value in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&value);
        }
    }
}
