//! From bytes to lines and tokens, strictly: what httparse lets pass for the sake of old peers is refused here.

use std::sync::LazyLock;

use bytes::{Buf, BytesMut};
use httparse::Error as Token;
use memchr::{memchr, memchr_iter, memmem};

use crate::head::{HeadError, HeadLimits, Place, Places, Span, is_token_byte};

/// What ends a head; built once, since building costs more than most searches.
static END: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"\r\n\r\n"));

/// Where a head lies in the buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Bytes before it: an empty line.
    pub(super) lead: usize,
    /// Bytes of it.
    pub(super) len: usize,
}

/// Finds a whole head at the front of `buf`; `None` while more bytes are needed.
///
/// What is already certain to be refused is refused before the head is whole, so that nobody can hold a
/// connection with it until the time-out.
pub(super) fn find_head(buf: &[u8], limits: &HeadLimits) -> Result<Option<Extent>, HeadError> {
    // RFC 9112 §2.2: a server SHOULD ignore at least one empty line before the request line; we ignore one.
    let lead = match buf {
        [b'\r', b'\n', ..] => 2,
        [b'\r'] | [] => return Ok(None),
        _ => 0,
    };
    let text = buf.get(lead..).unwrap_or_default();
    let Some(first) = text.first() else { return Ok(None) };
    if !is_token_byte(*first) {
        return Err(HeadError::Malformed("the first byte cannot begin a message"));
    }
    let window = text.get(..limits.bytes).unwrap_or(text);
    if let Some(end) = END.find(window) {
        return Ok(Some(Extent { lead, len: end + 4 }));
    }
    check_partial(window, limits)?;
    if window.len() == limits.bytes {
        return Err(HeadError::HeadTooLarge("the head exceeds its bytes"));
    }
    Ok(None)
}

/// Refuses what no further byte can make right.
fn check_partial(text: &[u8], limits: &HeadLimits) -> Result<(), HeadError> {
    // RFC 9112 §2.2: a lone LF may be taken for a line end; others take it for part of the line, so we refuse.
    let mut before = 0;
    for at in memchr_iter(b'\n', text) {
        if at.checked_sub(1).and_then(|at| text.get(at)) != Some(&b'\r') {
            return Err(HeadError::Malformed("a line ends without CR"));
        }
        before = before.max(at);
    }
    if limits.target > 0 && before == 0 {
        // The line holds at most a method, two spaces and the version beside the target.
        const REST: usize = 64;
        if memchr(b'\r', text).unwrap_or(text.len()) > limits.target + REST {
            return Err(HeadError::TargetTooLong);
        }
    }
    Ok(())
}

/// Takes a whole head off the buffer.
pub(super) fn split_head(buf: &mut BytesMut, extent: Extent) -> BytesMut {
    buf.advance(extent.lead.min(buf.len()));
    buf.split_to(extent.len.min(buf.len()))
}

/// The spans of the tokens that httparse found in `head`.
///
/// # Errors
/// When a line ends otherwise than with CR LF.
pub(super) fn places(head: &[u8], fields: &[httparse::Header<'_>]) -> Result<Places, HeadError> {
    let mut places = Places::new();
    for field in fields {
        let name = Span::within(head, field.name.as_bytes());
        let value = Span::within(head, field.value);
        let (Some(name), Some(value)) = (name, value) else {
            return Err(HeadError::Malformed("a field lies outside the head"));
        };
        // RFC 9112 §2.2: the line before must end with CR LF, not with a lone LF.
        if !ends_line(head, name.start()) {
            return Err(HeadError::Malformed("a line ends without CR"));
        }
        places.push(Place::new(name, value));
    }
    // The last line and the empty one; a head ends nowhere else.
    if !head.ends_with(b"\r\n\r\n") {
        return Err(HeadError::Malformed("a line ends without CR"));
    }
    Ok(places)
}

fn ends_line(head: &[u8], at: usize) -> bool {
    at == 0 || head.get(..at).is_some_and(|before| before.ends_with(b"\r\n"))
}

/// The spans of a trailer section that [`find_head`] found.
pub(super) fn trailers(buf: &[u8], extent: Extent) -> Result<Places, HeadError> {
    let head = buf.get(extent.lead..extent.lead + extent.len).unwrap_or_default();
    let mut table = [httparse::EMPTY_HEADER; HeadLimits::TRAILERS.fields];
    match httparse::parse_headers(head, &mut table) {
        Ok(httparse::Status::Complete((len, fields))) if len == head.len() => places(head, fields),
        Ok(_) => Err(HeadError::Malformed("a line ends without CR")),
        Err(error) => Err(complaint(error)),
    }
}

/// What the tokeniser's complaint means.
pub(super) fn complaint(error: Token) -> HeadError {
    match error {
        Token::HeaderName => HeadError::Malformed("a field name"),
        Token::HeaderValue => HeadError::Malformed("a field value"),
        Token::NewLine => HeadError::Malformed("a line end"),
        Token::Status => HeadError::Malformed("the status"),
        Token::Token => HeadError::Malformed("the start line"),
        Token::TooManyHeaders => HeadError::HeadTooLarge("too many fields"),
        Token::Version => HeadError::Malformed("the version"),
    }
}
