//! Request targets and authorities.

use std::net::Ipv6Addr;

use crate::head::{HeadError, Span, Target};

/// Bytes of a host with its port: a domain name has at most 253 (RFC 1035 §2.3.4).
const AUTHORITY_BYTES: usize = 260;

/// Splits a request target into path, query and, in the absolute form, authority (RFC 9112 §3.2).
pub(crate) fn split_target(text: &[u8], span: Span) -> Result<(Target, bool), HeadError> {
    let target = span.of(text);
    // RFC 3986 §2: a target consists of printable ASCII without `#`, which would begin a fragment.
    if target.iter().any(|byte| !byte.is_ascii_graphic() || *byte == b'#') {
        return Err(HeadError::Malformed("the target holds a character that a URI cannot"));
    }
    let (authority, rest) = match target.first() {
        Some(b'/') => (None, 0),
        // RFC 9112 §3.2.4: `*` is for OPTIONS about the server itself, which is nobody's route.
        Some(b'*') => return Err(HeadError::Malformed("the asterisk form is not served")),
        _ => absolute(target)?,
    };
    let start = span.start();
    let part = |from: usize, to: usize| {
        Span::new(start + from, to.saturating_sub(from)).ok_or(HeadError::TargetTooLong)
    };
    let question = memchr::memchr(b'?', target.get(rest..).unwrap_or_default()).map(|at| rest + at);
    let path = part(rest, question.unwrap_or(target.len()))?;
    let query = question.map(|at| part(at + 1, target.len())).transpose()?;
    let form = authority.is_some();
    let authority = authority.map_or(Ok(Span::default()), |(from, to)| part(from, to))?;
    Ok((Target { path, query, authority }, form))
}

type Absolute = (Option<(usize, usize)>, usize);

/// The absolute form: where its authority lies, and where its path begins (RFC 9112 §3.2.2).
fn absolute(target: &[u8]) -> Result<Absolute, HeadError> {
    let begins = |scheme: &[u8]| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let from = match () {
        () if begins(b"http://") => 7,
        () if begins(b"https://") => 8,
        () => return Err(HeadError::Malformed("the target is neither a path nor an http URI")),
    };
    let rest = target.get(from..).unwrap_or_default();
    let len = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    Ok((Some((from, from + len)), from + len))
}

/// Whether `text` is `host` or `host ":" port` (RFC 9110 §7.2), with a host that DNS or an IP literal can
/// express: no userinfo, no escapes, no empty label, no empty port.
pub(crate) fn is_authority(text: &[u8]) -> bool {
    if text.is_empty() || text.len() > AUTHORITY_BYTES {
        return false;
    }
    let (host, port) = match text.iter().position(|byte| *byte == b']') {
        Some(end) => match text.split_at_checked(end + 1) {
            Some((host, [])) => (host, None),
            Some((host, [b':', port @ ..])) => (host, Some(port)),
            _ => return false,
        },
        None => match text.iter().position(|byte| *byte == b':').map(|at| text.split_at(at)) {
            Some((host, port)) => (host, port.get(1..)),
            None => (text, None),
        },
    };
    port.is_none_or(is_port) && is_host(host)
}

fn is_port(port: &[u8]) -> bool {
    matches!(port.len(), 1..=5)
        && port.iter().all(u8::is_ascii_digit)
        && port.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0')) <= 0xffff
}

fn is_host(host: &[u8]) -> bool {
    if let [b'[', inner @ .., b']'] = host {
        return std::str::from_utf8(inner).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    }
    let name = host.strip_suffix(b".").unwrap_or(host);
    let mut before = b'.';
    for &byte in name {
        match byte {
            b'.' if before == b'.' => return false,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => before = byte,
            _ => return false,
        }
    }
    before != b'.'
}
