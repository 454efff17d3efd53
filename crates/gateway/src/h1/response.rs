//! Reading a response's head.

use std::mem::MaybeUninit;

use bytes::BytesMut;
use http::Method;

use super::rules;
use super::token::{self, Extent};
use crate::head::{HeadError, HeadLimits, Headers, MAX_FIELDS, Places, ResponseHead, Version};

/// Takes a response's head off the front of `buf`; `None` while more bytes are needed, and then `buf` is as it
/// was. `method` is that of the request that it answers.
///
/// An interim head (see [`ResponseHead::is_interim`]) is followed by another one.
///
/// # Errors
/// [`HeadError::Broken`]; the connection must then be closed.
pub fn parse_response(
    buf: &mut BytesMut,
    method: &Method,
    limits: &HeadLimits,
) -> Result<Option<ResponseHead>, HeadError> {
    // RFC 9112 §2.2 ignores an empty line before requests only. What does not begin so is not waited for.
    const START: &[u8] = b"HTTP/1.";
    if !buf.starts_with(START) && !START.starts_with(buf) {
        return Err(HeadError::Broken("the status line"));
    }
    let Some(extent) = token::find_head(buf, limits).map_err(rules::broken)? else {
        return Ok(None);
    };
    let line = tokenise(buf, extent, limits).map_err(rules::broken)?;
    let mut headers = Headers::from_places(token::split_head(buf, extent), line.places);
    let (framing, keep_alive) =
        rules::judge_response(&mut headers, method, line.status, line.version)?;
    let (status, version) = (line.status, line.version);
    Ok(Some(ResponseHead { status, version, headers, framing, keep_alive }))
}

struct Line {
    status: u16,
    version: Version,
    places: Places,
}

fn tokenise(buf: &[u8], extent: Extent, limits: &HeadLimits) -> Result<Line, HeadError> {
    let head = buf.get(extent.lead..extent.lead + extent.len).unwrap_or_default();
    let mut table = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let table = table.get_mut(..limits.fields.min(MAX_FIELDS)).unwrap_or_default();
    let mut response = httparse::Response::new(&mut []);
    match httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        head,
        table,
    ) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => {}
        Ok(_) => return Err(HeadError::Malformed("a line ends without CR")),
        Err(error) => return Err(token::complaint(error)),
    }
    let status = match response.code {
        // RFC 9110 §15: the first digit is 1 to 5.
        Some(status @ 100..=599) => status,
        _ => return Err(HeadError::Malformed("the status")),
    };
    let version = match response.version {
        Some(0) => Version::Http10,
        Some(1) => Version::Http11,
        _ => return Err(HeadError::Malformed("the version")),
    };
    Ok(Line { status, version, places: token::places(head, response.headers)? })
}
