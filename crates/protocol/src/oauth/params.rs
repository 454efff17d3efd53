//! Parameters as `application/x-www-form-urlencoded` (RFC 6749 Appendix B): a query, or a body.
//!
//! Owns: decoding and encoding, the rule that a parameter stands once, the bounds.
//!
//! Never does: guess. An encoding that two parsers could read differently is refused.
//!
//! Invariant: a value that comes out is not empty, has no NUL and was the only one of its name, except for
//! the names in [`REPEATABLE`].

use super::error::{ErrorCode, OAuthError};
use std::fmt;

/// Parameters of one request. An OpenID Connect request with every extension has about 30.
pub const PARAMETERS: usize = 64;
/// Bytes of a name. The longest registered one has 40.
pub const NAME_BYTES: usize = 128;
/// Bytes of a value: a signed request object, or a client assertion with a certificate chain.
pub const VALUE_BYTES: usize = 32 * 1024;
/// Bytes of the whole, before it is decoded.
pub const TOTAL_BYTES: usize = 64 * 1024;
/// Values of one name in [`REPEATABLE`]. A token for more targets is one for everybody.
pub const REPEATED_VALUES: usize = 16;
/// Names that may stand several times (RFC 8707 §2; RFC 8693 §2.1).
pub const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// Why a text is no list of parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// More than [`TOTAL_BYTES`], or a name or value that is too long.
    #[error("the parameters are too long")]
    TooLong,
    /// More than [`PARAMETERS`], or more than [`REPEATED_VALUES`] of one name.
    #[error("there are too many parameters")]
    TooMany,
    /// A broken escape, bytes that are not UTF-8, or a control character.
    #[error("a parameter is not encoded as it must be")]
    Encoding,
    /// The named parameter stands twice.
    #[error("the parameter {0} stands more than once")]
    Repeated(Box<str>),
}

impl From<ParamsError> for OAuthError {
    fn from(error: ParamsError) -> Self {
        Self::new(ErrorCode::InvalidRequest, error.to_string())
    }
}

/// Parameters in their order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(Box<str>, Box<str>)>);

impl Params {
    /// Reads a query (without `?`) or a body.
    ///
    /// # Errors
    /// See [`ParamsError`].
    pub fn parse(text: &[u8]) -> Result<Self, ParamsError> {
        if text.len() > TOTAL_BYTES {
            return Err(ParamsError::TooLong);
        }
        let mut names: Vec<Box<str>> = Vec::new();
        let mut params = Self::default();
        for pair in text.split(|c| *c == b'&').filter(|pair| !pair.is_empty()) {
            if names.len() == PARAMETERS {
                return Err(ParamsError::TooMany);
            }
            let equals = pair.iter().position(|c| *c == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at_checked(equals).unwrap_or((pair, &[]));
            let name = decode(name)?;
            let value = decode(value.get(1..).unwrap_or_default())?;
            // RFC 6749 §3.1, §3.2: a parameter must not stand more than once; one without value counts, so
            // that nobody wins by reading the other.
            if !REPEATABLE.contains(&&*name) && names.contains(&name) {
                return Err(ParamsError::Repeated(name));
            }
            params.push(name.clone(), value)?;
            names.push(name);
        }
        Ok(params)
    }

    /// Adds a parameter; an empty value adds nothing.
    ///
    /// # Errors
    /// `TooLong`, `TooMany`, `Repeated`, `Encoding` (control characters).
    pub fn push(
        &mut self,
        name: impl Into<Box<str>>,
        value: impl Into<Box<str>>,
    ) -> Result<(), ParamsError> {
        let (name, value) = (name.into(), value.into());
        // RFC 6749 §3.1: a parameter without value is one that was left out.
        if value.is_empty() {
            return Ok(());
        }
        if name.len() > NAME_BYTES || value.len() > VALUE_BYTES {
            return Err(ParamsError::TooLong);
        }
        // JSON values may have line breaks and tabs; nothing has other control characters, and a NUL cannot
        // even be stored.
        if value.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')) {
            return Err(ParamsError::Encoding);
        }
        let same = self.all(&name).count();
        if same > 0 && !REPEATABLE.contains(&&*name) {
            return Err(ParamsError::Repeated(name));
        }
        if same == REPEATED_VALUES || self.0.len() == PARAMETERS {
            return Err(ParamsError::TooMany);
        }
        self.0.push((name, value));
        Ok(())
    }

    /// The value of `name`; the first, where it may stand several times.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of `name`.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(own, _)| &**own == name).map(|(_, value)| &**value)
    }

    /// The value of `name`, which is then gone; the first, where it may stand several times.
    pub fn take(&mut self, name: &str) -> Option<Box<str>> {
        let place = self.0.iter().position(|(own, _)| &**own == name)?;
        Some(self.0.remove(place).1)
    }

    /// The value of `name`, which must be there.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn required(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| {
            OAuthError::new(ErrorCode::InvalidRequest, format!("the parameter {name} is missing"))
        })
    }

    /// The parameters.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The parameters in their encoded form.
    pub fn encode(&self) -> String {
        encode(self.iter())
    }
}

