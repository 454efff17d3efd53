//! Path and host patterns of routes.
//!
//! Invariant: the literal parts of a pattern are in the canonical form of design "paths": requests are
//! compared in that form, so a pattern in any other could never match.

use super::problem::ProblemCode;
use super::reader::{Field, Reader};
use super::text::host_name;
use std::fmt;
use std::net::IpAddr;

/// Bytes of a pattern.
const PATTERN_BYTES: usize = 1024;
/// Segments of a pattern.
const SEGMENTS: usize = 64;

/// A path with placeholders: `/orders/{id}/items/{**}`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PathPattern {
    text: String,
    segments: Vec<Segment>,
}

/// One part of a path between slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// This text.
    Literal(String),
    /// `{name}`: any one segment that is not empty.
    One(String),
    /// `{**}`: all that follows; always the last.
    Rest,
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let body = text.strip_prefix('/').ok_or("a path begins with `/`")?;
        if text.len() > PATTERN_BYTES {
            return Err("the path is longer than 1024 bytes");
        }
        let parts: Vec<&str> = body.split('/').collect();
        if parts.len() > SEGMENTS {
            return Err("the path has more than 64 segments");
        }
        let last = parts.len() - 1;
        let mut segments: Vec<Segment> = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            let segment = read_segment(part, index == last)?;
            if let Segment::One(name) = &segment
                && segments.iter().any(|s| matches!(s, Segment::One(other) if other == name))
            {
                return Err("two placeholders have the same name");
            }
            segments.push(segment);
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its segments. `/` has one empty literal, `/a/` two literals of which the last is empty.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// What stands before the first placeholder.
    pub fn prefix(&self) -> &str {
        self.text.split('{').next().unwrap_or_default()
    }

    /// The pattern without the names of its placeholders; two routes with the same shape match the same
    /// paths.
    pub(super) fn shape(&self) -> String {
        let part = |segment: &Segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::One(_) => "/{}".to_owned(),
            Segment::Rest => "/{**}".to_owned(),
        };
        self.segments.iter().map(part).collect()
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

fn read_segment(part: &str, last: bool) -> Result<Segment, &'static str> {
    if part == "{**}" {
        return if last { Ok(Segment::Rest) } else { Err("`{**}` can only stand at the end") };
    }
    if let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let sound = (1..=32).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        return if sound {
            Ok(Segment::One(name.to_owned()))
        } else {
            Err("a placeholder is `{name}` of letters, digits and `_`, or `{**}`")
        };
    }
    if part.is_empty() && !last {
        return Err("`//` is refused in requests, so the path could never match");
    }
    check_literal(part)?;
    Ok(Segment::Literal(part.to_owned()))
}

/// Checks that a literal segment is one that a canonical path can have.
fn check_literal(part: &str) -> Result<(), &'static str> {
    if matches!(part, "." | "..") {
        return Err("`.` and `..` are refused in requests, so the path could never match");
    }
    if part.contains(['{', '}', '*']) {
        return Err("a placeholder takes a whole segment: `/{name}/` or `/{**}` at the end");
    }
    let bytes = part.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        if *byte == b'%' {
            let escape = bytes.get(at..at + 2).ok_or("a `%` lacks its two hexadecimal digits")?;
            check_escape(escape)?;
            at += 2;
        } else if !byte.is_ascii_alphanumeric() && !b"-._~!$&'()+,=:@".contains(byte) {
            return Err(
                "the path has a character that must be percent-encoded, or one that is refused",
            );
        }
    }
    Ok(())
}

fn check_escape(escape: &[u8]) -> Result<(), &'static str> {
    let upper = escape.iter().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(b));
    let text = std::str::from_utf8(escape).unwrap_or_default();
    let Ok(byte) = u8::from_str_radix(text, 16) else {
        return Err("a `%` lacks its two hexadecimal digits");
    };
    if !upper {
        return Err("percent-encoding is compared in upper case: write `%C3`, not `%c3`");
    }
    // RFC 3986 §2.3: unreserved characters are the same encoded or not; requests are decoded.
    if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
        return Err("requests are compared with this character decoded: write it plainly");
    }
    if matches!(byte, b'/' | b'\\' | b'.' | b';' | 0) {
        return Err("this encoded character is refused in requests, so the path could never match");
    }
    Ok(())
}

impl Reader<'_> {
    /// A path pattern.
    pub(super) fn pattern(&mut self, field: &Field<'_>) -> Option<PathPattern> {
        let text = self.text(field)?;
        match PathPattern::parse(&text) {
            Ok(pattern) => Some(pattern),
            Err(why) => {
                self.problem(ProblemCode::Value, &field.at, why);
                None
            }
        }
    }

    /// A route's host: a name or address, without port.
    pub(super) fn host(&mut self, field: &Field<'_>) -> Option<String> {
        let text = self.text(field)?;
        if text.starts_with("*.") {
            let message = "wildcard hosts are not available yet";
            self.hinted(
                ProblemCode::NotAvailable,
                &field.at,
                message,
                "write one route for each host",
            );
            return None;
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&text);
        let host = match bare.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => Some(format!("[{address}]")),
            Ok(IpAddr::V4(address)) => Some(address.to_string()),
            Err(_) => host_name(&text),
        };
        if host.is_none() {
            let message = format!("{text:?} is not a host name");
            let hint = "write the host alone, without scheme, port and path";
            self.hinted(ProblemCode::Value, &field.at, message, hint);
        }
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read() {
        let pattern = PathPattern::parse("/orders/{id}/{**}").unwrap();
        assert_eq!(pattern.prefix(), "/orders/");
        assert_eq!(pattern.segments().len(), 3);
        assert_eq!(pattern.shape(), PathPattern::parse("/orders/{x}/{**}").unwrap().shape());
        for text in ["/", "/a", "/a/", "/{**}", "/caf%C3%A9", "/a:b@c", "/a.b"] {
            assert!(PathPattern::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn refused() {
        for text in [
            "", "a", "//", "/a//b", "/./a", "/..", "/{**}/a", "/{a}/{a}", "/{}", "/{a b}", "/x{a}",
            "/*", "/%41", "/%c3%a9", "/%2F", "/%2E", "/%3B", "/%00", "/%5C", "/a;b", "/a\\b",
            "/a b", "/a?b", "/é", "/%", "/%4", "/%zz", "/%+1",
        ] {
            assert!(PathPattern::parse(text).is_err(), "{text}");
        }
        assert!(PathPattern::parse(&"/a".repeat(65)).is_err());
    }
}
