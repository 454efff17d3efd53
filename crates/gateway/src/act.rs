//! Phase Act: strip what is ours to say, add it, forward, stream both ways.
//!
//! INVARIANT: every function here that touches an upstream is reached through a `Permit` only.

mod echo;
mod request;
mod respond;

use crate::body::{Patience, Pump, PumpError, Sink, Source};
use crate::caller::Caller;
use crate::connect::{Connected, connect};
use crate::exchange::{Forward, refuse};
use crate::h1::{Conn, Wire, parse_response};
use crate::head::{Framing, HeadLimits, Headers, RequestHead, ResponseHead, Upgrade, Version};
use crate::live::Live;
use crate::record::Draft;
use crate::serve::Connection;
use crate::settings::Act;
use crate::stream::Stream;
use access::Denial;
use base::{Code, Phase, code};
use bytes::Bytes;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// How long an upstream may be silent in the middle of an answer. Long, since server-sent events may be rare;
/// finite, since every wait has a bound. Revocation reaches the stream long before.
pub(crate) const SILENCE: Duration = Duration::from_secs(3600);

/// One request on its way.
pub(crate) struct Job<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) forward: &'a Forward,
    pub(crate) head: &'a RequestHead,
    /// The body bytes stand in HTTP/2 frames without a length, or in chunks.
    pub(crate) upgrade: bool,
    pub(crate) assertion: Option<String>,
    pub(crate) id: [u8; 26],
}

impl Job<'_> {
    pub(crate) fn act(&self) -> &Act {
        &self.forward.permit.route().act
    }

    fn retriable(&self, source: &Source<'_>) -> bool {
        // RFC 9110 §9.2.2: idempotent methods may be sent again when the connection failed.
        let method = self.head.method.as_str();
        matches!(method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE")
            && matches!(source, Source::Done)
            && !self.upgrade
    }
}

/// A connection to an upstream, for one request.
enum Up {
    H1(Box<Conn<Stream>>),
    H2(h2::client::SendRequest<Bytes>),
}

/// Forwards one request. Returns whether the caller's connection may carry another.
pub(crate) async fn forward(
    connection: &Connection,
    mut draft: Draft,
    forward: Forward,
    head: RequestHead,
    mut source: Source<'_>,
    mut caller: Caller<'_>,
) -> bool {
    let upgrade = head.upgrade == Some(Upgrade::WebSocket) && caller.connection().is_some();
    if (forward.permit.route().strict || upgrade) && draft.decision_first().await.is_err() {
        let denial = Denial::new(code::LEDGER_UNAVAILABLE, Phase::Record);
        return refuse(draft, denial, &mut source, &mut caller).await;
    }
    let live = connection.shard.live.enter(forward.permit.credentials().to_vec());
    let upstream = forward.permit.route().act.upstream.clone();
    let assertion = if upstream.settings.assertion {
        match connection.shard.assertions.sign(connection, &forward, &head) {
            Ok(assertion) => Some(assertion),
            Err(why) => {
                let denial = Denial::new(code::INTERNAL, Phase::Act).detail(why);
                return refuse(draft, denial, &mut source, &mut caller).await;
            }
        }
    } else {
        None
    };
    let job = Job {
        connection,
        forward: &forward,
        head: &head,
        upgrade,
        assertion,
        id: draft.id().text(),
    };
    if upstream.settings.servers.first().is_some_and(|server| server.echo) {
        return echo::answer(&job, draft, source, caller).await;
    }
    attempt(&job, draft, source, caller, &live).await
}

/// Tries servers until one takes the request.
async fn attempt(
    job: &Job<'_>,
    mut draft: Draft,
    mut source: Source<'_>,
    mut caller: Caller<'_>,
    live: &Live,
) -> bool {
    let upstream = &job.act().upstream;
    let pool = &job.connection.shard.pool;
    let mut tried: Vec<usize> = Vec::new();
    let mut why = String::new();
    let mut fresh = false;
    loop {
        let now_ms = job.connection.shard.monotonic_ms();
        let chosen = (tried.len() <= upstream.settings.retries as usize)
            .then(|| pool.choose(upstream, &tried, now_ms))
            .flatten();
        let Some(index) = chosen else {
            let code = if tried.is_empty() {
                code::UPSTREAM_UNHEALTHY
            } else {
                code::UPSTREAM_UNREACHABLE
            };
            let denial = Denial::new(code, Phase::Act).detail(why);
            return refuse(draft, denial, &mut source, &mut caller).await;
        };
        let (up, reused) = match acquire(job, index, fresh).await {
            Ok(found) => found,
            Err(error) => {
                upstream.failed(index, now_ms);
                tried.push(index);
                why = error;
                continue;
            }
        };
        let retriable = job.retriable(&source);
        match talk(job, (index, up), draft, source, caller, live).await {
            Talked::Over(keep) => return keep,
            Talked::Failed(failure) => {
                (draft, source, caller) = (failure.draft, failure.source, failure.caller);
                // A kept connection that turns out dead is nobody's fault: once more, on a new one.
                if reused && !fresh && retriable && failure.early {
                    fresh = true;
                    continue;
                }
                let denial = Denial::new(failure.code, Phase::Act).detail(failure.why);
                return refuse(draft, denial, &mut source, &mut caller).await;
            }
        }
    }
}

