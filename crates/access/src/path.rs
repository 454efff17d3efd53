//! The canonical path: the one form of a request's path that is judged and forwarded.
//!
//! Owns: what makes a path doubtful, the canonical form, and the search for credentials in a URL.
//!
//! Never does: repair a doubtful path (`..` is not resolved, `//` is not joined), look at the host, or put
//! the text that it saw into an error.
//!
//! Invariants: a canonical path begins with `/`, is ASCII, has no `.` or `..` segment, no empty segment but
//! the last, no `;` and no `\`; all its escapes are well-formed, upper case and not of unreserved characters;
//! decoded once it is valid UTF-8 without control characters, no segment ends with a space, and there is nothing
//! left to decode. `canonical(canonical(x)) == canonical(x)`.

use std::borrow::Cow;

mod secrets;
#[cfg(test)]
mod tests;

pub use secrets::{contains_key, query_names_a_credential, without_tokens};

/// Why a path can be read in more than one way, so that what is judged might not be what is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PathDoubt {
    /// It does not begin with a slash (this includes the empty path and `*`).
    #[error("the path does not begin with a slash")]
    NoSlash,
    /// A segment is `.` or `..`, or holds nothing but dots and spaces.
    #[error("the path has a dot segment")]
    DotSegment,
    /// A segment ends with `%20`: some servers trim it.
    #[error("the path has a segment that ends with a space")]
    TrailingSpace,
    /// `%25` and two hexadecimal digits: a server that decodes twice reads another path.
    #[error("the path is escaped twice")]
    DoubleEscape,
    /// `%2E` stands somewhere.
    #[error("the path has an encoded dot")]
    EncodedDot,
    /// `%2F` stands somewhere.
    #[error("the path has an encoded slash")]
    EncodedSlash,
    /// `%5C` stands somewhere.
    #[error("the path has an encoded backslash")]
    EncodedBackslash,
    /// A NUL or another control character, raw or encoded.
    #[error("the path has a control character")]
    Control,
    /// `;` or `%3B`: some servers cut a segment there.
    #[error("the path has a semicolon")]
    Semicolon,
    /// `\`: some servers read it as a slash.
    #[error("the path has a backslash")]
    Backslash,
    /// Two slashes in a row.
    #[error("the path has an empty segment")]
    DoubleSlash,
    /// A raw byte that is not ASCII, or escapes that do not decode to UTF-8.
    #[error("the path is not UTF-8 in escapes")]
    NotUtf8,
    /// A `%` that two hexadecimal digits do not follow.
    #[error("the path has a malformed escape")]
    Escape,
    /// A raw space.
    #[error("the path has a space")]
    Space,
    /// `#`: a fragment is never sent.
    #[error("the path has a fragment")]
    Fragment,
    /// `?`: the query was not cut off.
    #[error("the path has a question mark")]
    Query,
}

impl PathDoubt {
    /// A short word for records: `dot_segment`, `encoded_slash` and so on.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSlash => "no_slash",
            Self::DotSegment => "dot_segment",
            Self::TrailingSpace => "trailing_space",
            Self::DoubleEscape => "double_escape",
            Self::EncodedDot => "encoded_dot",
            Self::EncodedSlash => "encoded_slash",
            Self::EncodedBackslash => "encoded_backslash",
            Self::Control => "control",
            Self::Semicolon => "semicolon",
            Self::Backslash => "backslash",
            Self::DoubleSlash => "double_slash",
            Self::NotUtf8 => "not_utf8",
            Self::Escape => "escape",
            Self::Space => "space",
            Self::Fragment => "fragment",
            Self::Query => "query",
        }
    }
}

/// What a raw byte is to a path.
#[derive(Clone, Copy)]
enum Class {
    /// Stands for itself: unreserved but `.`, sub-delims but `;`, `:` and `@` (RFC 3986 §3.3).
    Plain,
    Slash,
    Dot,
    Percent,
    /// Printable, but not allowed raw (`"`, `<`, `[` and so on); browsers send some of them. Escaped.
    Bare,
    Doubt(PathDoubt),
}

