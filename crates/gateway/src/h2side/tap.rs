//! What the library refuses by itself: it resets streams whose requests are malformed, and answers heads that are far
//! too large, without a word to us. Its frames show it.
//!
//! Owns: the view of the frames that go out, and which streams were never ours.
//!
//! Never does: change, hold or delay a byte.
//!
//! INVARIANT: a stream is told of at most once, and never one that was handed to us: that one is recorded by its
//! exchange.

use crate::stream::Stream;
use access::Denial;
use base::{Phase, code};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of a frame's head (RFC 9113 §4.1).
const HEAD: usize = 9;
/// Types of frames (RFC 9113 §6.2, §6.4).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
/// Signs that wait until it is known whose streams they speak of: as many as the library resets before it gives the
/// connection up.
const SIGNS: usize = 1024;
/// Ranges of streams that were passed over when a later one was handed to us. What the library refuses it refuses at
/// once, so that old ranges say nothing.
const GAPS: usize = 64;

/// What was written of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It was reset, for this reason (RFC 9113 §7).
    Reset(u32),
    /// An answer began.
    Answer,
}

impl Sign {
    /// The refusal, and the status that the caller was told.
    pub(super) fn denial(self) -> (Denial, u16) {
        match self {
            // The only answer that the library gives by itself.
            Self::Answer => (Denial::new(code::HEAD_TOO_LARGE, Phase::Accept), 431),
            Self::Reset(reason) => {
                let reason = h2::Reason::from(reason);
                let code = match reason {
                    h2::Reason::REFUSED_STREAM => code::OVERLOADED,
                    _ => code::REQUEST_MALFORMED,
                };
                let detail = format!("HTTP/2: the stream was reset: {}", reason.description());
                (Denial::new(code, Phase::Accept).detail(detail), 0)
            }
        }
    }
}

/// The frames that went out, and the streams that were handed to us.
#[derive(Debug, Default)]
pub(super) struct Log {
    frames: Frames,
    signs: Vec<(u32, Sign)>,
    streams: Streams,
}

impl Log {
    fn wrote(&mut self, bytes: &[u8]) {
        let signs = &mut self.signs;
        self.frames.read(bytes, |stream, sign| {
            if signs.len() < SIGNS {
                signs.push((stream, sign));
            }
        });
    }

    /// A stream was handed to us.
    pub(super) fn ours(&mut self, stream: u32) {
        self.streams.reach(stream);
    }

    /// Whether something was written that may be a refusal.
    pub(super) fn is_empty(&self) -> bool {
        self.signs.is_empty()
    }

    /// The refusals since the last time. To be asked when the library has no further stream for us.
    pub(super) fn refused(&mut self) -> Vec<Sign> {
        let streams = &mut self.streams;
        self.signs.drain(..).filter(|(id, _)| streams.take(*id)).map(|(_, sign)| sign).collect()
    }
}

/// Which streams of a caller (odd numbers, ascending: RFC 9113 §5.1.1) have not been told of.
#[derive(Debug, Default)]
struct Streams {
    last: u32,
    /// First and last of each range, in their order.
    gaps: Vec<(u32, u32)>,
}

impl Streams {
    /// All up to this one have been seen or passed over, and this one was seen.
    fn reach(&mut self, id: u32) {
        let next = if self.last == 0 { 1 } else { self.last.saturating_add(2) };
        if id <= self.last {
            return;
        }
        if next < id {
            self.gap(self.gaps.len(), (next, id - 2));
        }
        self.last = id;
    }

    fn gap(&mut self, at: usize, range: (u32, u32)) {
        self.gaps.insert(at.min(self.gaps.len()), range);
        if self.gaps.len() > GAPS {
            self.gaps.remove(0);
        }
    }

    /// Whether the stream was never seen; it is from now on.
    fn take(&mut self, id: u32) -> bool {
        if id.is_multiple_of(2) {
            return false;
        }
        if id > self.last {
            self.reach(id);
            return true;
        }
        let found = self.gaps.iter().position(|(from, to)| (*from..=*to).contains(&id));
        let Some(at) = found else { return false };
        let (from, to) = self.gaps.remove(at);
        if id < to {
            self.gap(at, (id + 2, to));
        }
        if from < id {
            self.gap(at, (from, id - 2));
        }
        true
    }
}

/// Follows the frames of one direction through pieces of any length.
#[derive(Debug, Default)]
struct Frames {
    head: [u8; HEAD],
    have: usize,
    /// Bytes of the payload that are still to come.
    rest: usize,
    /// The stream of a reset whose payload, the reason, comes next.
    reset: Option<(u32, u32)>,
}

impl Frames {
    fn read(&mut self, mut bytes: &[u8], mut tell: impl FnMut(u32, Sign)) {
        while !bytes.is_empty() {
            let take = if self.rest > 0 { self.rest } else { HEAD - self.have };
            let (piece, after) = bytes.split_at(take.min(bytes.len()));
            bytes = after;
            if self.rest > 0 {
                self.rest -= piece.len();
                if let Some((_, reason)) = &mut self.reset {
                    // RFC 9113 §6.4: four bytes.
                    *reason = piece.iter().fold(*reason, |all, byte| all << 8 | u32::from(*byte));
                }
            } else {
                for byte in piece {
                    if let Some(place) = self.head.get_mut(self.have) {
                        *place = *byte;
                    }
                    self.have += 1;
                }
                if self.have == HEAD {
                    self.begin(&mut tell);
                }
            }
            if self.rest == 0
                && let Some((stream, reason)) = self.reset.take()
            {
                tell(stream, Sign::Reset(reason));
            }
        }
    }

    fn begin(&mut self, tell: &mut impl FnMut(u32, Sign)) {
        self.have = 0;
        let [a, b, c, kind, _, stream @ ..] = self.head;
        self.rest = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        match kind {
            RST_STREAM => self.reset = Some((stream, 0)),
            HEADERS => tell(stream, Sign::Answer),
            _ => {}
        }
    }
}

/// A connection's bytes, of which the log sees what goes out.
#[derive(Debug)]
pub(super) struct Tap {
    stream: Stream,
    log: Rc<RefCell<Log>>,
}

impl Tap {
    /// The stream with a log of its own.
    pub(super) fn new(stream: Stream) -> (Self, Rc<RefCell<Log>>) {
        let log = Rc::new(RefCell::new(Log::default()));
        (Self { stream, log: log.clone() }, log)
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = done {
            self.log.borrow_mut().wrote(buf.get(..count).unwrap_or(buf));
        }
        done
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(mut count)) = done {
            let mut log = self.log.borrow_mut();
            for buf in bufs {
                let take = count.min(buf.len());
                log.wrote(buf.get(..take).unwrap_or_default());
                count -= take;
            }
        }
        done
    }
}

#[cfg(test)]
mod tests;