/// A connection to server number `index`, and whether it was used before.
async fn acquire(job: &Job<'_>, index: usize, fresh: bool) -> Result<(Up, bool), String> {
    let upstream = &job.act().upstream;
    let pool = &job.connection.shard.pool;
    if fresh {
        pool.forget(upstream, index);
    } else if let Some(conn) = pool.take(upstream, index) {
        return Ok((Up::H1(conn), true));
    } else if let Some(send) = pool.shared(upstream, index) {
        // A server that takes no further stream is waited for as long as for a connection.
        match tokio::time::timeout(upstream.settings.connect_timeout, send.ready()).await {
            Ok(Ok(send)) => return Ok((Up::H2(send), true)),
            Ok(Err(_)) => pool.forget(upstream, index),
            Err(_) => return Err("the server takes no further streams".to_owned()),
        }
    }
    let connected = connect(upstream, index).await?;
    upstream.succeeded(index);
    match connected {
        Connected::H1(conn) => Ok((Up::H1(conn), false)),
        Connected::H2(send) => {
            pool.share(upstream, index, send.clone());
            let send = send.ready().await.map_err(|error| error.to_string())?;
            Ok((Up::H2(send), false))
        }
    }
}

/// How one try went.
enum Talked<'a> {
    /// An answer was given; whether the caller's connection may carry another request.
    Over(bool),
    /// None was.
    Failed(Box<Failure<'a>>),
}

struct Failure<'a> {
    draft: Draft,
    source: Source<'a>,
    caller: Caller<'a>,
    code: Code,
    why: String,
    /// Whether not one byte of an answer had come.
    early: bool,
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

/// Sends the request on one connection and brings the answer back.
async fn talk<'a>(
    job: &Job<'_>,
    (index, up): (usize, Up),
    draft: Draft,
    source: Source<'a>,
    mut caller: Caller<'a>,
    live: &Live,
) -> Talked<'a> {
    if job.head.expect_continue {
        caller.go_on();
        // A caller that went away shows when its body is read.
        let _ = caller.flush().await;
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
                return Talked::failed(draft, source, caller, (code, why, false));
            }
            let answering = Answering::H1 { conn: &cell, method: &job.head.method, interim: 0 };
            let sink = Sink::H1 { conn: &cell, wire };
            let conversation = Conversation { job, sink, answering, live };
            let (talked, reusable) = conversation.run(draft, source, caller).await;
            if reusable {
                let conn = cell.into_inner();
                if conn.buffered().is_empty() && conn.unwritten() == 0 {
                    job.connection.shard.pool.put(&job.act().upstream, index, Box::new(conn));
                }
            }
            talked
        }
        Up::H2(mut send) => {
            let ended = matches!(source, Source::Done);
            let request = match request::h2(job, index) {
                Ok(request) => request,
                Err(why) => {
                    let code = code::REQUEST_MALFORMED;
                    return Talked::failed(draft, source, caller, (code, why, false));
                }
            };
            let (response, stream) = match send.send_request(request, ended) {
                Ok(sent) => sent,
                Err(error) => {
                    let failed = (code::UPSTREAM_BROKEN, error.to_string(), true);
                    return Talked::failed(draft, source, caller, failed);
                }
            };
            let sink = if ended { Sink::Discard } else { Sink::H2(stream) };
            let conversation = Conversation { job, sink, answering: Answering::H2(response), live };
            conversation.run(draft, source, caller).await.0
        }
    }
}

impl<'a> Talked<'a> {
    fn failed(
        draft: Draft,
        source: Source<'a>,
        caller: Caller<'a>,
        (code, why, early): (Code, String, bool),
    ) -> Self {
        Self::Failed(Box::new(Failure { draft, source, caller, code, why, early }))
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
    async fn run<'a>(
        self,
        mut draft: Draft,
        source: Source<'a>,
        mut caller: Caller<'a>,
    ) -> (Talked<'a>, bool) {
        let Self { job, sink, mut answering, live } = self;
        let listener = job.connection.listener.settings();
        let patience = Patience { source: listener.timeouts.body, sink: listener.timeouts.body };
        // INVARIANT: the sink lives no longer than the connection in `talk`, the source no longer than the caller's.
        let mut request = Pump::new(source, sink, job.act().max_body, patience);
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
            Ok(found) => found,
            Err(ended) => {
                let failed = ended_code(ended);
                request.sink.abort();
                let source = std::mem::replace(&mut request.source, Source::Done);
                return (Talked::failed(draft, source, caller, failed), false);
            }
        };
        if head.status == 101 {
            return match (&answering, job.upgrade) {
                (Answering::H1 { conn, .. }, true) => {
                    let keep = crate::tunnel::run(job, draft, &head, (caller, conn), live).await;
                    (Talked::Over(keep), false)
                }
                _ => {
                    let failed =
                        (code::UPSTREAM_BROKEN, "switched protocols unasked".to_owned(), false);
                    (Talked::failed(draft, Source::Done, caller, failed), false)
                }
            };
        }
        respond::run(job, draft, (head, body), request, caller, live).await
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
    if let Some(why) = sending {
        return Poll::Ready(Err(Ended::Upstream { why, early: true }));
    }
    if let Some(code) = clock.live.poll_cut(cx) {
        return Poll::Ready(Err(Ended::Cut(code)));
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
                PumpError::Stalled(_) => code::BODY_TIMEOUT,
                _ => code::REQUEST_MALFORMED,
            };
            (code, error.to_string(), false)
        }
    }
}
