//! HTTP/2 by hand: frames and header blocks exactly as a test wants them, which no library would send.

use std::io::{Read, Write};
use std::net::TcpStream;
use testkit::PATIENCE;

/// The client's preface and an empty SETTINGS frame (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Bytes of one frame (RFC 9113 §4.2).
const FRAME: usize = 16_384;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// An answer with this status.
    Status(u16),
    /// The stream was reset with this error (RFC 9113 §7).
    Reset(u32),
    /// The connection was given up with this error.
    GoAway(u32),
    /// The connection ended.
    Closed,
}

impl Came {
    /// The caller was told that it is at fault: a 4xx, or an error of the protocol (RFC 9113 §8.1.1).
    pub(crate) fn is_refusal(self) -> bool {
        match self {
            Self::Status(status) => (400..500).contains(&status),
            Self::Reset(_) | Self::GoAway(_) | Self::Closed => true,
        }
    }
}

/// One request as fields in their order, pseudo-header fields among them, over a connection of its own.
pub(crate) fn send(address: &str, fields: &[(&[u8], &[u8])], body: &[u8]) -> Came {
    exchange(address, fields, body).0
}

/// POST of `body` with these fields behind it (RFC 9113 §8.1: a trailer section).
pub(crate) fn post_with_trailers(
    address: &str,
    path: &str,
    fields: &[(&str, &str)],
    body: &[u8],
    trailers: &[(&str, &str)],
) -> Came {
    let mut stream = connect(address);
    let head = [(":method", "POST"), (":scheme", "http"), (":authority", address), (":path", path)];
    let block = |fields: &[(&str, &str)]| -> Vec<u8> {
        fields.iter().flat_map(|(name, value)| literal(name.as_bytes(), value.as_bytes())).collect()
    };
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(HEADERS, END_HEADERS, &block(&[&head, fields].concat())));
    bytes.extend(frame(DATA, 0, body));
    bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, &block(trailers)));
    let _ = stream.write_all(&bytes);
    read(&mut stream).0
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    let _ = stream.set_read_timeout(Some(PATIENCE));
    stream
}

/// The same, and the answer's body.
fn exchange(address: &str, fields: &[(&[u8], &[u8])], body: &[u8]) -> (Came, Vec<u8>) {
    let mut stream = connect(address);
    let mut bytes = PREFACE.to_vec();
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
    let mut pieces = block.chunks(FRAME).peekable();
    let mut kind = HEADERS;
    while let Some(piece) = pieces.next() {
        let last = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        let ends = if kind == HEADERS && body.is_empty() { END_STREAM } else { 0 };
        bytes.extend(frame(kind, last | ends, piece));
        kind = CONTINUATION;
    }
    if !body.is_empty() {
        bytes.extend(frame(DATA, END_STREAM, body));
    }
    // The gate may give up in the middle of it.
    let _ = stream.write_all(&bytes);
    read(&mut stream)
}

/// GET of `path` with these fields.
pub(crate) fn get(address: &str, path: &str, fields: &[(&str, &str)]) -> Came {
    get_body(address, path, fields).0
}

/// The same, and the answer's body as JSON.
pub(crate) fn get_body(
    address: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> (Came, serde_json::Value) {
    let mut all: Vec<(&[u8], &[u8])> = vec![
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", address.as_bytes()),
        (b":path", path.as_bytes()),
    ];
    all.extend(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    let (came, body) = exchange(address, &all, b"");
    (came, serde_json::from_slice(&body).unwrap_or_default())
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    let stream = u32::from(kind != SETTINGS).to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}

/// A literal field that is never indexed, with a new name, without Huffman coding (RFC 7541 §6.2.3).
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = vec![0x10];
    for text in [name, value] {
        integer(text.len(), &mut out);
        out.extend_from_slice(text);
    }
    out
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn integer(mut value: usize, out: &mut Vec<u8>) {
    if value < 127 {
        out.push(u8::try_from(value).expect("below 127"));
        return;
    }
    out.push(127);
    value -= 127;
    while value >= 128 {
        out.push(u8::try_from(value % 128).expect("below 128") | 0x80);
        value /= 128;
    }
    out.push(u8::try_from(value).expect("below 128"));
}

/// Reads until the stream or the connection ends.
fn read(stream: &mut TcpStream) -> (Came, Vec<u8>) {
    let (mut came, mut body) = (None, Vec::new());
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).is_err() {
            return (came.unwrap_or(Came::Closed), body);
        }
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        if stream.read_exact(&mut payload).is_err() {
            return (came.unwrap_or(Came::Closed), body);
        }
        let number = |at: usize| {
            let bytes = payload.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            u32::from_be_bytes(bytes.unwrap_or_default())
        };
        match head[3] {
            HEADERS if came.is_none() => came = Some(Came::Status(status(&payload))),
            DATA => body.extend_from_slice(&payload),
            RESET => return (came.unwrap_or(Came::Reset(number(0))), body),
            GOAWAY if number(4) != 0 => return (came.unwrap_or(Came::GoAway(number(4))), body),
            _ => {}
        }
        if matches!(head[3], HEADERS | DATA) && head[4] & END_STREAM != 0 {
            return (came.unwrap_or(Came::Closed), body);
        }
    }
}

/// `:status`, which stands first: one of the static table's, or three digits, Huffman-coded or not
/// (RFC 7541 appendices A and B).
fn status(block: &[u8]) -> u16 {
    // A change of the table's size may stand before (RFC 7541 §6.3).
    let block = match block.iter().position(|byte| byte & 0xe0 != 0x20) {
        Some(at) => &block[at..],
        None => block,
    };
    match block[0] {
        indexed @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        0x48 | 0x08 | 0x18 => digits(block[1], &block[2..]),
        other => panic!("a header block that begins with {other:#x}"),
    }
}

fn digits(length: u8, text: &[u8]) -> u16 {
    let bytes = &text[..usize::from(length & 0x7f)];
    if length & 0x80 == 0 {
        return std::str::from_utf8(bytes).expect("digits").parse().expect("a status");
    }
    let mut bits =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1)));
    let mut take = |count: usize| bits.by_ref().take(count).fold(0, |all, bit| all << 1 | bit);
    (0..3).fold(0, |all, _| {
        // 0, 1 and 2 have five bits; 3 to 9 have six, from 011001.
        let five = take(5);
        let digit = if five < 3 { five } else { (five << 1 | take(1)) - 0b01_1001 + 3 };
        all * 10 + digit
    })
}
