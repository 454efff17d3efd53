//! Moving a body from one side to the other at constant memory, whatever the two sides speak.

use crate::deadline::Deadline;
use crate::h1::{BodyDecoder, Conn, Decoded, Stop, WRITE_WINDOW, Wire, encode};
use crate::head::{Framing, Headers};
use crate::stream::Stream;
use bytes::Bytes;
use std::cell::RefCell;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// How long, and how many bytes, a caller is listened to after its last answer, so that it can read the answer
/// before the connection (RFC 9112 §9.6) or the stream is reset. A busy client has megabytes on their way before it
/// looks for an answer.
pub(crate) const LINGER: (Duration, usize) = (Duration::from_secs(1), 8 * 1024 * 1024);

/// Bytes a second below which a request's body is given up. WHY: one byte within each time-out would hold a
/// connection here and one at the upstream for as long as its sender likes; a modem of 1,200 baud sends seven times
/// as much.
const SLOWEST: u64 = 16;
/// Over how many time-outs the rate is taken, so that a sender may pause.
const PAUSES: u32 = 2;

/// Where a body comes from.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// There is none, or it is used up.
    Done,
    /// An HTTP/1.1 connection.
    H1 { conn: &'a RefCell<Conn<Stream>>, decoder: BodyDecoder },
    /// An HTTP/2 stream.
    H2(h2::RecvStream),
}

/// Where a body goes to.
#[derive(Debug)]
pub(crate) enum Sink<'a> {
    /// Nowhere.
    Discard,
    /// An HTTP/1.1 connection.
    H1 { conn: &'a RefCell<Conn<Stream>>, wire: Wire },
    /// An HTTP/2 stream.
    H2(h2::SendStream<Bytes>),
}

/// What went wrong, and on which side.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PumpError {
    /// The side that sends broke its framing or went away.
    #[error("the sender failed: {0}")]
    Source(String),
    /// The side that receives went away.
    #[error("the receiver failed: {0}")]
    Sink(String),
    /// More than the limit.
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
    /// No byte came or went for too long.
    #[error("no progress for {0:?}")]
    Stalled(Duration),
    /// Bytes came, too few.
    #[error("fewer than {SLOWEST} bytes a second")]
    Dripped,
}

impl<'a> Source<'a> {
    /// A body that is framed so on an HTTP/1.1 connection.
    pub(crate) fn h1(conn: &'a RefCell<Conn<Stream>>, framing: Framing) -> Self {
        if framing.is_empty() {
            Self::Done
        } else {
            Self::H1 { conn, decoder: BodyDecoder::new(framing) }
        }
    }

    /// Whether nothing more will come.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Done => true,
            Self::H1 { decoder, .. } => decoder.is_end(),
            Self::H2(stream) => stream.is_end_stream(),
        }
    }

    /// Listens for a moment to a caller that still sends over HTTP/2 although it has its answer, so that it reads
    /// the answer before its stream is reset; many clients give up on a reset, whatever came before.
    pub(crate) async fn linger(&mut self) {
        let Self::H2(stream) = self else { return };
        let mut heard = 0;
        let listening = std::future::poll_fn(|cx| {
            while heard <= LINGER.1 {
                match ready!(stream.poll_data(cx)) {
                    Some(Ok(data)) => {
                        heard += data.len();
                        let _ = stream.flow_control().release_capacity(data.len());
                    }
                    Some(Err(_)) | None => break,
                }
            }
            Poll::Ready(())
        });
        let _ = tokio::time::timeout(LINGER.0, listening).await;
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, PumpError>> {
        match self {
            Self::Done => Poll::Ready(Ok(None)),
            Self::H1 { conn, decoder } => {
                let mut conn = conn.borrow_mut();
                loop {
                    let step = decoder.decode(conn.rbuf()).map_err(source)?;
                    match step {
                        Decoded::Data(count) => {
                            return Poll::Ready(Ok(Some(decoder.take(conn.rbuf(), count))));
                        }
                        Decoded::End => return Poll::Ready(Ok(None)),
                        Decoded::More => {
                            if ready!(conn.poll_fill(cx)).map_err(source)? == 0 {
                                decoder.eof().map_err(source)?;
                            }
                        }
                    }
                }
            }
            Self::H2(stream) => match ready!(stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // The window is given back as the data is taken: the pump holds one chunk at a time.
                    let _ = stream.flow_control().release_capacity(data.len());
                    Poll::Ready(Ok(Some(data)))
                }
                Some(Err(error)) => Poll::Ready(Err(source(error))),
                None => Poll::Ready(Ok(None)),
            },
        }
    }

    /// What stands behind the body.
    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Headers>, PumpError>> {
        match self {
            Self::Done => Poll::Ready(Ok(None)),
            Self::H1 { decoder, .. } => Poll::Ready(Ok(decoder.trailers().cloned())),
            Self::H2(stream) => {
                let trailers = ready!(stream.poll_trailers(cx)).map_err(source)?;
                Poll::Ready(match trailers {
                    Some(map) => Headers::from_map(&map).map(Some).map_err(source),
                    None => Ok(None),
                })
            }
        }
    }
}

