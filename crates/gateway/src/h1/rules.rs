//! The rules on a whole head: host, framing, connection options, expectation, upgrade.

use http::Method;

use super::names::{folds_to_framing, frames, nomination_forbidden};
use super::target::{is_authority, split_target};
use crate::head::{
    Framing, HeadError, Headers, Known, RequestHead, Span, Upgrade, Version, is_token,
};

/// Digits of a length that is surely below 2^63.
const LENGTH_DIGITS: usize = 18;

/// What the rules need of the fields, found in one pass.
#[derive(Default)]
pub(super) struct Survey {
    host: Seen,
    length: Seen,
    coding: Seen,
    expect: Seen,
    upgrade: Seen,
    connection: bool,
    folded: bool,
}

#[derive(Default, Clone, Copy)]
struct Seen {
    count: usize,
    name: Span,
    value: Span,
}

impl Survey {
    /// Walks the fields once.
    pub(super) fn of(headers: &Headers) -> Self {
        let mut survey = Self::default();
        for (known, name, value) in headers.places() {
            let seen = match known {
                Known::Host => &mut survey.host,
                Known::ContentLength => &mut survey.length,
                Known::TransferEncoding => &mut survey.coding,
                Known::Expect => &mut survey.expect,
                Known::Upgrade => &mut survey.upgrade,
                Known::Connection => {
                    survey.connection = true;
                    continue;
                }
                Known::Other => {
                    survey.folded |= folds_to_framing(name.of(headers.text()));
                    continue;
                }
                _ => continue,
            };
            *seen = Seen { count: seen.count + 1, name, value };
        }
        survey
    }
}

/// Judges a tokenised request.
pub(super) fn judge_request(
    method: Method,
    target: Span,
    version: Version,
    mut headers: Headers,
) -> Result<RequestHead, HeadError> {
    // RFC 9110 §9.3.6: CONNECT asks for a tunnel, which a gate in front of APIs never is.
    if method == Method::CONNECT {
        return Err(HeadError::Malformed("CONNECT is not served"));
    }
    // RFC 9110 §9.3.8: what comes back shows what only the upstream may see, such as headers that the gate adds.
    if method == Method::TRACE {
        return Err(HeadError::Malformed("TRACE is not served"));
    }
    let survey = Survey::of(&headers);
    let (mut target, absolute) = split_target(headers.text(), target)?;
    let host = host(&mut headers, &survey)?;
    if absolute {
        headers.lower(target.authority);
        // RFC 9112 §3.2.2 lets the target win over Host; proxies differ, so both must say the same.
        if target.authority.of(headers.text()) != host.of(headers.text()) {
            return Err(HeadError::Host("the target names another host than Host"));
        }
    }
    target.authority = host;
    let framing = request_framing(&headers, &survey, version)?;
    let options = options(&mut headers, survey.connection, nomination_forbidden)?;
    let upgrade =
        upgrade(&headers, &survey, &options, version, &method).filter(|_| framing.is_empty());
    let expect_continue = expectation(&headers, &survey, version)? && !framing.is_empty();
    let keep_alive = options.keeps(version);
    Ok(RequestHead {
        method,
        version,
        headers,
        framing,
        keep_alive,
        expect_continue,
        upgrade,
        target,
    })
}

/// The one host, in lower case.
fn host(headers: &mut Headers, survey: &Survey) -> Result<Span, HeadError> {
    match survey.host.count {
        1 => {}
        // RFC 9112 §3.2: no Host, or more than one, is answered with 400. HTTP/1.0 may leave it out; a route
        // cannot be found without it.
        0 => return Err(HeadError::Host("no Host")),
        _ => return Err(HeadError::Host("several Host fields")),
    }
    headers.lower(survey.host.value);
    if !is_authority(survey.host.value.of(headers.text())) {
        return Err(HeadError::Host("Host is not a host name with an optional port"));
    }
    Ok(survey.host.value)
}