const fn classify(byte: u8) -> Class {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => Class::Plain,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' => {
            Class::Plain
        }
        b'/' => Class::Slash,
        b'.' => Class::Dot,
        b'%' => Class::Percent,
        b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => Class::Bare,
        b';' => Class::Doubt(PathDoubt::Semicolon),
        b'\\' => Class::Doubt(PathDoubt::Backslash),
        b' ' => Class::Doubt(PathDoubt::Space),
        b'#' => Class::Doubt(PathDoubt::Fragment),
        b'?' => Class::Doubt(PathDoubt::Query),
        0..=0x1f | 0x7f => Class::Doubt(PathDoubt::Control),
        0x80..=0xff => Class::Doubt(PathDoubt::NotUtf8),
    }
}

const fn classes() -> [Class; 256] {
    let mut table = [Class::Plain; 256];
    let (mut rest, mut byte) = (table.as_mut_slice(), 0u8);
    while let [first, tail @ ..] = rest {
        *first = classify(byte);
        byte = byte.wrapping_add(1);
        rest = tail;
    }
    table
}

static CLASSES: [Class; 256] = classes();

fn class(byte: u8) -> Class {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(Class::Doubt(PathDoubt::Control))
}

/// The canonical form of the path part of a request target (what stands before `?`): escapes of unreserved
/// characters are decoded, all others upper-cased (RFC 3986 §6.2.2.1 and §6.2.2.2), printable characters
/// that may not stand raw are escaped. Borrowed when the path is canonical already.
///
/// # Errors
/// Whatever leaves a doubt how the next server would read it. Dot segments and empty segments are refused,
/// not resolved; so is `*` of `OPTIONS *`.
pub fn canonical(path: &[u8]) -> Result<Cow<'_, str>, PathDoubt> {
    let Some((b'/', rest)) = path.split_first() else {
        return Err(PathDoubt::NoSlash);
    };
    let mut previous = b'/';
    for (i, byte) in rest.iter().enumerate() {
        match class(*byte) {
            Class::Plain => {}
            Class::Slash if previous == b'/' => return Err(PathDoubt::DoubleSlash),
            Class::Slash => {}
            Class::Dot => refuse_dot_segment(previous, rest.get(i + 1..).unwrap_or_default())?,
            Class::Percent | Class::Bare => {
                let written = rewrite(path, i + 1)?;
                return match std::str::from_utf8(path) {
                    Ok(same) if same == written => Ok(Cow::Borrowed(same)),
                    _ => Ok(Cow::Owned(written)),
                };
            }
            Class::Doubt(doubt) => return Err(doubt),
        }
        previous = *byte;
    }
    std::str::from_utf8(path).map(Cow::Borrowed).map_err(|_| PathDoubt::NotUtf8)
}

/// Refuses a dot that begins a segment `.` or `..`; `after` is what stands behind the dot.
fn refuse_dot_segment(previous: u8, after: &[u8]) -> Result<(), PathDoubt> {
    // WHY: a second dot can only be raw, since an encoded one is refused wherever it stands.
    match (previous, after) {
        (b'/', [] | [b'/', ..] | [b'.'] | [b'.', b'/', ..]) => Err(PathDoubt::DotSegment),
        _ => Ok(()),
    }
}

