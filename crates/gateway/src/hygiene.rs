//! Header hygiene: what of a request's headers may reach an upstream, and what of a response's the caller.
//!
//! INVARIANT: no header that an upstream could take for ours comes from the caller, in whatever spelling.

use crate::head::{Field, Known};

/// Header families that only the gate may write, folded (see [`folded`]).
const OURS: [&[u8]; 4] = [b"portcullis-", b"client-cert", b"x-forwarded-", b"x-original-"];
/// Single headers that only the gate may write, folded. It never writes `Proxy`, which a CGI-like upstream takes
/// for the proxy that it should use itself (CVE-2016-5385), nor those that ask for another method than the one that
/// was judged.
const OURS_EXACT: [&[u8]; 10] = [
    b"forwarded",
    b"x-real-ip",
    b"x-request-id",
    b"x-forwarded",
    b"x-rewrite-url",
    b"client-cert",
    b"proxy",
    b"x-http-method",
    b"x-http-method-override",
    b"x-method-override",
];
/// Credentials in spellings that only an upstream would read.
const CREDENTIALS: [&[u8]; 2] = [b"authorization", b"x-api-key"];
/// The longest name that is folded; longer ones cannot be any of the above but by prefix, which this covers.
const FOLDED: usize = 32;
/// Cookies of our own; they never pass the gate (design: cookies ignore ports).
const OUR_COOKIES: [&[u8]; 2] = [b"__Host-portcullis", b"portcullis"];

/// The name as a CGI-like upstream reads it: lower case, and `-` for everything that is no letter or digit.
fn folded(name: &[u8]) -> ([u8; FOLDED], usize) {
    let mut out = [0; FOLDED];
    let len = name.len().min(FOLDED);
    for (to, from) in out.iter_mut().zip(name) {
        *to = if from.is_ascii_alphanumeric() { from.to_ascii_lowercase() } else { b'-' };
    }
    (out, len)
}

/// Whether a CGI-like upstream reads both names as the same (see [`folded`]).
pub(crate) fn reads_as(name: &[u8], other: &[u8]) -> bool {
    let fold =
        |byte: &u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    name.len() == other.len() && name.iter().map(fold).eq(other.iter().map(fold))
}

/// Whether only the gate may write a header of this name (or of one that an upstream reads as the same).
pub(crate) fn is_ours(name: &[u8]) -> bool {
    // WHY: the families begin with four letters; nearly every header is told apart by its first.
    if !matches!(name.first().map(u8::to_ascii_lowercase), Some(b'p' | b'c' | b'x' | b'f')) {
        return false;
    }
    let (buffer, len) = folded(name);
    let text = buffer.get(..len).unwrap_or_default();
    OURS.iter().any(|family| text.starts_with(family))
        || (name.len() <= FOLDED && OURS_EXACT.contains(&text))
}

/// Whether this is a credential under another spelling (`X_API_KEY`), which never passes.
fn is_disguised_credential(name: &[u8]) -> bool {
    if !matches!(name.first().map(u8::to_ascii_lowercase), Some(b'a' | b'x')) {
        return false;
    }
    let (buffer, len) = folded(name);
    let text = buffer.get(..len).unwrap_or_default();
    name.len() <= FOLDED && CREDENTIALS.contains(&text) && !CREDENTIALS.contains(&name)
}

/// Whether a request header goes on to the upstream as it is.
pub(crate) fn passes_up(field: &Field<'_>, forward_credential: bool) -> bool {
    if field.is_hop_by_hop() {
        return false;
    }
    match field.known() {
        Known::Host | Known::ContentLength | Known::Expect => false,
        Known::Authorization | Known::XApiKey | Known::Dpop => forward_credential,
        Known::Cookie => true,
        _ => !is_ours(field.name()) && !is_disguised_credential(field.name()),
    }
}

/// Whether a response header goes on to the caller as it is.
pub(crate) fn passes_down(field: &Field<'_>) -> bool {
    if field.is_hop_by_hop() {
        return false;
    }
    match field.known() {
        Known::ContentLength => false,
        Known::SetCookie => !names_our_cookie(field.value()),
        _ => !matches!(field.name(), b"x-request-id") && !field.name().starts_with(b"portcullis-"),
    }
}

fn names_our_cookie(pair: &[u8]) -> bool {
    // WHY `=`: a browser keeps `=name=value` as a cookie without a name, and sends it as `name=value`.
    let pair = pair.trim_ascii_start();
    let pair = pair.strip_prefix(b"=").unwrap_or(pair).trim_ascii_start();
    OUR_COOKIES
        .iter()
        .any(|name| pair.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)))
}

/// A `Cookie` value without our own; `None` when nothing is left. The common case borrows.
pub(crate) fn cookies_up(value: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    if !value.split(|c| *c == b';').any(names_our_cookie) {
        return Some(std::borrow::Cow::Borrowed(value));
    }
    let kept: Vec<&[u8]> = value
        .split(|c| *c == b';')
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty() && !names_our_cookie(pair))
        .collect();
    (!kept.is_empty()).then(|| std::borrow::Cow::Owned(kept.join(&b"; "[..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_our_headers_is_ours() {
        for name in [
            "portcullis-subject",
            "Portcullis_Subject",
            "PORTCULLIS.SUBJECT",
            "client-cert",
            "client_cert_chain",
            "x-forwarded-client-cert",
            "x_forwarded_for",
            "forwarded",
            "x_real_ip",
            "X-Original-URL",
            "x-rewrite-url",
            "Proxy",
        ] {
            assert!(is_ours(name.as_bytes()), "{name}");
        }
        for name in ["accept", "content-type", "x-custom", "priority", "cookie", "from"] {
            assert!(!is_ours(name.as_bytes()), "{name}");
        }
        assert!(is_disguised_credential(b"x_api_key"));
        assert!(!is_disguised_credential(b"x-api-key"));
    }

    #[test]
    fn our_cookies_never_pass() {
        assert_eq!(cookies_up(b"a=1; b=2").as_deref(), Some(&b"a=1; b=2"[..]));
        assert_eq!(cookies_up(b"a=1; __Host-portcullis=x; b=2").as_deref(), Some(&b"a=1; b=2"[..]));
        assert_eq!(cookies_up(b"portcullis_session=x"), None);
    }
}
