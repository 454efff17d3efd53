//! The grammar of `Forwarded` (RFC 7239 §4).
//!
//! WHY: a line is read from the left although it is walked from the right, since a quote that a caller opens
//! could otherwise swallow what a proxy appends. Read from the left, such a quote breaks the grammar, and the
//! caller harms only itself.

use super::{AddressDoubt, node};
use base::limits::FORWARDED_HOPS;
use std::net::IpAddr;

/// The elements of one line.
pub(super) struct Elements<'a> {
    list: [&'a [u8]; FORWARDED_HOPS],
    count: usize,
}

impl<'a> Elements<'a> {
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.list.iter().take(self.count).copied()
    }
}

/// Cuts a line at the commas that stand outside of quoted strings.
///
/// # Errors
/// When a quoted string is not closed, or there are more than [`FORWARDED_HOPS`] elements.
pub(super) fn elements(line: &[u8]) -> Result<Elements<'_>, AddressDoubt> {
    let mut found = Elements { list: [&[]; FORWARDED_HOPS], count: 0 };
    for element in (Pieces { rest: Some(line), separator: b',' }) {
        *found.list.get_mut(found.count).ok_or(AddressDoubt::TooManyHops)? = element?;
        found.count += 1;
    }
    Ok(found)
}

/// What stands between separators that are not quoted.
struct Pieces<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Result<&'a [u8], AddressDoubt>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        let (mut quoted, mut escaped) = (false, false);
        for (i, byte) in rest.iter().enumerate() {
            match *byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                byte if byte == self.separator && !quoted => {
                    self.rest = rest.get(i + 1..);
                    return Some(rest.get(..i).ok_or(AddressDoubt::Malformed));
                }
                _ => {}
            }
        }
        self.rest = None;
        Some(if quoted { Err(AddressDoubt::Malformed) } else { Ok(rest) })
    }
}

/// The address of the `for` parameter of an element.
///
/// # Errors
/// When the element breaks the grammar, has not exactly one `for`, or that is no address.
pub(super) fn caller(element: &[u8]) -> Result<IpAddr, AddressDoubt> {
    let mut found = None;
    for pair in (Pieces { rest: Some(element), separator: b';' }) {
        let pair = pair?.trim_ascii();
        if pair.is_empty() {
            continue;
        }
        let at = pair.iter().position(|byte| *byte == b'=').ok_or(AddressDoubt::Malformed)?;
        let (name, value) = pair.split_at_checked(at).ok_or(AddressDoubt::Malformed)?;
        let value = unquoted(value.get(1..).unwrap_or_default())?;
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(AddressDoubt::Malformed);
        }
        // RFC 7239 §4: names are case-insensitive, and each occurs at most once.
        if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return Err(AddressDoubt::NoCaller);
        }
    }
    node(found.ok_or(AddressDoubt::NoCaller)?)
}

/// A token, or the inside of a quoted string. One with a backslash stays as it is: no address has one.
fn unquoted(value: &[u8]) -> Result<&[u8], AddressDoubt> {
    match value {
        [b'"', inner @ .., b'"'] => {
            let mut escaped = false;
            for byte in inner {
                if *byte == b'"' && !escaped {
                    return Err(AddressDoubt::Malformed);
                }
                escaped = *byte == b'\\' && !escaped;
            }
            if escaped { Err(AddressDoubt::Malformed) } else { Ok(inner) }
        }
        [] => Err(AddressDoubt::Malformed),
        // WHY: RFC 7239 wants quotes around `:`, `[` and `]`; proxies leave them out, and nothing else can
        // be meant.
        _ if value.iter().all(|c| is_token(*c) || matches!(c, b':' | b'[' | b']' | b'/')) => {
            Ok(value)
        }
        _ => Err(AddressDoubt::Malformed),
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
