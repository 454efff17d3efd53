//! Decoding bodies: by length, in chunks, until the connection ends.

use bytes::{Buf, Bytes, BytesMut};

use super::{encode, names, token};
use crate::head::{Framing, HeadError, HeadLimits, Headers, Known};

/// Digits of a chunk size. More could not be held, and leading zeros without end are a way to waste time.
const SIZE_DIGITS: usize = 16;
/// Bytes of chunk extensions on one line. No known client sends any.
const EXTENSION_LINE_BYTES: usize = 256;
/// Bytes of chunk extensions in one body: against many small chunks with large extensions (CVE-2023-39326).
const EXTENSION_BODY_BYTES: usize = 16 * 1024;

/// Why a body cannot be read on. The connection must then be closed: where the body ends is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The chunks are not as RFC 9112 §7.1 says.
    #[error("malformed chunk: {0}")]
    Chunk(&'static str),
    /// The trailers are not as RFC 9112 §7.1.2 says, or would change the head.
    #[error("trailers refused")]
    Trailers(#[source] HeadError),
    /// The connection ended before the body did.
    #[error("the body ended early")]
    Truncated,
}

impl BodyError {
    /// The stable code when a caller sent it; for an upstream's body it is `upstream.broken`.
    pub fn code(&self) -> base::Code {
        match self {
            Self::Chunk(_) => base::code::REQUEST_MALFORMED,
            Self::Trailers(error) => error.code(),
            Self::Truncated => base::code::CALLER_GONE,
        }
    }
}

/// What lies at the front of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// So many bytes of body, at least one. Take them with [`BodyDecoder::consume`] or [`BodyDecoder::take`].
    Data(usize),
    /// Nothing yet: read more.
    More,
    /// The body is complete; what is in the buffer belongs to the next message.
    End,
}

/// Why [`BodyDecoder::relay`] stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All that was read is moved: read more.
    More,
    /// The window of the writing side is full: flush.
    Full,
    /// The body is complete. In [`Wire::Chunked`], [`encode::write_last_chunk`] is still to be called.
    End,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// As it is.
    Plain,
    /// In chunks.
    Chunked,
}

/// Follows one body through its framing. Holds no data: the caller's buffer does.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    extensions: usize,
    trailers: Option<Box<Headers>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    UntilClose,
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    End,
}

impl BodyDecoder {
    /// A decoder for a body that is framed so.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::End,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size,
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, extensions: 0, trailers: None }
    }

    /// Whether the body is complete.
    pub fn is_end(&self) -> bool {
        self.state == State::End
    }

    /// The trailers that may be passed on; once [`Self::is_end`] holds, and only where any came.
    pub fn trailers(&self) -> Option<&Headers> {
        self.trailers.as_deref()
    }

    /// Takes framing off the front of `buf` and says what lies there then. Asking twice changes nothing.
    ///
    /// # Errors
    /// [`BodyError::Chunk`], [`BodyError::Trailers`].
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Decoded, BodyError> {
        loop {
            let step = match self.state {
                State::End => return Ok(Decoded::End),
                State::Length(left) | State::Data(left) => return Ok(available(buf, left)),
                State::UntilClose => return Ok(available(buf, u64::MAX)),
                State::Size => self.size(buf)?,
                State::DataEnd => data_end(buf)?,
                State::Trailers => self.trailer_section(buf)?,
            };
            match step {
                Some(next) => self.state = next,
                None => return Ok(Decoded::More),
            }
        }
    }

    /// Drops up to `count` bytes of body, as [`Self::decode`] announced them, from the front of `buf`.
    pub fn consume(&mut self, buf: &mut BytesMut, count: usize) {
        buf.advance(self.account(buf.len(), count));
    }

    /// Splits up to `count` bytes of body off the front of `buf`, without copying.
    pub fn take(&mut self, buf: &mut BytesMut, count: usize) -> Bytes {
        buf.split_to(self.account(buf.len(), count)).freeze()
    }

    /// Moves body from `from` to `to` (one copy, no allocation beyond `to`'s) until there is no more, or `to`
    /// holds `window` bytes. Returns the bytes of body that were moved.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn relay(
        &mut self,
        from: &mut BytesMut,
        to: &mut BytesMut,
        wire: Wire,
        window: usize,
    ) -> Result<(usize, Stop), BodyError> {
        let mut moved = 0;
        loop {
            let count = match self.decode(from)? {
                Decoded::End => return Ok((moved, Stop::End)),
                Decoded::More => return Ok((moved, Stop::More)),
                Decoded::Data(count) => count.min(window.saturating_sub(to.len())),
            };
            if count == 0 {
                return Ok((moved, Stop::Full));
            }
            let data = from.get(..count).unwrap_or_default();
            match wire {
                Wire::Plain => to.extend_from_slice(data),
                Wire::Chunked => encode::write_chunk(to, data),
            }
            self.consume(from, count);
            moved += count;
        }
    }

    /// The connection has ended and the buffer is empty.
    ///
    /// # Errors
    /// [`BodyError::Truncated`] unless this is where the body ends (RFC 9112 §8).
    pub fn eof(&mut self) -> Result<(), BodyError> {
        match self.state {
            State::End | State::UntilClose => {
                self.state = State::End;
                Ok(())
            }
            _ => Err(BodyError::Truncated),
        }
    }

    /// Notes that `count` bytes of body leave a buffer of `len`; returns how many really may.
    fn account(&mut self, len: usize, count: usize) -> usize {
        let count = count.min(len);
        let (left, end) = match self.state {
            State::UntilClose => return count,
            State::Length(left) => (left, State::End),
            State::Data(left) => (left, State::DataEnd),
            _ => return 0,
        };
        let count = count.min(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left.saturating_sub(count as u64);
        self.state = match end {
            _ if left == 0 => end,
            State::End => State::Length(left),
            _ => State::Data(left),
        };
        count
    }

    /// `chunk-size [ chunk-ext ] CRLF` (RFC 9112 §7.1).
    fn size(&mut self, buf: &mut BytesMut) -> Result<Option<State>, BodyError> {
        let Some(line) = size_line(buf)? else { return Ok(None) };
        // RFC 9112 §7.1.1: extensions that are not understood are ignored; their total is limited.
        self.extensions = self.extensions.saturating_add(line.extension);
        if self.extensions > EXTENSION_BODY_BYTES {
            return Err(BodyError::Chunk("too many extensions"));
        }
        buf.advance(line.len.min(buf.len()));
        Ok(Some(if line.size == 0 { State::Trailers } else { State::Data(line.size) }))
    }

    /// `trailer-section CRLF` (RFC 9112 §7.1.2).
    fn trailer_section(&mut self, buf: &mut BytesMut) -> Result<Option<State>, BodyError> {
        match buf.as_ref() {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', ..] => {
                buf.advance(2);
                return Ok(Some(State::End));
            }
            _ => {}
        }
        let limits = &HeadLimits::TRAILERS;
        let found = token::find_head(buf, limits).map_err(BodyError::Trailers)?;
        let Some(extent) = found else { return Ok(None) };
        let places = token::trailers(buf, extent).map_err(BodyError::Trailers)?;
        let mut trailers = Headers::from_places(token::split_head(buf, extent), places);
        for known in [Known::TransferEncoding, Known::ContentLength, Known::Host] {
            // RFC 9110 §6.5.1: whoever sends these in trailers wants them merged by somebody.
            if trailers.count(known) > 0 {
                return Err(BodyError::Trailers(HeadError::Framing("a framing field in trailers")));
            }
        }
        trailers.retain(|field| names::trailer_allowed(field.name()));
        if !trailers.is_empty() {
            self.trailers = Some(Box::new(trailers));
        }
        Ok(Some(State::End))
    }
}

