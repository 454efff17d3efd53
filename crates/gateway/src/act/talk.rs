//! One try: the request out on one connection, the answer's head in.

use super::{Job, Open, Up, request, respond};
use crate::body::{Patience, Pump, PumpError, Sink, Source};
use crate::caller::Caller;
use crate::h1::{Conn, Wire, parse_response};
use crate::head::{Framing, HeadLimits, Headers, ResponseHead, Version};
use crate::live::Live;
use crate::stream::Stream;
use base::{Code, code};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// How one try went.
pub(super) enum Talked<'a> {
    /// An answer was given; whether the caller's connection may carry another request.
    Over(bool),
    /// None was.
    Failed(Box<Failure<'a>>),
}

pub(super) struct Failure<'a> {
    pub(super) open: Open<'a>,
    pub(super) code: Code,
    pub(super) why: String,
    /// Whether not one byte of an answer had come.
    pub(super) early: bool,
}

/// The answer of an upstream, being waited for.
enum Answering<'u> {
    H1 { conn: &'u RefCell<Conn<Stream>>, method: &'u http::Method, interim: u8 },
    H2(h2::client::ResponseFuture),
}

/// Interim answers that are skipped; more than a few mean a broken upstream.
const INTERIM: u8 = 8;

impl<'u> Answering<'u> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(ResponseHead, Source<'u>), (String, bool)>> {
        match self {
            Self::H1 { conn, method, interim } => {
                let mut guard = conn.borrow_mut();
                loop {
                    match parse_response(guard.rbuf(), method, &HeadLimits::RESPONSE) {
                        Ok(Some(head)) if head.is_interim() => {
                            *interim += 1;
                            if *interim > INTERIM {
                                return Poll::Ready(Err((
                                    "too many interim answers".into(),
                                    false,
                                )));
                            }
                        }
                        Ok(Some(head)) => {
                            let source = Source::h1(conn, head.framing);
                            return Poll::Ready(Ok((head, source)));
                        }
                        Ok(None) => {
                            let early = guard.buffered().is_empty();
                            match guard.poll_fill(cx) {
                                Poll::Pending => return Poll::Pending,
                                Poll::Ready(Ok(0)) => {
                                    return Poll::Ready(Err((
                                        "closed before an answer".into(),
                                        early,
                                    )));
                                }
                                Poll::Ready(Ok(_)) => {}
                                Poll::Ready(Err(error)) => {
                                    return Poll::Ready(Err((error.to_string(), early)));
                                }
                            }
                        }
                        Err(error) => return Poll::Ready(Err((error.to_string(), false))),
                    }
                }
            }
            Self::H2(response) => match Pin::new(response).poll(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(response)) => Poll::Ready(h2_head(response)),
                Poll::Ready(Err(error)) => {
                    let early = error.is_go_away()
                        || error.is_io()
                        || error.reason() == Some(h2::Reason::REFUSED_STREAM);
                    Poll::Ready(Err((error.to_string(), early)))
                }
            },
        }
    }
}

fn h2_head<'u>(
    response: http::Response<h2::RecvStream>,
) -> Result<(ResponseHead, Source<'u>), (String, bool)> {
    let (parts, body) = response.into_parts();
    let headers = Headers::from_map(&parts.headers).map_err(|error| (error.to_string(), false))?;
    let length = parts
        .headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok());
    let framing = match length {
        _ if body.is_end_stream() => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    let head = ResponseHead {
        status: parts.status.as_u16(),
        version: Version::Http2,
        headers,
        framing,
        keep_alive: true,
    };
    Ok((head, if body.is_end_stream() { Source::Done } else { Source::H2(body) }))
}

/// RFC 9110 §6.4.1: an answer to HEAD, and a 204 or 304, has no body. Over HTTP/1.1 the parser sees to that; an
/// HTTP/2 server may send one all the same, and the caller would take it for his next answer.
fn bodyless<'u>(
    mut head: ResponseHead,
    body: Source<'u>,
    method: &http::Method,
) -> (ResponseHead, Source<'u>) {
    if *method == http::Method::HEAD || matches!(head.status, 204 | 304) {
        head.framing = Framing::None;
        return (head, Source::Done);
    }
    (head, body)
}

