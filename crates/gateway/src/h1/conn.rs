//! One buffered connection.
//!
//! INVARIANT: `rbuf` holds at most [`READ_WINDOW`] bytes when it is filled here. `wbuf` is filled by the owner,
//! who asks [`Conn::poll_ready`] first; so it holds at most [`WRITE_WINDOW`] and one write more. A parked
//! connection holds no buffer at all.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Bytes that are read ahead of their use: more than any head limit, and what keeps a fast sender busy.
pub const READ_WINDOW: usize = 64 * 1024;
/// Bytes that wait to be written before the other side is read no further.
pub const WRITE_WINDOW: usize = 64 * 1024;
/// The first read of a parked connection goes to the stack: most heads fit, and silence costs no memory.
const FIRST_READ: usize = 4 * 1024;
/// Bytes of a first buffer: 10,000 callers that send their heads slowly hold 10 MB.
const FIRST_BUFFER: usize = 1024;
/// Bytes of the buffers after that; they grow fourfold with each read that fills them, up to the window.
const NEXT_BUFFER: usize = 4 * 1024;
/// Free bytes below which a read is not worth its system call.
const LEAST_ROOM: usize = 256;

/// A connection with its two buffers. Reading and writing may be polled by two futures of one task.
///
/// Every method is cancel-safe: what was read is in [`Conn::rbuf`], what is not written yet in [`Conn::wbuf`].
pub struct Conn<IO> {
    io: IO,
    rbuf: BytesMut,
    wbuf: BytesMut,
    step: usize,
    eof: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Conn<IO> {
    /// A connection of which nothing was read.
    pub fn new(io: IO) -> Self {
        Self::with_read(io, BytesMut::new())
    }

    /// A connection of which `rbuf` was read already.
    pub fn with_read(io: IO, rbuf: BytesMut) -> Self {
        Self { io, rbuf, wbuf: BytesMut::new(), step: NEXT_BUFFER, eof: false }
    }

    /// The stream beneath. Reading or writing it directly breaks the order of bytes.
    pub fn io(&self) -> &IO {
        &self.io
    }

    /// What was read and not used.
    pub fn rbuf(&mut self) -> &mut BytesMut {
        &mut self.rbuf
    }

    /// What is to be written; append to it after [`Self::poll_ready`].
    pub fn wbuf(&mut self) -> &mut BytesMut {
        &mut self.wbuf
    }

    /// Both buffers at once.
    pub fn buffers(&mut self) -> (&mut BytesMut, &mut BytesMut) {
        (&mut self.rbuf, &mut self.wbuf)
    }

    /// What was read and not used.
    pub fn buffered(&self) -> &[u8] {
        &self.rbuf
    }

    /// Bytes that wait to be written.
    pub fn unwritten(&self) -> usize {
        self.wbuf.len()
    }

    /// Whether the other side has ended its direction.
    pub fn is_eof(&self) -> bool {
        self.eof
    }

    /// Frees the buffers that are empty: to be called when the connection has been idle for a moment.
    pub fn park(&mut self) {
        if self.rbuf.is_empty() {
            self.rbuf = BytesMut::new();
            self.step = NEXT_BUFFER;
        }
        if self.wbuf.is_empty() {
            self.wbuf = BytesMut::new();
        }
    }

    /// Reads once. `Ok(0)` means that the other side has ended its direction.
    ///
    /// # Errors
    /// The stream's; [`io::ErrorKind::QuotaExceeded`] when [`READ_WINDOW`] bytes lie unused.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.eof {
            return Poll::Ready(Ok(0));
        }
        let held = self.rbuf.len();
        if held >= READ_WINDOW {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let count = if self.rbuf.capacity() == 0 {
            ready!(self.poll_first(cx))?
        } else {
            // WHY: reserve finds the room that was used up before, and moves at most what is unused; it allocates
            // when a head still holds that room.
            let spare = self.rbuf.capacity() - held;
            if spare < LEAST_ROOM || (held == 0 && spare < self.step) {
                self.rbuf.reserve(self.step);
            }
            let room = (self.rbuf.capacity() - held).min(READ_WINDOW - held);
            let mut limited = (&mut self.rbuf).limit(room);
            // The future holds no state of its own, so that it may be made anew for each poll.
            let count = ready!(pin!(self.io.read_buf(&mut limited)).poll(cx))?;
            self.grow(count == room);
            count
        };
        self.eof = count == 0;
        Poll::Ready(Ok(count))
    }

    /// Reads to the stack first, so that nothing is allocated for a connection that stays silent.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [const { MaybeUninit::<u8>::uninit() }; FIRST_READ];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
        let read = read.filled();
        if !read.is_empty() {
            self.grow(read.len() == FIRST_READ);
            self.rbuf.reserve(FIRST_BUFFER.max(read.len()));
            self.rbuf.extend_from_slice(read);
        }
        Poll::Ready(Ok(read.len()))
    }

    fn grow(&mut self, full: bool) {
        if full {
            self.step = (self.step * 4).min(READ_WINDOW);
        }
    }

    /// Waits until [`Self::wbuf`] holds less than [`WRITE_WINDOW`].
    ///
    /// # Errors
    /// The stream's.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.wbuf.len() >= WRITE_WINDOW {
            ready!(self.poll_write(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes all of [`Self::wbuf`] and flushes the stream.
    ///
    /// # Errors
    /// The stream's; [`io::ErrorKind::WriteZero`] when it takes nothing any more.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.wbuf.is_empty() {
            ready!(self.poll_write(cx))?;
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let count = ready!(Pin::new(&mut self.io).poll_write(cx, &self.wbuf))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.wbuf.advance(count.min(self.wbuf.len()));
        Poll::Ready(Ok(()))
    }

    /// Writes what is left and ends our direction.
    ///
    /// # Errors
    /// The stream's.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// The stream, what was read and not used, and what was not written: for an upgrade.
    pub fn into_parts(self) -> (IO, BytesMut, BytesMut) {
        (self.io, self.rbuf, self.wbuf)
    }
}

impl<IO> fmt::Debug for Conn<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // WHY: the buffers hold credentials.
        f.debug_struct("Conn")
            .field("unread", &self.rbuf.len())
            .field("unwritten", &self.wbuf.len())
            .field("eof", &self.eof)
            .finish_non_exhaustive()
    }
}
