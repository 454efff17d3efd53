//! Host and path patterns as they stand in the file.

use super::Hosts;
use super::trie::Trie;
use crate::path::{self, PathDoubt};
use std::borrow::Cow;
use std::fmt;

/// Segments of a path pattern. The look-up recurses once a segment.
const PATTERN_SEGMENTS: usize = 64;
/// Characters of a host (RFC 1035 §2.3.4).
const HOST_CHARS: usize = 253;

/// Why a pattern cannot be read; the text is the hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not begin with a slash.
    #[error("a path begins with a slash, like /orders/{{**}}")]
    NoSlash,
    /// A request with this path would be refused before it is routed.
    #[error("no request can have this path: {0}")]
    Doubt(PathDoubt),
    /// `{**}` before the end.
    #[error("`{{**}}` takes the rest of the path and can only stand last")]
    RestNotLast,
    /// Braces that are not a whole segment.
    #[error("`{0}`: braces enclose a whole segment, like /users/{{id}}/keys")]
    Partial(String),
    /// A name of other characters than letters, digits and `_`.
    #[error(
        "`{0}`: a segment's name has letters, digits and `_`, and begins with none of the digits"
    )]
    Name(String),
    /// The same name twice.
    #[error("`{{{0}}}` stands twice in the path")]
    Repeated(String),
    /// A `*` or `**` segment without braces.
    #[error("`{0}` is no wildcard; write {{name}} for one segment or {{**}} for the rest")]
    Star(String),
    /// More than 64 segments.
    #[error("the path has more than {PATTERN_SEGMENTS} segments")]
    TooDeep,
    /// Not a host.
    #[error(
        "`{0}` is not a host; write one like api.example.com or *.example.com, without scheme and port"
    )]
    Host(String),
    /// A host with characters beyond ASCII.
    #[error("`{0}`: write the host in its ASCII form (xn--…)")]
    HostNotAscii(String),
    /// A `*` that is not the whole first label.
    #[error("`{0}`: `*` stands for the whole first label of a host, like *.example.com")]
    HostWildcard(String),
}

/// One segment of a path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// Itself, decoded.
    Literal(Box<[u8]>),
    /// Any one segment.
    One,
    /// All that is left.
    Rest,
}

/// A path pattern: literal segments, `{name}` for one segment, `{**}` for the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    text: Box<str>,
    pub(super) segments: Vec<Segment>,
}

impl PathPattern {
    /// What stands before the first `{`: `/orders/` of `/orders/{**}`.
    pub fn literal_prefix(&self) -> &str {
        self.text.split('{').next().unwrap_or_default()
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for PathPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let body = text.strip_prefix('/').ok_or(PatternError::NoSlash)?;
        let mut segments = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        let mut parts = body.split('/').peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            let segment = if let Some(name) = braced(part) {
                if name != "**" {
                    check_name(part, name, &names)?;
                    names.push(name);
                    Segment::One
                } else if last {
                    Segment::Rest
                } else {
                    return Err(PatternError::RestNotLast);
                }
            } else {
                literal(part, last)?
            };
            segments.push(segment);
            if segments.len() > PATTERN_SEGMENTS {
                return Err(PatternError::TooDeep);
            }
        }
        Ok(Self { text: text.into(), segments })
    }
}

fn braced(part: &str) -> Option<&str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

fn check_name(part: &str, name: &str, earlier: &[&str]) -> Result<(), PatternError> {
    let letters = name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    if name.is_empty() || !letters || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(PatternError::Name(part.to_owned()));
    }
    if earlier.contains(&name) {
        return Err(PatternError::Repeated(name.to_owned()));
    }
    Ok(())
}

/// A literal segment, held to the same rules as a request's path; characters beyond ASCII may stand raw.
fn literal(part: &str, last: bool) -> Result<Segment, PatternError> {
    if part.contains(['{', '}']) {
        return Err(PatternError::Partial(part.to_owned()));
    }
    if matches!(part, "*" | "**") {
        return Err(PatternError::Star(part.to_owned()));
    }
    if part.is_empty() && !last {
        return Err(PatternError::Doubt(PathDoubt::DoubleSlash));
    }
    let mut path = String::from("/");
    for c in part.chars() {
        if c.is_ascii() {
            path.push(c);
        } else {
            c.encode_utf8(&mut [0; 4])
                .bytes()
                .for_each(|byte| path.push_str(&format!("%{byte:02X}")));
        }
    }
    let canonical = path::canonical(path.as_bytes()).map_err(PatternError::Doubt)?;
    let segment = canonical.strip_prefix('/').unwrap_or_default();
    Ok(Segment::Literal(path::decode(segment.as_bytes()).into_boxed_slice()))
}

/// A host pattern: `api.example.com`, or `*.example.com` for any one label in front.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPattern {
    /// Lower case, without the `*.`.
    name: Box<str>,
    wildcard: bool,
}

impl HostPattern {
    /// Where the routes of this host are kept.
    pub(super) fn slot<'a>(&self, exact: &'a mut Hosts, wildcard: &'a mut Hosts) -> &'a mut Trie {
        let hosts = if self.wildcard { wildcard } else { exact };
        hosts.entry(self.name.clone()).or_default()
    }

    /// The one host of this pattern, without brackets; `None` for a wildcard.
    pub fn exact(&self) -> Option<&str> {
        (!self.wildcard).then(|| self.name.trim_start_matches('[').trim_end_matches(']'))
    }

    /// Whether a request's host (in any case, with or without port and final dot) is of this pattern.
    pub fn matches(&self, host: &str) -> bool {
        let host = bare_host(host);
        if !self.wildcard {
            return *host == *self.name;
        }
        host.split_once('.')
            .is_some_and(|(label, suffix)| !label.is_empty() && suffix == &*self.name)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.wildcard { "*." } else { "" }, self.name)
    }
}

impl std::str::FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if !text.is_ascii() {
            return Err(PatternError::HostNotAscii(text.to_owned()));
        }
        let (name, wildcard) = match text.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None => (text, false),
        };
        if name.contains('*') {
            return Err(PatternError::HostWildcard(text.to_owned()));
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let v6 = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
        let good = match v6 {
            Some(v6) => !wildcard && v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => name.len() <= HOST_CHARS && name.split('.').all(is_label),
        };
        if !good {
            return Err(PatternError::Host(text.to_owned()));
        }
        Ok(Self { name: name.to_ascii_lowercase().into_boxed_str(), wildcard })
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
}

/// A request's host without port and final dot, in lower case; borrowed when it is so already.
pub(super) fn bare_host(host: &str) -> Cow<'_, str> {
    // A colon inside brackets belongs to an IPv6 address, one behind them begins the port.
    let end = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    let name = host.get(..end).unwrap_or(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|c| c.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}
