//! HTTP/2 by hand, for both sides: frames exactly as an attack wants them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use testkit::PATIENCE;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The client's preface (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as it came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Frames(pub(crate) TcpStream);

impl Frames {
    /// A client's connection that has sent its preface and these settings.
    pub(crate) fn connect(address: &str, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        let mut frames = Self::over(stream);
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        frames.bytes(&[PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat()).expect("the preface");
        frames
    }

    /// A server's connection: reads the preface and sends empty settings.
    pub(crate) fn accept(mut stream: TcpStream) -> Self {
        let mut preface = [0; PREFACE.len()];
        stream.read_exact(&mut preface).expect("a preface");
        let mut frames = Self::over(stream);
        frames.send(SETTINGS, 0, 0, &[]).expect("settings");
        frames
    }

    fn over(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.set_write_timeout(Some(PATIENCE));
        Self(stream)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }

    pub(crate) fn send(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> std::io::Result<()> {
        self.bytes(&frame(kind, flags, stream, payload))
    }

    /// GET of `path` without a body.
    pub(crate) fn get(&mut self, stream: u32, path: &str, fields: &[(&str, &str)]) {
        let block = request("GET", path, fields);
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &block).expect("a request");
    }

    /// The next frame; none when the connection has ended or nothing came for too long.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream })
    }

    /// Whether the other side ends the connection within `within`, whatever it still says; nothing is answered.
    pub(crate) fn is_closed(&mut self, within: Duration) -> bool {
        let _ = self.0.set_read_timeout(Some(within));
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.0.read(&mut bytes) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => {
                    let waited = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut];
                    return !waited.contains(&error.kind());
                }
            }
        }
    }
}

/// The bytes of a frame (RFC 9113 §4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The header block of a request.
pub(crate) fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let pseudo =
        [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path)];
    pseudo.iter().chain(fields).flat_map(|(name, value)| literal(name, value)).collect()
}

/// A literal field that is never indexed, with a new name, without Huffman coding (RFC 7541 §6.2.3).
pub(crate) fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut out = vec![0x10];
    for text in [name, value] {
        integer(text.len(), &mut out);
        out.extend_from_slice(text.as_bytes());
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