impl Sink<'_> {
    /// Takes all of `chunk`, in pieces where the other side's window is small.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Bytes,
    ) -> Poll<Result<(), PumpError>> {
        match self {
            Self::Discard => chunk.clear(),
            Self::H1 { conn, wire } => {
                let mut conn = conn.borrow_mut();
                ready!(conn.poll_ready(cx)).map_err(sink)?;
                match wire {
                    Wire::Plain => conn.wbuf().extend_from_slice(chunk),
                    Wire::Chunked => encode::write_chunk(conn.wbuf(), chunk),
                }
                chunk.clear();
            }
            Self::H2(stream) => {
                while !chunk.is_empty() {
                    stream.reserve_capacity(chunk.len());
                    let room = match ready!(stream.poll_capacity(cx)) {
                        Some(room) => room.map_err(sink)?,
                        None => return Poll::Ready(Err(sink("the stream is closed"))),
                    };
                    let piece = chunk.split_to(room.min(chunk.len()));
                    stream.send_data(piece, false).map_err(sink)?;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn finish(&mut self, trailers: Option<&Headers>) -> Result<(), PumpError> {
        match self {
            Self::Discard | Self::H1 { wire: Wire::Plain, .. } => Ok(()),
            Self::H1 { conn, wire: Wire::Chunked } => {
                encode::write_last_chunk(conn.borrow_mut().wbuf(), trailers);
                Ok(())
            }
            Self::H2(stream) => match trailers.map(header_map) {
                Some(map) if !map.is_empty() => stream.send_trailers(map).map_err(sink),
                _ => stream.send_data(Bytes::new(), true).map_err(sink),
            },
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        match self {
            Self::H1 { conn, .. } => conn.borrow_mut().poll_flush(cx).map_err(sink),
            // The connection's own task writes.
            Self::H2(_) | Self::Discard => Poll::Ready(Ok(())),
        }
    }

    /// Ready when the receiver has gone away. Only to be asked while nothing is expected from it.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Discard => Poll::Pending,
            Self::H1 { conn, .. } => crate::caller::h1_gone(conn, cx),
            // An error means that the whole connection is gone.
            Self::H2(stream) => stream.poll_reset(cx).map(|_| ()),
        }
    }

    /// Ends the body before its time, so that the receiver can tell.
    pub(crate) fn abort(&mut self) {
        if let Self::H2(stream) = self {
            stream.send_reset(h2::Reason::INTERNAL_ERROR);
        }
    }
}

/// Trailers as HTTP/2 sends them.
fn header_map(trailers: &Headers) -> http::HeaderMap {
    let mut map = http::HeaderMap::new();
    for (name, value) in trailers.iter() {
        if crate::h1::trailer_allowed(name)
            && let (Ok(name), Ok(value)) =
                (http::HeaderName::from_bytes(name), http::HeaderValue::from_bytes(value))
        {
            map.append(name, value);
        }
    }
    map
}

fn source(error: impl std::fmt::Display) -> PumpError {
    PumpError::Source(error.to_string())
}

fn sink(error: impl std::fmt::Display) -> PumpError {
    PumpError::Sink(error.to_string())
}

/// Moves one body.
#[derive(Debug)]
pub(crate) struct Pump<'s, 'k> {
    pub(crate) source: Source<'s>,
    pub(crate) sink: Sink<'k>,
    pub(crate) moved: u64,
    max: Option<u64>,
    pending: Bytes,
    stage: Stage,
    patience: Patience,
    deadline: Option<Deadline>,
    pace: Option<Pace>,
}

/// Watches over a sender that must keep up [`SLOWEST`].
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Over which the rate is taken.
    window: Duration,
    /// When the window began, and how much was moved then; none before the first wait.
    since: Option<(Instant, u64)>,
}

impl Pace {
    /// Whether the sender has kept up. `excused` says that it was the receiver who kept it waiting.
    fn is_kept(&mut self, now: Instant, moved: u64, excused: bool) -> bool {
        let (start, before) = *self.since.get_or_insert((now, moved));
        if excused {
            self.since = Some((now, moved));
            return true;
        }
        let passed = now.duration_since(start);
        if passed < self.window {
            return true;
        }
        self.since = Some((now, moved));
        u128::from(moved.saturating_sub(before)) * 1000 >= u128::from(SLOWEST) * passed.as_millis()
    }
}

/// How long each side may keep the other waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Until the sender sends.
    pub(crate) source: Duration,
    /// Until the receiver takes.
    pub(crate) sink: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Moving,
    Trailers,
    Flushing,
    Done,
}

