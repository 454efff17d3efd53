//! HTTP/1.1 messages as bytes, for both the scripted upstream and the raw client.
//!
//! Owns: finding the end of a head, reading its lines, reading a body by length, chunks or to the end.
//! Never does: correct anything. What was on the wire is what a test sees.

use std::io::{self, Read};

/// Bytes of a head that are read before a message is given up; far above what the gate takes.
const HEAD_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a body that are kept; the rest is counted only, so that a test can move gigabytes.
pub const BODY_KEPT: usize = 4 * 1024 * 1024;

/// A body as far as it was kept.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// Its first [`BODY_KEPT`] bytes.
    pub kept: Vec<u8>,
    /// How many bytes there were in all.
    pub length: u64,
    /// Header lines after the last chunk.
    pub trailers: Vec<(String, String)>,
    /// Whether it ended as its head announced; a connection that closes too early leaves this false.
    pub complete: bool,
}

impl Body {
    fn keep(&mut self, bytes: &[u8]) {
        let room = BODY_KEPT - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length += bytes.len() as u64;
    }
}

/// How a message says where its body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No body.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks, then trailers (RFC 9112 §7.1).
    Chunked,
    /// Until the connection closes.
    Close,
}

/// A buffered reader that can take a head and then a body from a stream.
#[derive(Debug)]
pub(crate) struct Reader<S> {
    /// What is read from.
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl<S: Read> Reader<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// What was read and not yet taken.
    pub(crate) fn take_buffered(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// The bytes of the next head with its empty line; `None` when the stream ends before it begins.
    pub(crate) fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut searched = 0_usize;
        loop {
            let from = searched.saturating_sub(3);
            if let Some(at) = find(&self.buffer[from..], b"\r\n\r\n") {
                let rest = self.buffer.split_off(from + at + 4);
                return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
            }
            searched = self.buffer.len();
            if searched > HEAD_BYTES {
                return Err(io::Error::other("the head does not end"));
            }
            if self.fill()? == 0 {
                return match searched {
                    0 => Ok(None),
                    _ => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// The body that `framing` announces.
    pub(crate) fn body(&mut self, framing: Framing) -> io::Result<Body> {
        let mut body = Body::default();
        body.complete = match framing {
            Framing::None => true,
            Framing::Length(length) => self.exactly(length, &mut body)?,
            Framing::Chunked => self.chunks(&mut body)?,
            Framing::Close => {
                self.exactly(u64::MAX, &mut body)?;
                true
            }
        };
        Ok(body)
    }

    /// Moves `length` bytes to `body`; false when the stream ends before.
    fn exactly(&mut self, length: u64, body: &mut Body) -> io::Result<bool> {
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() && self.fill()? == 0 {
                return Ok(false);
            }
            let now = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            body.keep(&self.buffer[..now]);
            self.buffer.drain(..now);
            left -= now as u64;
        }
        Ok(true)
    }

    fn chunks(&mut self, body: &mut Body) -> io::Result<bool> {
        loop {
            let Some(line) = self.line()? else { return Ok(false) };
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16)
                .map_err(|_| io::Error::other(format!("a chunk of size {line:?}")))?;
            if size == 0 {
                break;
            }
            if !self.exactly(size, body)? {
                return Ok(false);
            }
            if self.line()?.is_none() {
                return Ok(false);
            }
        }
        loop {
            match self.line()? {
                None => return Ok(false),
                Some(line) if line.is_empty() => return Ok(true),
                Some(line) => body.trailers.extend(header_line(&line)),
            }
        }
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let rest = self.buffer.split_off(at + 2);
                let line = std::mem::replace(&mut self.buffer, rest);
                return Ok(Some(String::from_utf8_lossy(&line[..at]).into_owned()));
            }
            if self.buffer.len() > HEAD_BYTES {
                return Err(io::Error::other("the line does not end"));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 64 * 1024];
        let read = loop {
            match self.stream.read(&mut chunk) {
                // A process that was stopped for a while and goes on.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.buffer.extend_from_slice(&chunk[..read]);
        Ok(read)
    }
}

/// The header lines of a head, in their order and spelling.
pub(crate) fn headers(head: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(head);
    text.split("\r\n").skip(1).filter_map(header_line).collect()
}

/// The first line of a head.
pub(crate) fn first_line(head: &[u8]) -> String {
    String::from_utf8_lossy(head).split("\r\n").next().unwrap_or_default().to_owned()
}

/// All values of `name` in `headers`, whatever its case.
pub(crate) fn values<'a>(headers: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let same = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
    headers.iter().filter(same).map(|(_, value)| value.as_str()).collect()
}

/// The framing that `headers` announce, `otherwise` where they announce none.
pub(crate) fn framing(headers: &[(String, String)], otherwise: Framing) -> Framing {
    if values(headers, "transfer-encoding")
        .iter()
        .any(|v| v.to_ascii_lowercase().contains("chunked"))
    {
        return Framing::Chunked;
    }
    match values(headers, "content-length").first().and_then(|value| value.parse().ok()) {
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
        None => otherwise,
    }
}

fn header_line(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