fn available(buf: &BytesMut, left: u64) -> Decoded {
    match buf.len().min(usize::try_from(left).unwrap_or(usize::MAX)) {
        0 => Decoded::More,
        count => Decoded::Data(count),
    }
}

/// The CR LF behind a chunk's data.
fn data_end(buf: &mut BytesMut) -> Result<Option<State>, BodyError> {
    match buf.as_ref() {
        [] | [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => {
            buf.advance(2);
            Ok(Some(State::Size))
        }
        _ => Err(BodyError::Chunk("the data is not as long as its size says")),
    }
}

struct SizeLine {
    size: u64,
    extension: usize,
    len: usize,
}

/// Reads a size line; `None` while it is not whole.
fn size_line(buf: &[u8]) -> Result<Option<SizeLine>, BodyError> {
    let mut size: u64 = 0;
    let mut digits = 0;
    let rest = loop {
        match buf.get(digits) {
            None => return Ok(None),
            Some(byte) => match char::from(*byte).to_digit(16) {
                Some(_) if digits == SIZE_DIGITS => {
                    return Err(BodyError::Chunk("the size has too many digits"));
                }
                Some(digit) => size = size << 4 | u64::from(digit),
                None => break buf.get(digits..).unwrap_or_default(),
            },
        }
        digits += 1;
    };
    if digits == 0 || i64::try_from(size).is_err() {
        return Err(BodyError::Chunk("the size is not a hexadecimal number below 2^63"));
    }
    let extension = match rest {
        [b'\r', ..] => 0,
        // RFC 9112 §7.1.1 lets whitespace stand before `;`; readers differ on it, so we do not.
        [b';', ..] => match rest.iter().position(|byte| !is_extension_byte(*byte)) {
            Some(end) => end,
            None => rest.len(),
        },
        _ => return Err(BodyError::Chunk("the size is followed by what is no extension")),
    };
    if extension > EXTENSION_LINE_BYTES {
        return Err(BodyError::Chunk("an extension is too long"));
    }
    // RFC 9112 §2.2: CR LF and nothing else ends the line; a lone CR or LF inside an extension is how two
    // readers come to see different chunks.
    match rest.get(extension..).unwrap_or_default() {
        [] | [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Ok(Some(SizeLine { size, extension, len: digits + extension + 2 })),
        _ => Err(BodyError::Chunk("the size line does not end with CR LF")),
    }
}

fn is_extension_byte(byte: u8) -> bool {
    byte == b'\t' || byte == b' ' || byte.is_ascii_graphic()
}
