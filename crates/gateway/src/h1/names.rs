//! Which field names may be treated in which way.

use crate::head::Known;

/// Fields that judge, frame or identify a request: were they dropped on the caller's word, the upstream would
/// decide on less than we did.
const MUST_ARRIVE: &[&[u8]] = &[
    b"authorization",
    b"cache-control",
    b"content-digest",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"cookie",
    b"date",
    b"dpop",
    b"expect",
    b"forwarded",
    b"host",
    b"origin",
    b"referer",
    b"signature",
    b"signature-input",
    b"traceparent",
    b"tracestate",
    b"transfer-encoding",
    b"via",
    b"x-api-key",
    b"x-real-ip",
    b"x-request-id",
];
/// The same, for whole families.
const MUST_ARRIVE_FAMILIES: &[&[u8]] =
    &[b"portcullis-", b"client-cert", b"x-forwarded", b"sec-", b"access-control-"];

/// Whether a caller may not have this field dropped (RFC 9110 §7.6.1: fields meant for the final recipient).
pub(super) fn nomination_forbidden(name: &[u8]) -> bool {
    MUST_ARRIVE.iter().any(|other| folds_like(name, other))
        || MUST_ARRIVE_FAMILIES.iter().any(|family| folds_to_start(name, family))
}

/// The same for an upstream, which may drop what it likes but its framing.
pub(super) fn frames(name: &[u8]) -> bool {
    folds_to_framing(name)
}

/// Fields that a trailer section must not carry: they would come too late for what they decide, or pass a
/// check that looked at the head only (RFC 9110 §6.5.1).
const NOT_TRAILERS: &[&[u8]] = &[
    b"accept",
    b"age",
    b"authorization",
    b"cache-control",
    b"connection",
    b"cookie",
    b"dpop",
    b"expect",
    b"forwarded",
    b"host",
    b"keep-alive",
    b"location",
    b"origin",
    b"proxy",
    b"range",
    b"set-cookie",
    b"signature",
    b"signature-input",
    b"te",
    b"traceparent",
    b"tracestate",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"vary",
    b"via",
    b"x-api-key",
    b"x-real-ip",
    b"x-request-id",
    b"x-rewrite-url",
];
/// The same, for whole families.
const NOT_TRAILER_FAMILIES: &[&[u8]] = &[
    b"portcullis-",
    b"client-cert",
    b"content-",
    b"x-forwarded",
    b"x-original-",
    b"access-control-",
    b"if-",
    b"proxy-",
    b"sec-",
    b"www-authenticate",
];

/// Whether a trailer of this name is passed on (RFC 9110 §6.5.1); every spelling that a CGI-like reader folds
/// together counts.
pub fn trailer_allowed(name: &[u8]) -> bool {
    !NOT_TRAILERS.iter().any(|other| folds_like(name, other))
        && !NOT_TRAILER_FAMILIES.iter().any(|family| folds_to_start(name, family))
}

/// Whether a CGI-like upstream would read `name` as one that frames the body.
pub(super) fn folds_to_framing(name: &[u8]) -> bool {
    [Known::ContentLength, Known::TransferEncoding]
        .iter()
        .any(|known| folds_like(name, known.as_str().as_bytes()))
}

/// Whether `name` equals `other` (in lower case) once case is ignored and every other mark counts as `-`,
/// as readers do that turn names into variables (RFC 3875 §4.1.18).
fn folds_like(name: &[u8], other: &[u8]) -> bool {
    name.len() == other.len() && folds_to_start(name, other)
}

/// Whether `name` begins with `start` (in lower case) once case is ignored and every other mark counts as `-`,
/// as readers do that turn names into variables (RFC 3875 §4.1.18).
fn folds_to_start(name: &[u8], start: &[u8]) -> bool {
    name.len() >= start.len()
        && name.iter().zip(start).all(|(byte, other)| {
            let byte = if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
            byte == *other
        })
}