/// Only the names: values are codes, secrets and tokens.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Pairs in their encoded form (WHATWG URL §5.2), which every parser reads alike.
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        encode_into(name, &mut out);
        out.push('=');
        encode_into(value, &mut out);
    }
    out
}

fn encode_into(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let hex = |digit: u8| HEX.get(usize::from(digit & 15)).copied().map_or('0', char::from);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => out.extend(['%', hex(byte >> 4), hex(byte)]),
        }
    }
}

/// One decoded name, value, client id or secret (RFC 6749 Appendix B).
///
/// # Errors
/// `Encoding`.
pub(crate) fn decode(text: &[u8]) -> Result<Box<str>, ParamsError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|c| char::from(*c).to_digit(16));
                let (high, low) = (digit(), digit());
                let value = high.zip(low).map(|(high, low)| high * 16 + low);
                let value = value.and_then(|it| u8::try_from(it).ok());
                value.ok_or(ParamsError::Encoding)?
            }
            other => *other,
        });
    }
    String::from_utf8(out).map(Into::into).map_err(|_| ParamsError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(text: &str) -> Option<ParamsError> {
        Params::parse(text.as_bytes()).err()
    }

    #[test]
    fn rfc6749_appendix_b_decoding() {
        let params = Params::parse(b"a=1+2%2B&b=%C3%a4&&c&d=x=y").unwrap();
        let all: Vec<_> = params.iter().collect();
        assert_eq!(all, [("a", "1 2+"), ("b", "\u{e4}"), ("d", "x=y")]);
        for bad in ["a=%", "a=%2", "a=%zz", "a=%+1", "a=%FF", "%C3=1", "a=%00", "a=%1b", "a=%7f"] {
            assert_eq!(fault(bad), Some(ParamsError::Encoding), "{bad}");
        }
        assert!(Params::parse(b"").unwrap().is_empty());
    }

    #[test]
    fn rfc6749_s3_1_a_parameter_stands_once() {
        for bad in ["a=1&a=1", "a=1&%61=2", "a=&a=1", "a=1&a="] {
            assert_eq!(fault(bad), Some(ParamsError::Repeated("a".into())), "{bad}");
        }
    }

    #[test]
    fn rfc8707_s2_resource_may_stand_several_times() {
        let mut params = Params::parse(b"resource=a&x=1&resource=b&audience=c&audience=c").unwrap();
        assert_eq!(params.all("resource").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(params.all("audience").count(), 2);
        assert_eq!(params.take("resource").as_deref(), Some("a"));
        assert_eq!(params.take("resource").as_deref(), Some("b"));
        assert_eq!(params.take("resource"), None);
    }

    #[test]
    fn rfc6749_s3_1_an_empty_value_is_absent() {
        let params = Params::parse(b"state=&scope=a").unwrap();
        assert_eq!((params.get("state"), params.get("scope")), (None, Some("a")));
        let error = params.required("state").unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRequest);
    }

    #[test]
    fn everything_is_bounded() {
        let many = |n: usize| (0..n).map(|n| format!("a{n}=")).collect::<Vec<_>>().join("&");
        assert_eq!(fault(&many(PARAMETERS)), None);
        assert_eq!(fault(&many(PARAMETERS + 1)), Some(ParamsError::TooMany));
        let resources = |n: usize| vec!["resource=a"; n].join("&");
        assert_eq!(fault(&resources(REPEATED_VALUES)), None);
        assert_eq!(fault(&resources(REPEATED_VALUES + 1)), Some(ParamsError::TooMany));
        assert_eq!(fault(&format!("a={}", "x".repeat(VALUE_BYTES))), None);
        for long in [
            format!("a={}", "x".repeat(VALUE_BYTES + 1)),
            format!("{}=1", "x".repeat(NAME_BYTES + 1)),
            "&".repeat(TOTAL_BYTES + 1),
        ] {
            assert_eq!(fault(&long), Some(ParamsError::TooLong));
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let params = Params::parse(b"client_secret=hunter2").unwrap();
        assert_eq!(format!("{params:?}"), "[\"client_secret\"]");
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(
            pairs in proptest::collection::btree_map("[a-z]{1,8}", "[^\\p{Cc}]{1,12}", 0..8)
        ) {
            let mut params = Params::default();
            for (name, value) in &pairs {
                params.push(name.as_str(), value.as_str()).unwrap();
            }
            prop_assert_eq!(Params::parse(params.encode().as_bytes()).unwrap(), params);
        }

        #[test]
        fn nothing_panics(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Params::parse(&text);
        }
    }
}