/// The canonical form when something must change; the first `kept` bytes are canonical.
fn rewrite(path: &[u8], kept: usize) -> Result<String, PathDoubt> {
    let (head, mut rest) = path.split_at_checked(kept).unwrap_or((path, &[]));
    let mut out = Vec::with_capacity(path.len().saturating_add(16));
    out.extend_from_slice(head);
    let mut previous = head.last().copied().unwrap_or(b'/');
    let mut beyond_ascii = false;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match class(*byte) {
            Class::Plain => out.push(*byte),
            Class::Slash if previous == b'/' => return Err(PathDoubt::DoubleSlash),
            Class::Slash => out.push(*byte),
            Class::Dot => {
                refuse_dot_segment(previous, after)?;
                out.push(*byte);
            }
            Class::Percent => {
                let (value, after) = escape(after).ok_or(PathDoubt::Escape)?;
                rest = after;
                beyond_ascii |= !value.is_ascii();
                push_decoded(&mut out, value)?;
            }
            Class::Bare => push_escape(&mut out, *byte),
            Class::Doubt(doubt) => return Err(doubt),
        }
        previous = *byte;
    }
    if beyond_ascii && std::str::from_utf8(&decode(&out)).is_err() {
        return Err(PathDoubt::NotUtf8);
    }
    doubt_once_decoded(&out)?;
    String::from_utf8(out).map_err(|_| PathDoubt::NotUtf8)
}

/// What shows only in the written form: what a server makes of it that trims or decodes more than RFC 3986 does.
fn doubt_once_decoded(written: &[u8]) -> Result<(), PathDoubt> {
    let escapes = |at: &[u8]| at.strip_prefix(b"%25").is_some_and(|after| escape(after).is_some());
    // RFC 3986 §2.4: nothing is decoded twice. Servers behind each other do (`%252e%252e` becomes `..`), and there
    // is no telling them apart from here.
    if (0..written.len()).any(|at| written.get(at..).is_some_and(escapes)) {
        return Err(PathDoubt::DoubleEscape);
    }
    for segment in written.split(|byte| *byte == b'/') {
        let mut bare = segment;
        while let Some(rest) = bare.strip_prefix(b".").or_else(|| bare.strip_prefix(b"%20")) {
            bare = rest;
        }
        // WHY: Windows trims dots and spaces off the end of a name, so `..%20` is `..` there and `%20` nothing.
        if bare.is_empty() && segment.contains(&b'%') {
            return Err(PathDoubt::DotSegment);
        }
        if segment.ends_with(b"%20") {
            return Err(PathDoubt::TrailingSpace);
        }
    }
    Ok(())
}

/// Writes what the escape of `value` becomes.
fn push_decoded(out: &mut Vec<u8>, value: u8) -> Result<(), PathDoubt> {
    match value {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(value),
        b'.' => return Err(PathDoubt::EncodedDot),
        b'/' => return Err(PathDoubt::EncodedSlash),
        b'\\' => return Err(PathDoubt::EncodedBackslash),
        b';' => return Err(PathDoubt::Semicolon),
        // WHY: not NUL alone; a server that puts a decoded CR or LF into a header or a log can be led
        // astray, and no API names a resource with one.
        0..=0x1f | 0x7f => return Err(PathDoubt::Control),
        _ => push_escape(out, value),
    }
    Ok(())
}

fn push_escape(out: &mut Vec<u8>, value: u8) {
    out.extend_from_slice(&[b'%', hex_digit(value >> 4), hex_digit(value & 15)]);
}

fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'A' + (nibble - 10) }
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The byte that two hexadecimal digits stand for, and what follows them.
fn escape(after: &[u8]) -> Option<(u8, &[u8])> {
    let (high, after) = after.split_first()?;
    let (low, after) = after.split_first()?;
    Some(((hex_value(*high)? << 4) | hex_value(*low)?, after))
}

/// `text` with every well-formed escape decoded, once; a `%` that begins none stands for itself.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    out.extend(Decoded(text));
    out
}

/// The bytes of a text with every well-formed escape decoded.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (byte, after) = self.0.split_first()?;
        match escape(after).filter(|_| *byte == b'%') {
            Some((value, after)) => {
                self.0 = after;
                Some(value)
            }
            None => {
                self.0 = after;
                Some(*byte)
            }
        }
    }
}
