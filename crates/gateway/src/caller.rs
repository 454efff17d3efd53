//! The side that asked: how an answer reaches it over HTTP/1.1 or HTTP/2.

use crate::body::Sink;
use crate::h1::{Conn, Wire, encode};
use crate::head::{Field, Framing, Version};
use crate::problem::Answer;
use crate::stream::Stream;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::cell::RefCell;
use std::task::{Context, Poll};

/// Where header fields are written.
pub(crate) enum HeadOut<'o> {
    /// An HTTP/1.1 buffer.
    H1(&'o mut BytesMut),
    /// An HTTP/2 map.
    H2(&'o mut HeaderMap),
}

impl HeadOut<'_> {
    /// A field that was read, as it stands.
    pub(crate) fn field(&mut self, field: Field<'_>) {
        match self {
            Self::H1(out) => encode::write_field(out, field),
            Self::H2(map) => append(map, field.name(), field.value()),
        }
    }

    /// A field of our own. One that cannot be written is left out: what comes out of a claim must not be able
    /// to begin another line.
    pub(crate) fn put(&mut self, name: &[u8], value: &[u8]) {
        match self {
            Self::H1(out) => drop(encode::write_header(out, name, value)),
            Self::H2(map) => append(map, name, value),
        }
    }
}

fn append(map: &mut HeaderMap, name: &[u8], value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        map.append(name, value);
    }
}

/// Ready when the other side of an HTTP/1.1 connection has ended its direction, as nginx takes it: nobody is
/// left to answer. Bytes of a next request are left alone, and a full buffer is not read further.
pub(crate) fn h1_gone(conn: &RefCell<Conn<Stream>>, cx: &mut Context<'_>) -> Poll<()> {
    let mut conn = conn.borrow_mut();
    while conn.buffered().len() < crate::h1::READ_WINDOW / 2 {
        match conn.poll_fill(cx) {
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
            Poll::Ready(Ok(_)) => {}
            Poll::Pending => return Poll::Pending,
        }
    }
    Poll::Pending
}

/// The side that asked.
pub(crate) struct Caller<'a> {
    wire: CallerWire<'a>,
    /// The answer has no body whatever its head says (HEAD).
    pub(crate) head_only: bool,
    /// Whether the connection may carry another request after this one.
    pub(crate) keep_alive: bool,
}

enum CallerWire<'a> {
    H1 { conn: &'a RefCell<Conn<Stream>>, version: Version },
    H2 { respond: h2::server::SendResponse<Bytes> },
}

impl<'a> Caller<'a> {
    pub(crate) fn h1(conn: &'a RefCell<Conn<Stream>>, version: Version, keep_alive: bool) -> Self {
        Self { wire: CallerWire::H1 { conn, version }, head_only: false, keep_alive }
    }

    pub(crate) fn h2(respond: h2::server::SendResponse<Bytes>) -> Self {
        Self { wire: CallerWire::H2 { respond }, head_only: false, keep_alive: true }
    }

    /// The HTTP/1.1 connection, for a tunnel.
    pub(crate) fn connection(&self) -> Option<&'a RefCell<Conn<Stream>>> {
        match self.wire {
            CallerWire::H1 { conn, .. } => Some(conn),
            CallerWire::H2 { .. } => None,
        }
    }

    /// Tells a caller that waits for it to send the body (RFC 9110 §10.1.1).
    pub(crate) fn go_on(&mut self) {
        match &mut self.wire {
            CallerWire::H1 { conn, .. } => {
                conn.borrow_mut().wbuf().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            CallerWire::H2 { respond } => {
                if let Ok(response) = http::Response::builder().status(100).body(()) {
                    let _ = respond.send_informational(response);
                }
            }
        }
    }

    /// Ready when the caller has gone away. Only to be asked while no body is expected from it.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.wire {
            CallerWire::H1 { conn, .. } => h1_gone(conn, cx),
            // An error means that the whole connection is gone.
            CallerWire::H2 { respond } => respond.poll_reset(cx).map(|_| ()),
        }
    }

    /// Writes the head of an answer. The body, if any, goes to what is returned.
    ///
    /// # Errors
    /// A sentence, when the caller has gone away.
    pub(crate) fn head(
        &mut self,
        status: u16,
        framing: Framing,
        fill: &mut dyn FnMut(&mut HeadOut<'_>),
    ) -> Result<Sink<'a>, String> {
        let bodyless = self.head_only || matches!(status, 100..=199 | 204 | 304);
        match &mut self.wire {
            CallerWire::H1 { conn, version } => {
                let mut guard = conn.borrow_mut();
                let out = guard.wbuf();
                encode::write_status_line(out, status);
                fill(&mut HeadOut::H1(out));
                let mut wire = Wire::Plain;
                match framing {
                    Framing::Length(length) if !matches!(status, 100..=199 | 204) => {
                        encode::write_number(out, "content-length", length);
                    }
                    Framing::None if !bodyless => encode::write_number(out, "content-length", 0),
                    Framing::Chunked | Framing::UntilClose if !bodyless => {
                        if *version == Version::Http11 {
                            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
                            wire = Wire::Chunked;
                        } else {
                            // HTTP/1.0 knows no chunks: the body ends with the connection.
                            self.keep_alive = false;
                        }
                    }
                    _ => {}
                }
                if status != 101 {
                    if !self.keep_alive {
                        out.extend_from_slice(b"connection: close\r\n");
                    } else if *version == Version::Http10 {
                        out.extend_from_slice(b"connection: keep-alive\r\n");
                    }
                }
                encode::end_head(out);
                Ok(Sink::H1 { conn, wire })
            }
            CallerWire::H2 { respond } => {
                let mut response = http::Response::new(());
                *response.status_mut() =
                    http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::BAD_GATEWAY);
                fill(&mut HeadOut::H2(response.headers_mut()));
                if let Framing::Length(length) = framing
                    && status != 204
                {
                    append(
                        response.headers_mut(),
                        b"content-length",
                        length.to_string().as_bytes(),
                    );
                }
                let ended = bodyless || framing.is_empty();
                let stream =
                    respond.send_response(response, ended).map_err(|error| error.to_string())?;
                Ok(if ended { Sink::Discard } else { Sink::H2(stream) })
            }
        }
    }

    /// Writes a whole answer of our own and flushes it.
    ///
    /// # Errors
    /// A sentence, when the caller has gone away.
    pub(crate) async fn answer(
        &mut self,
        answer: &Answer,
        fill: &mut dyn FnMut(&mut HeadOut<'_>),
    ) -> Result<(), String> {
        let length = Framing::Length(answer.body.len() as u64);
        let sink = self.head(answer.status, length, &mut |out| {
            for (name, value) in &answer.headers {
                out.put(name.as_bytes(), value.as_bytes());
            }
            fill(out);
        })?;
        match sink {
            Sink::H1 { .. } if self.head_only => {}
            Sink::H1 { conn, .. } => conn.borrow_mut().wbuf().extend_from_slice(&answer.body),
            Sink::H2(mut stream) => {
                stream.send_data(answer.body.clone(), true).map_err(|error| error.to_string())?;
            }
            Sink::Discard => {}
        }
        self.flush().await
    }

    /// Writes what is gathered.
    ///
    /// # Errors
    /// A sentence, when the caller has gone away.
    pub(crate) async fn flush(&mut self) -> Result<(), String> {
        match &self.wire {
            CallerWire::H1 { conn, .. } => {
                std::future::poll_fn(|cx| conn.borrow_mut().poll_flush(cx))
                    .await
                    .map_err(|error| error.to_string())
            }
            CallerWire::H2 { .. } => Ok(()),
        }
    }
}