/// How a request's body ends (RFC 9112 §6).
fn request_framing(
    headers: &Headers,
    survey: &Survey,
    version: Version,
) -> Result<Framing, HeadError> {
    if survey.folded {
        return Err(HeadError::Framing("a field differs from a framing field by `_` only"));
    }
    match (survey.coding.count, survey.length.count) {
        (0, 0) => Ok(Framing::None),
        (0, 1) => length(headers, survey.length).map(Framing::Length),
        // RFC 9112 §6.3 lets equal repetitions pass; they still mean that somebody wrote the head twice.
        (0, _) => Err(HeadError::Framing("several Content-Length fields")),
        // RFC 9112 §6.1: not in HTTP/1.0, where it is a sign of a faulty or hostile relay.
        (_, _) if version != Version::Http11 => {
            Err(HeadError::Framing("Transfer-Encoding outside HTTP/1.1"))
        }
        // RFC 9112 §6.3 item 3, §11.2: the classic of request smuggling.
        (_, 1..) => Err(HeadError::Framing("Content-Length beside Transfer-Encoding")),
        (2.., _) => Err(HeadError::Framing("several Transfer-Encoding fields")),
        // WHY: RFC 9112 §6.1 answers an unknown coding with 501. 400 tells the caller what to change, and
        // every spelling other than the usual one is a known way to make two readers disagree.
        (1, 0) if is_plain(headers, survey.coding, b"chunked") => Ok(Framing::Chunked),
        (1, 0) => Err(HeadError::Framing("Transfer-Encoding is not exactly `chunked`")),
    }
}

/// Whether the field's value is `expected` and nothing but spaces surround it.
fn is_plain(headers: &Headers, seen: Seen, expected: &[u8]) -> bool {
    seen.value.of(headers.text()) == expected && padded_with_spaces(headers, seen)
}

/// RFC 9110 §5.6.3 allows HTAB as well; not every reader takes it off, so not around a framing value.
fn padded_with_spaces(headers: &Headers, seen: Seen) -> bool {
    let text = headers.text();
    let before = text.get(seen.name.end() + 1..seen.value.start()).unwrap_or_default();
    let after = text.get(seen.value.end()..).unwrap_or_default();
    let after = after.split(|byte| *byte == b'\r').next().unwrap_or_default();
    before.iter().chain(after).all(|byte| *byte == b' ')
}

/// One `Content-Length` (RFC 9110 §8.6): digits only, no sign, no list, no leading zero, below 2^63.
fn length(headers: &Headers, seen: Seen) -> Result<u64, HeadError> {
    if !padded_with_spaces(headers, seen) {
        return Err(HeadError::Framing("Content-Length is not one plain number"));
    }
    number(seen.value.of(headers.text()))
}

fn number(value: &[u8]) -> Result<u64, HeadError> {
    let plain = match value {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => {
            value.len() <= LENGTH_DIGITS && rest.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    if !plain {
        return Err(HeadError::Framing("Content-Length is not one plain number"));
    }
    Ok(value.iter().fold(0_u64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(u64::from(digit.saturating_sub(b'0')))
    }))
}

/// Framing and expectation of an HTTP/2 request, whose frames say where the body ends (RFC 9113 §8.1.1).
pub(crate) fn judge_h2(headers: &Headers, ended: bool) -> Result<(Framing, bool), HeadError> {
    let survey = Survey::of(headers);
    if survey.folded {
        return Err(HeadError::Framing("a field differs from a framing field by `_` only"));
    }
    let length = match survey.length.count {
        0 => None,
        1 => Some(number(survey.length.value.of(headers.text()))?),
        _ => return Err(HeadError::Framing("several Content-Length fields")),
    };
    let framing = match (length, ended) {
        (Some(1..), true) => return Err(HeadError::Framing("a length, and no body")),
        (None, true) => Framing::None,
        (None, false) => Framing::Chunked,
        (Some(length), _) => Framing::Length(length),
    };
    Ok((framing, expectation(headers, &survey, Version::Http11)?))
}

/// What `Connection` says.
#[derive(Default, Clone, Copy)]
struct Options {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
}

impl Options {
    /// Whether the connection persists (RFC 9112 §9.3).
    fn keeps(self, version: Version) -> bool {
        match version {
            _ if self.close => false,
            Version::Http10 => self.keep_alive,
            Version::Http11 | Version::Http2 => true,
        }
    }
}

/// Reads all `Connection` fields, and marks the fields that they name as hop-by-hop (RFC 9110 §7.6.1).
fn options(
    headers: &mut Headers,
    present: bool,
    forbidden: fn(&[u8]) -> bool,
) -> Result<Options, HeadError> {
    let mut options = Options::default();
    if !present {
        return Ok(options);
    }
    let mut named: Vec<Vec<u8>> = Vec::new();
    for value in headers.all(Known::Connection) {
        for item in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            match item {
                [] => {}
                item if item.eq_ignore_ascii_case(b"close") => options.close = true,
                item if item.eq_ignore_ascii_case(b"keep-alive") => options.keep_alive = true,
                item if item.eq_ignore_ascii_case(b"upgrade") => options.upgrade = true,
                item if !is_token(item) => {
                    return Err(HeadError::Malformed("Connection holds what is not a token"));
                }
                item if forbidden(item) => {
                    return Err(HeadError::Forbidden("Connection names a field that must arrive"));
                }
                item if named.len() < NOMINATIONS => named.push(item.to_owned()),
                _ => return Err(HeadError::HeadTooLarge("Connection names too many fields")),
            }
        }
    }
    for name in &named {
        headers.nominate(name);
    }
    Ok(options)
}

