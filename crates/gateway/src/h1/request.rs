//! Reading a request's head.

use std::mem::MaybeUninit;

use bytes::BytesMut;
use http::Method;

use super::rules;
use super::token::{self, Extent};
use crate::head::{HeadError, HeadLimits, Headers, MAX_FIELDS, RequestHead, Span, Version};

/// Bytes of a method. The longest registered one has 17 (`UPDATEREDIRECTREF`).
pub(crate) const METHOD_BYTES: usize = 32;

/// Takes a request's head off the front of `buf`; `None` while more bytes are needed, and then `buf` is as it
/// was. What follows the head stays in `buf`.
///
/// # Errors
/// Any doubt, see [`HeadError`]. The connection must then be closed after the answer: where the next request
/// begins is not known.
pub fn parse_request(
    buf: &mut BytesMut,
    limits: &HeadLimits,
) -> Result<Option<RequestHead>, HeadError> {
    let Some(extent) = token::find_head(buf, limits)? else { return Ok(None) };
    let line = tokenise(buf, extent, limits)?;
    let headers = Headers::from_places(token::split_head(buf, extent), line.places);
    rules::judge_request(line.method, line.target, line.version, headers).map(Some)
}

struct Line {
    method: Method,
    target: Span,
    version: Version,
    places: crate::head::Places,
}

fn tokenise(buf: &[u8], extent: Extent, limits: &HeadLimits) -> Result<Line, HeadError> {
    let head = buf.get(extent.lead..extent.lead + extent.len).unwrap_or_default();
    let mut table = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let table = table.get_mut(..limits.fields.min(MAX_FIELDS)).unwrap_or_default();
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, table) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => {}
        // A lone LF made the tokeniser stop before the empty line, or run past it.
        Ok(_) => return Err(HeadError::Malformed("a line ends without CR")),
        Err(error) => return Err(token::complaint(error)),
    }
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return Err(HeadError::Malformed("the request line"));
    };
    if target.len() > limits.target {
        return Err(HeadError::TargetTooLong);
    }
    if method.len() > METHOD_BYTES {
        return Err(HeadError::Malformed("the method is too long"));
    }
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| HeadError::Malformed("the method is not a token"))?;
    let target = Span::within(head, target.as_bytes())
        .ok_or(HeadError::Malformed("the target lies outside the head"))?;
    let version = match request.version {
        Some(0) => Version::Http10,
        Some(1) => Version::Http11,
        _ => return Err(HeadError::Malformed("the version")),
    };
    Ok(Line { method, target, version, places: token::places(head, request.headers)? })
}