/// Sends the request on one connection and brings the answer back.
pub(super) async fn talk<'a>(
    job: &Job<'_>,
    (index, up): (usize, Up),
    mut open: Open<'a>,
    live: &Live,
) -> Talked<'a> {
    if job.head.expect_continue {
        open.caller.go_on();
        // A caller that went away shows when its body is read.
        let _ = open.caller.flush().await;
    }
    match up {
        Up::H1(conn) => {
            let cell = RefCell::new(*conn);
            let wire = if matches!(job.head.framing, Framing::Chunked) {
                Wire::Chunked
            } else {
                Wire::Plain
            };
            if let Err(why) = request::h1(job, index, cell.borrow_mut().wbuf()) {
                let code = code::REQUEST_MALFORMED;
                return Talked::failed(open, (code, why, false));
            }
            let answering = Answering::H1 { conn: &cell, method: &job.head.method, interim: 0 };
            let sink = Sink::H1 { conn: &cell, wire };
            let conversation = Conversation { job, sink, answering, live };
            let (talked, reusable) = conversation.run(open).await;
            if reusable {
                let conn = cell.into_inner();
                if conn.buffered().is_empty() && conn.unwritten() == 0 {
                    job.connection.shard.pool.put(&job.act().upstream, index, Box::new(conn));
                }
            }
            talked
        }
        // The handle is held to the end: the pool counts the requests of a connection by it.
        Up::H2(mut shared) => {
            let ended = matches!(open.source, Source::Done);
            let request = match request::h2(job, index) {
                Ok(request) => request,
                Err(why) => {
                    let code = code::REQUEST_MALFORMED;
                    return Talked::failed(open, (code, why, false));
                }
            };
            let (response, stream) = match shared.send.send_request(request, ended) {
                Ok(sent) => sent,
                Err(error) => {
                    let failed = (code::UPSTREAM_BROKEN, error.to_string(), true);
                    return Talked::failed(open, failed);
                }
            };
            let sink = if ended { Sink::Discard } else { Sink::H2(stream) };
            let conversation = Conversation { job, sink, answering: Answering::H2(response), live };
            let talked = conversation.run(open).await.0;
            if let Talked::Failed(failure) = &talked
                && failure.code == code::UPSTREAM_TIMEOUT
            {
                // The connection may lead nowhere any more, and unlike those of HTTP/1.1 it would be used again.
                job.connection.shard.pool.forget(&job.act().upstream, index);
            }
            talked
        }
    }
}

impl<'a> Talked<'a> {
    fn failed(open: Open<'a>, (code, why, early): (Code, String, bool)) -> Self {
        Self::Failed(Box::new(Failure { open, code, why, early }))
    }
}

/// One request and its answer on one upstream connection.
struct Conversation<'j, 'u> {
    job: &'j Job<'j>,
    sink: Sink<'u>,
    answering: Answering<'u>,
    live: &'j Live,
}

/// Why waiting for a head ended without one.
enum Ended {
    Upstream { why: String, early: bool },
    Timeout,
    Caller(PumpError),
    Gone,
    Cut(Code),
}