/// Fields that `Connection` may name in one head; each costs a walk over the list.
const NOMINATIONS: usize = 16;

/// RFC 9110 §10.1.1: `100-continue` is the only expectation there is; HTTP/1.0 knows none.
fn expectation(headers: &Headers, survey: &Survey, version: Version) -> Result<bool, HeadError> {
    let value = survey.expect.value.of(headers.text());
    match survey.expect.count {
        0 => Ok(false),
        1 if value.eq_ignore_ascii_case(b"100-continue") => Ok(version == Version::Http11),
        _ => Err(HeadError::Expectation),
    }
}

/// What the connection is asked to become (RFC 9110 §7.8): only a single protocol, only in HTTP/1.1, only with
/// `Connection: upgrade`. A server may ignore the field, and does in every other case.
fn upgrade(
    headers: &Headers,
    survey: &Survey,
    options: &Options,
    version: Version,
    method: &Method,
) -> Option<Upgrade> {
    if !options.upgrade || version != Version::Http11 || survey.upgrade.count != 1 {
        return None;
    }
    let value = survey.upgrade.value.of(headers.text());
    let protocol = value.split(|byte| *byte == b'/').next().unwrap_or_default();
    if !is_token(protocol) || value.contains(&b',') || protocol.eq_ignore_ascii_case(b"h2c") {
        return None;
    }
    if value.eq_ignore_ascii_case(b"websocket") {
        // RFC 6455 §4.1: the handshake is a GET.
        return (method == Method::GET).then_some(Upgrade::WebSocket);
    }
    Some(Upgrade::Other)
}

/// How a response's body ends (RFC 9112 §6.3), and whether the connection persists after it.
pub(super) fn judge_response(
    headers: &mut Headers,
    method: &Method,
    status: u16,
    version: Version,
) -> Result<(Framing, bool), HeadError> {
    let survey = Survey::of(headers);
    let framing = response_framing(headers, &survey, method, status, version)?;
    let options = options(headers, survey.connection, frames).map_err(broken)?;
    Ok((framing, options.keeps(version) && framing != Framing::UntilClose))
}

fn response_framing(
    headers: &Headers,
    survey: &Survey,
    method: &Method,
    status: u16,
    version: Version,
) -> Result<Framing, HeadError> {
    let stated = match (survey.coding.count, survey.length.count) {
        (0, 0) => Framing::UntilClose,
        (0, 1) => Framing::Length(length(headers, survey.length).map_err(broken)?),
        (0, _) => return Err(HeadError::Broken("several Content-Length fields")),
        (_, _) if version != Version::Http11 => {
            return Err(HeadError::Broken("Transfer-Encoding outside HTTP/1.1"));
        }
        (_, 1..) => return Err(HeadError::Broken("Content-Length beside Transfer-Encoding")),
        // RFC 9110 §10.1.4: codings are case-insensitive; what comes from a chosen upstream is written anew.
        (1, 0) if survey.coding.value.of(headers.text()).eq_ignore_ascii_case(b"chunked") => {
            Framing::Chunked
        }
        _ => return Err(HeadError::Broken("Transfer-Encoding is not `chunked` alone")),
    };
    match status {
        // RFC 9110 §8.6, RFC 9112 §6.1: 1xx and 204 carry neither field; a length of 0 harms nobody.
        100..=199 | 204 => match stated {
            Framing::UntilClose | Framing::Length(0) => Ok(Framing::None),
            _ => Err(HeadError::Broken("a body is announced where none can be")),
        },
        // RFC 9112 §6.3 item 1: the fields tell what a GET would have got.
        304 => Ok(Framing::None),
        _ if method == Method::HEAD => Ok(Framing::None),
        _ => Ok(stated),
    }
}

/// An upstream's mistake is never the caller's.
pub(super) fn broken(error: HeadError) -> HeadError {
    match error {
        HeadError::Malformed(detail)
        | HeadError::Host(detail)
        | HeadError::Framing(detail)
        | HeadError::Forbidden(detail)
        | HeadError::HeadTooLarge(detail)
        | HeadError::Broken(detail) => HeadError::Broken(detail),
        HeadError::TargetTooLong => HeadError::Broken("the start line is too long"),
        HeadError::Expectation => HeadError::Broken("an expectation"),
    }
}
