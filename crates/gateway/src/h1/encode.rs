//! Writing heads and chunks.
//!
//! Never writes what would end a line or a body early: names and values are checked, or come from a
//! [`Headers`](crate::head::Headers) list, which was.

use bytes::BytesMut;
use http::{Method, StatusCode};

use crate::head::{Field, HeadError, Headers, is_field_value, is_token};

/// Bytes around a chunk: 16 digits and two line ends.
const CHUNK_OVERHEAD: usize = 20;

/// Writes `METHOD path?query HTTP/1.1`.
///
/// # Errors
/// [`HeadError::Malformed`] when the target holds anything but printable ASCII. Nothing is written then.
pub fn write_request_line(
    out: &mut BytesMut,
    method: &Method,
    path: &[u8],
    query: Option<&[u8]>,
) -> Result<(), HeadError> {
    let graphic = |text: &[u8]| text.iter().all(u8::is_ascii_graphic);
    if !path.starts_with(b"/") || !graphic(path) || !query.is_none_or(graphic) {
        return Err(HeadError::Malformed("the target holds a character that a URI cannot"));
    }
    let method = method.as_str().as_bytes();
    out.reserve(method.len() + path.len() + query.map_or(0, <[u8]>::len) + 16);
    out.extend_from_slice(method);
    out.extend_from_slice(b" ");
    out.extend_from_slice(path);
    if let Some(query) = query {
        out.extend_from_slice(b"?");
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    Ok(())
}

/// Writes `HTTP/1.1 status reason`. A status outside 100 to 599 becomes 500.
pub fn write_status_line(out: &mut BytesMut, status: u16) {
    let status = match StatusCode::from_u16(status) {
        Ok(status) if status.as_u16() < 600 => status,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    out.reserve(48);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes one field of our own making.
///
/// # Errors
/// [`HeadError::Malformed`] when the name is no token or the value holds a control character: what comes out
/// of a token's claim must not be able to begin another line. Nothing is written then.
pub fn write_header(out: &mut BytesMut, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
    if !is_token(name) || !is_field_value(value) {
        return Err(HeadError::Malformed("a field that cannot be written"));
    }
    append(out, name, value);
    Ok(())
}

/// Writes a field that was read, as it stands.
pub fn write_field(out: &mut BytesMut, field: Field<'_>) {
    append(out, field.name(), field.value());
}

/// Writes a field whose value is a number.
pub fn write_number(out: &mut BytesMut, name: &'static str, value: u64) {
    append(out, name.as_bytes(), itoa::Buffer::new().format(value).as_bytes());
}

/// Ends the head.
pub fn end_head(out: &mut BytesMut) {
    out.extend_from_slice(b"\r\n");
}

fn append(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes one chunk (RFC 9112 §7.1); nothing for empty data, since that would end the body.
pub fn write_chunk(out: &mut BytesMut, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    out.reserve(data.len() + CHUNK_OVERHEAD);
    let mut digits = [0_u8; 16];
    let mut left = data.len();
    let mut start = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b"0123456789abcdef".get(left & 0xf).copied().unwrap_or(b'0');
        start = at;
        left >>= 4;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Ends a chunked body, with trailers where there are any that may pass (RFC 9112 §7.1.2).
pub fn write_last_chunk(out: &mut BytesMut, trailers: Option<&Headers>) {
    out.extend_from_slice(b"0\r\n");
    for field in trailers.into_iter().flat_map(Headers::fields) {
        if super::trailer_allowed(field.name()) {
            write_field(out, field);
        }
    }
    out.extend_from_slice(b"\r\n");
}