impl<'j, 'u> Conversation<'j, 'u> {
    /// Returns how it went, and whether the upstream's connection may carry another request.
    async fn run<'a>(self, open: Open<'a>) -> (Talked<'a>, bool) {
        let Self { job, sink, mut answering, live } = self;
        let Open { mut draft, source, mut caller } = open;
        let stall = job.connection.listener.settings().timeouts.body;
        let patience = Patience { source: stall, sink: stall };
        // INVARIANT: the sink lives no longer than the connection in `talk`, the source no longer than the caller's.
        let request = Pump::new(source, sink, job.act().max_body, patience);
        let mut request = if job.may_be_silent() { request } else { request.paced() };
        let wait = job.act().timeout.unwrap_or(job.act().upstream.settings.timeout);
        let mut clock = Clock { wait, until: None, live };
        let sent = draft.elapsed_us();
        let awaited = std::future::poll_fn(|cx| {
            poll_head(cx, &mut request, &mut answering, &mut caller, &mut clock)
        })
        .await;
        live.wake_at(None);
        draft.event.bytes_in = request.moved;
        draft.event.upstream_us = draft.elapsed_us().saturating_sub(sent);
        let (head, body) = match awaited {
            Ok((head, body)) => bodyless(head, body, &job.head.method),
            Err(ended) => {
                let failed = ended_code(ended);
                request.sink.abort();
                let source = std::mem::replace(&mut request.source, Source::Done);
                return (Talked::failed(Open { draft, source, caller }, failed), false);
            }
        };
        if head.status == 101 {
            return match (&answering, job.upgrade) {
                (Answering::H1 { conn, .. }, true) => {
                    // WHY: boxed, as is all that few requests come to, so that the others hold less.
                    let tunnel = crate::tunnel::run(job, draft, &head, (caller, conn), live);
                    let keep = Box::pin(tunnel).await;
                    (Talked::Over(keep), false)
                }
                _ => {
                    let failed =
                        (code::UPSTREAM_BROKEN, "switched protocols unasked".to_owned(), false);
                    // What is left of the body stands before the next request: it must not be taken for one.
                    let source = std::mem::replace(&mut request.source, Source::Done);
                    (Talked::failed(Open { draft, source, caller }, failed), false)
                }
            };
        }
        respond::run(job, (draft, caller), (head, body), request, live).await
    }
}

/// How long an upstream may take to begin its answer.
struct Clock<'t> {
    wait: Duration,
    /// Set once the request is sent: a slow upload is not the upstream's fault.
    until: Option<Instant>,
    live: &'t Live,
}

impl Clock<'_> {
    fn is_over(&mut self) -> bool {
        let now = Instant::now();
        let until = *self.until.get_or_insert_with(|| {
            let until = now + self.wait;
            self.live.wake_at(Some(until));
            until
        });
        now >= until
    }
}

/// Sends the body on, and waits for the answer's head, the time-out, a revocation, or the caller's leaving.
fn poll_head<'u>(
    cx: &mut Context<'_>,
    request: &mut Pump<'_, '_>,
    answering: &mut Answering<'u>,
    caller: &mut Caller<'_>,
    clock: &mut Clock<'_>,
) -> Poll<Result<(ResponseHead, Source<'u>), Ended>> {
    let mut sending = None;
    if !request.is_done() {
        match request.poll(cx) {
            Poll::Ready(Ok(())) | Poll::Pending => {}
            // The upstream stopped reading; it may have said why.
            Poll::Ready(Err(PumpError::Sink(why))) => sending = Some(why),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(Ended::Caller(error))),
        }
    }
    match answering.poll(cx) {
        Poll::Ready(Ok(found)) => return Poll::Ready(Ok(found)),
        Poll::Ready(Err((why, early))) => return Poll::Ready(Err(Ended::Upstream { why, early })),
        Poll::Pending => {}
    }
    if let Some(code) = clock.live.poll_cut(cx) {
        return Poll::Ready(Err(Ended::Cut(code)));
    }
    if let Some(why) = sending {
        // WHY: that it can be written to no more shows before what it has said can be read; the end of that comes
        // by itself.
        if clock.is_over() {
            return Poll::Ready(Err(Ended::Upstream { why, early: true }));
        }
        return Poll::Pending;
    }
    if request.is_done() {
        if caller.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(Ended::Gone));
        }
        if clock.is_over() {
            return Poll::Ready(Err(Ended::Timeout));
        }
    }
    Poll::Pending
}

fn ended_code(ended: Ended) -> (Code, String, bool) {
    match ended {
        Ended::Upstream { why, early } => (code::UPSTREAM_BROKEN, why, early),
        Ended::Timeout => (code::UPSTREAM_TIMEOUT, "no answer in time".to_owned(), false),
        Ended::Cut(code) => (code, "cut while waiting for the upstream".to_owned(), false),
        Ended::Gone => (code::CALLER_GONE, "the caller went away".to_owned(), false),
        Ended::Caller(error) => {
            let code = match &error {
                PumpError::TooLarge(_) => code::BODY_TOO_LARGE,
                PumpError::Stalled(_) | PumpError::Dripped => code::BODY_TIMEOUT,
                _ => code::REQUEST_MALFORMED,
            };
            (code, error.to_string(), false)
        }
    }
}
