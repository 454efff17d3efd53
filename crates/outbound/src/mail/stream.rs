//! What the dialogue is led over: bounded streams, and the way into TLS by STARTTLS.
//!
//! WHY of our own: what a server (or somebody between) sends in the clear after its answer to STARTTLS must not be
//! taken for an answer inside TLS (RFC 3207 §6), and an answer may not be without end.

use super::smtp::{SmtpError, unreachable};
use lettre::transport::smtp::client::AsyncTokioStream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that a server may say in one delivery: a dialogue has fewer than ten answers, the longest about 500 bytes.
pub(super) const ANSWER_BYTES: usize = 32 * 1024;

/// Greets in the clear and asks for TLS; the stream is at the point where the handshake begins.
///
/// # Errors
/// [`SmtpError::NoTls`] where the server does not offer it.
pub(super) async fn prepare(stream: TcpStream, hello: &str) -> Result<TcpStream, SmtpError> {
    let mut clear = Clear { stream, left: ANSWER_BYTES };
    expect(clear.reply().await?, 220)?;
    // RFC 5321 §4.1.1.1.
    let offers = expect(clear.ask(&format!("EHLO {hello}\r\n")).await?, 250)?;
    let offered = offers
        .lines()
        .skip(1)
        .any(|line| line.get(4..).is_some_and(|it| it.trim_end().eq_ignore_ascii_case("STARTTLS")));
    if !offered {
        return Err(SmtpError::NoTls);
    }
    // RFC 3207 §4: 220, and then the handshake.
    match clear.ask("STARTTLS\r\n").await? {
        (220, _) => Ok(clear.stream),
        _ => Err(SmtpError::NoTls),
    }
}

fn expect((code, text): (u16, String), wanted: u16) -> Result<String, SmtpError> {
    match code {
        _ if code == wanted => Ok(text),
        400..500 => Err(SmtpError::Later(code)),
        500..600 => Err(SmtpError::Refused(code)),
        _ => Err(SmtpError::Answer),
    }
}

/// The dialogue before TLS.
struct Clear {
    stream: TcpStream,
    /// Bytes that the server may still say.
    left: usize,
}

impl Clear {
    async fn ask(&mut self, command: &str) -> Result<(u16, String), SmtpError> {
        self.stream.write_all(command.as_bytes()).await.map_err(unreachable)?;
        self.reply().await
    }

    /// One reply, and not a byte more (RFC 5321 §4.2.1).
    async fn reply(&mut self) -> Result<(u16, String), SmtpError> {
        let mut text = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let read = self.stream.read(&mut buffer).await.map_err(unreachable)?;
            if read == 0 {
                return Err(SmtpError::Unreachable("the connection was closed".to_owned()));
            }
            self.left = self.left.checked_sub(read).ok_or(SmtpError::Answer)?;
            text.extend_from_slice(buffer.get(..read).unwrap_or_default());
            if let Some(code) = complete(&text)? {
                let text = String::from_utf8(text).map_err(|_| SmtpError::Answer)?;
                return Ok((code, text));
            }
        }
    }
}

/// The code of a reply that is complete; `None` while lines are missing.
///
/// # Errors
/// When it is no reply, or something follows it.
fn complete(text: &[u8]) -> Result<Option<u16>, SmtpError> {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    while let Some(line) = lines.next() {
        if line.last() != Some(&b'\n') {
            return Ok(None);
        }
        let digits = line.get(..3).and_then(|it| std::str::from_utf8(it).ok());
        let code = digits.and_then(|it| it.parse().ok()).ok_or(SmtpError::Answer)?;
        match line.get(3) {
            Some(b'-') => {}
            // RFC 3207 §6: nothing that came in the clear is taken into TLS, so nothing may follow.
            Some(b' ' | b'\r' | b'\n') => {
                return lines.next().map_or(Ok(Some(code)), |_| Err(SmtpError::Answer));
            }
            _ => return Err(SmtpError::Answer),
        }
    }
    Ok(None)
}

/// A stream that says no more than it may, and whose greeting is still to come or is already past.
pub(super) struct Greeted<S> {
    greeting: &'static [u8],
    left: usize,
    stream: S,
    peer: SocketAddr,
}

impl<S> Greeted<S> {
    /// The server will greet.
    pub(super) fn awaiting(stream: S, peer: SocketAddr) -> Self {
        Self { greeting: b"", left: ANSWER_BYTES, stream, peer }
    }

    /// The server greeted before TLS and will not do it again (RFC 3207 §4.2); the dialogue begins with a greeting, so
    /// it is given one.
    pub(super) fn already(stream: S, peer: SocketAddr) -> Self {
        Self { greeting: b"220 TLS\r\n", ..Self::awaiting(stream, peer) }
    }
}

impl<S> std::fmt::Debug for Greeted<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Greeted").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> AsyncTokioStream for Greeted<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.greeting.is_empty() {
            let (now, later) = self.greeting.split_at(buffer.remaining().min(self.greeting.len()));
            buffer.put_slice(now);
            self.greeting = later;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        match self.left.checked_sub(read) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5321_s4_2_1_replies() {
        let check = |text: &str, expect| assert_eq!(complete(text.as_bytes()), expect, "{text:?}");
        check("", Ok(None));
        check("220", Ok(None));
        check("220 ready", Ok(None));
        check("220 ready\r\n", Ok(Some(220)));
        check("220\r\n", Ok(Some(220)));
        check("250-one\r\n", Ok(None));
        check("250-one\r\n250 ST", Ok(None));
        check("250-one\r\n250 STARTTLS\r\n", Ok(Some(250)));
        check("hello\r\n", Err(SmtpError::Answer));
        check("22\r\n", Err(SmtpError::Answer));
        check("220x\r\n", Err(SmtpError::Answer));
    }

    #[test]
    fn rfc3207_s6_what_follows_a_reply_in_the_clear_is_refused() {
        let check = |text: &str| assert_eq!(complete(text.as_bytes()), Err(SmtpError::Answer));
        check("220 ready\r\n250 injected\r\n");
        check("220 ready\r\n2");
        check("250-a\r\n250 b\r\n235 welcome\r\n");
    }
}