impl<'s, 'k> Pump<'s, 'k> {
    /// Moves at most `max` bytes; fails when a side keeps the other waiting for too long.
    pub(crate) fn new(
        source: Source<'s>,
        sink: Sink<'k>,
        max: Option<u64>,
        patience: Patience,
    ) -> Self {
        let (pending, stage) = (Bytes::new(), Stage::Moving);
        let (deadline, pace) = (None, None);
        Self { source, sink, moved: 0, max, pending, stage, patience, deadline, pace }
    }

    /// The sender must keep up [`SLOWEST`].
    pub(crate) fn paced(mut self) -> Self {
        self.pace = Some(Pace { window: self.patience.source * PAUSES, since: None });
        self
    }

    /// Whether it is the receiver whom we wait for.
    fn sink_waits(&self) -> bool {
        let unwritten = match &self.sink {
            Sink::H1 { conn, .. } => conn.borrow().unwritten() > 0,
            _ => false,
        };
        unwritten || !self.pending.is_empty()
    }

    /// Whom we wait for.
    fn stall(&self) -> Duration {
        if self.sink_waits() { self.patience.sink } else { self.patience.source }
    }

    /// Whether all is moved and flushed.
    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Goes on.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        let before = (self.moved, self.stage, self.pending.len());
        let result = self.advance(cx);
        if result.is_ready() {
            return result;
        }
        // INVARIANT: each byte that drips wakes us, so the pace needs no timer of its own.
        let excused = self.sink_waits();
        if let Some(pace) = &mut self.pace
            && !pace.is_kept(Instant::now(), self.moved, excused)
        {
            return Poll::Ready(Err(PumpError::Dripped));
        }
        if before != (self.moved, self.stage, self.pending.len()) || self.deadline.is_none() {
            let at = Instant::now() + self.stall();
            match &mut self.deadline {
                Some(deadline) => deadline.set(at),
                None => self.deadline = Some(Deadline::new(at)),
            }
        }
        match self.deadline.as_mut().map(|deadline| deadline.poll(cx)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(PumpError::Stalled(self.stall()))),
            _ => Poll::Pending,
        }
    }

    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        loop {
            match self.stage {
                Stage::Moving => {
                    let moved = match (&mut self.source, &mut self.sink) {
                        (Source::H1 { .. }, Sink::H1 { .. }) => self.relay(cx),
                        _ => self.carry(cx),
                    };
                    match moved {
                        Poll::Ready(Ok(())) => self.stage = Stage::Trailers,
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Pending => {
                            // What has been gathered goes out before we wait.
                            if let Poll::Ready(Err(error)) = self.sink.poll_flush(cx) {
                                return Poll::Ready(Err(error));
                            }
                            return Poll::Pending;
                        }
                    }
                }
                Stage::Trailers => {
                    let trailers = ready!(self.source.poll_trailers(cx))?;
                    self.sink.finish(trailers.as_ref())?;
                    self.stage = Stage::Flushing;
                }
                Stage::Flushing => {
                    ready!(self.sink.poll_flush(cx))?;
                    self.stage = Stage::Done;
                }
                Stage::Done => return Poll::Ready(Ok(())),
            }
        }
    }

    /// HTTP/1.1 to HTTP/1.1: one copy, no allocation.
    fn relay(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        let (Source::H1 { conn: from, decoder }, Sink::H1 { conn: to, wire }) =
            (&mut self.source, &mut self.sink)
        else {
            return Poll::Ready(Ok(()));
        };
        let (mut from, mut to) = (from.borrow_mut(), to.borrow_mut());
        loop {
            let (moved, stop) =
                decoder.relay(from.rbuf(), to.wbuf(), *wire, WRITE_WINDOW).map_err(source)?;
            self.moved += moved as u64;
            if let Some(max) = self.max
                && self.moved > max
            {
                return Poll::Ready(Err(PumpError::TooLarge(max)));
            }
            match stop {
                Stop::End => return Poll::Ready(Ok(())),
                Stop::Full => ready!(to.poll_ready(cx)).map_err(sink)?,
                Stop::More => match from.poll_fill(cx) {
                    Poll::Ready(Ok(0)) => decoder.eof().map_err(source)?,
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(source(error))),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }

    fn carry(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        loop {
            if !self.pending.is_empty() {
                ready!(self.sink.poll_send(cx, &mut self.pending))?;
            }
            match ready!(self.source.poll_chunk(cx))? {
                None => return Poll::Ready(Ok(())),
                Some(chunk) => {
                    self.moved += chunk.len() as u64;
                    if let Some(max) = self.max
                        && self.moved > max
                    {
                        return Poll::Ready(Err(PumpError::TooLarge(max)));
                    }
                    self.pending = chunk;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_drips_is_given_up_and_one_that_pauses_is_not() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let fresh = || Pace { window: 60 * second, since: None };
        let after = |pace: &mut Pace, seconds: u32, moved| {
            pace.is_kept(start + seconds * second, moved, false)
        };
        let mut drip = fresh();
        assert!((0..60).all(|it| after(&mut drip, it, u64::from(it))));
        assert!(!after(&mut drip, 60, 60));
        let mut steady = fresh();
        assert!((0..600).all(|it| after(&mut steady, it, u64::from(it) * SLOWEST)));
        // All of a window at its end is as good; nothing in the next is not.
        let mut bursts = fresh();
        assert!(after(&mut bursts, 0, 0) && after(&mut bursts, 60, 60 * SLOWEST));
        assert!(after(&mut bursts, 119, 60 * SLOWEST) && !after(&mut bursts, 120, 60 * SLOWEST));
        // Whoever waits for the receiver is not slow.
        let mut held = fresh();
        assert!((0..600).all(|it| held.is_kept(start + it * second, 0, true)));
    }
}
