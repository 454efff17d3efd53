//! Phase Act: strip what is ours to say, add it, forward, stream both ways.
//!
//! INVARIANT: every function here that touches an upstream is reached through a `Permit` only.

mod echo;
mod request;
mod respond;
mod talk;

use crate::body::Source;
use crate::caller::Caller;
use crate::connect::{Connected, connect};
use crate::exchange::{Forward, nonce, refuse};
use crate::h1::Conn;
use crate::head::{Known, RequestHead, Upgrade, Version};
use crate::live::Live;
use crate::pool::Shared;
use crate::record::Draft;
use crate::serve::Connection;
use crate::settings::{Act, UpstreamProtocol};
use crate::stream::Stream;
use crate::upstream::Upstream;
use access::Denial;
use base::{Code, Phase, code};
pub(crate) use respond::session;
use std::future::Future;
use std::task::Poll;
use std::time::Duration;
use talk::{Talked, talk};

/// How long an upstream may be silent in the middle of an answer. Long, since server-sent events may be rare;
/// finite, since every wait has a bound. Revocation reaches the stream long before.
pub(crate) const SILENCE: Duration = Duration::from_secs(3600);

/// A request that is not answered yet: its record, its body, and who waits.
pub(crate) struct Open<'a> {
    pub(crate) draft: Draft,
    pub(crate) source: Source<'a>,
    pub(crate) caller: Caller<'a>,
}

impl Open<'_> {
    /// Answers with a refusal. Returns whether the caller's connection may carry another request.
    async fn refuse(mut self, denial: Denial) -> bool {
        refuse(self.draft, denial, &mut self.source, &mut self.caller).await
    }
}

/// One request on its way.
pub(crate) struct Job<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) forward: &'a Forward,
    pub(crate) head: &'a RequestHead,
    /// The body bytes stand in HTTP/2 frames without a length, or in chunks.
    pub(crate) upgrade: bool,
    pub(crate) assertion: Option<String>,
    pub(crate) id: [u8; 26],
    /// For the caller's next proof (RFC 9449 §8.2).
    pub(crate) nonce: Option<String>,
}

impl Job<'_> {
    pub(crate) fn act(&self) -> &Act {
        &self.forward.permit.route().act
    }

    /// Whether the request's body is a conversation, in which a caller may say little for as long as it likes: gRPC,
    /// over HTTP/2 on both sides, where a stream that waits costs no connection.
    fn may_be_silent(&self) -> bool {
        let grpc = |value: &[u8]| {
            value.get(..16).is_some_and(|it| it.eq_ignore_ascii_case(b"application/grpc"))
        };
        self.head.version == Version::Http2
            && self.act().upstream.settings.protocol == UpstreamProtocol::Http2
            && self.head.headers.first(Known::ContentType).is_some_and(grpc)
    }

    fn retriable(&self, source: &Source<'_>) -> bool {
        // RFC 9110 §9.2.2: idempotent methods may be sent again when the connection failed.
        let method = self.head.method.as_str();
        matches!(method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS")
            && matches!(source, Source::Done)
            && !self.upgrade
    }
}

/// A connection to an upstream, for one request.
enum Up {
    H1(Box<Conn<Stream>>),
    H2(Shared),
}

/// Forwards one request. Returns whether the caller's connection may carry another.
pub(crate) async fn forward(
    connection: &Connection,
    forward: Forward,
    head: RequestHead,
    mut open: Open<'_>,
) -> bool {
    let upgrade = head.upgrade == Some(Upgrade::WebSocket) && open.caller.connection().is_some();
    let first = forward.permit.route().strict || upgrade;
    if first && open.draft.decision_first().await.is_err() {
        return open.refuse(Denial::new(code::LEDGER_UNAVAILABLE, Phase::Record)).await;
    }
    let permit = &forward.permit;
    let live = connection.shard.live.enter(permit.credentials().to_vec(), permit.until());
    let upstream = forward.permit.route().act.upstream.clone();
    let assertion = if upstream.settings.assertion {
        match connection.shard.assertions.sign(connection, &forward, &head) {
            Ok(assertion) => Some(assertion),
            Err(why) => {
                return open.refuse(Denial::new(code::INTERNAL, Phase::Act).detail(why)).await;
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
        id: open.draft.id().text(),
        nonce: nonce(connection, &open.draft, &head),
    };
    if upstream.settings.servers.first().is_some_and(|server| server.echo) {
        return Box::pin(echo::answer(&job, open)).await;
    }
    attempt(&job, open, &live).await
}

/// Tries servers until one takes the request.
async fn attempt(job: &Job<'_>, mut open: Open<'_>, live: &Live) -> bool {
    let upstream = &job.act().upstream;
    let pool = &job.connection.shard.pool;
    let mut tried: Vec<usize> = Vec::new();
    let mut why = String::new();
    let mut fresh = false;
    loop {
        let now_ms = || job.connection.shard.monotonic_ms();
        let chosen = (tried.len() <= upstream.settings.retries as usize)
            .then(|| pool.choose(upstream, &tried, now_ms))
            .flatten();
        let Some(index) = chosen else {
            let code = if tried.is_empty() {
                code::UPSTREAM_UNHEALTHY
            } else {
                code::UPSTREAM_UNREACHABLE
            };
            return open.refuse(Denial::new(code, Phase::Act).detail(why)).await;
        };
        let (up, reused) = match acquire_for(job, (index, fresh), &mut open, live).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                upstream.failed(index, now_ms());
                tried.push(index);
                why = error;
                continue;
            }
            Err(code) => {
                let denial = Denial::new(code, Phase::Act).detail("ended while connecting");
                return open.refuse(denial).await;
            }
        };
        let retriable = job.retriable(&open.source);
        match talk(job, (index, up), open, live).await {
            Talked::Over(keep) => return keep,
            Talked::Failed(failure) => {
                open = failure.open;
                // A kept connection that turns out dead is nobody's fault: once more, on a new one.
                if reused && !fresh && retriable && failure.early {
                    fresh = true;
                    continue;
                }
                let denial = Denial::new(failure.code, Phase::Act).detail(failure.why);
                return open.refuse(denial).await;
            }
        }
    }
}

/// A connection for as long as somebody waits for it, with a credential that is good: connecting may take seconds,
/// and callers over HTTP/2 reset requests for nothing (CVE-2023-44487).
///
/// # Errors
/// Why the exchange ends; within, why there is no connection.
async fn acquire_for(
    job: &Job<'_>,
    (index, fresh): (usize, bool),
    open: &mut Open<'_>,
    live: &Live,
) -> Result<Result<(Up, bool), String>, Code> {
    let mut acquiring = std::pin::pin!(acquire(job, index, fresh));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(found) = acquiring.as_mut().poll(cx) {
            return Poll::Ready(live.cut().map_or(Ok(found), Err));
        }
        if let Some(code) = live.poll_cut(cx) {
            return Poll::Ready(Err(code));
        }
        if matches!(open.source, Source::Done) && open.caller.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(code::CALLER_GONE));
        }
        Poll::Pending
    })
    .await
}

/// A connection to server number `index`, and whether it was used before.
async fn acquire(job: &Job<'_>, index: usize, fresh: bool) -> Result<(Up, bool), String> {
    let upstream = &job.act().upstream;
    let pool = &job.connection.shard.pool;
    if fresh {
        pool.forget(upstream, index);
    } else if let Some(conn) = pool.take(upstream, index) {
        return Ok((Up::H1(conn), true));
    } else if let Some(shared) = pool.shared(upstream, index) {
        match ready(upstream, shared).await? {
            Some(shared) => return Ok((Up::H2(shared), true)),
            None => pool.forget(upstream, index),
        }
    }
    // WHY: boxed, since a handshake holds kilobytes of state that a request over a kept connection does not need.
    let connected = Box::pin(connect(upstream, index)).await?;
    upstream.succeeded(index);
    match connected {
        Connected::H1(conn) => Ok((Up::H1(conn), false)),
        Connected::H2(send) => {
            let shared = pool.share(upstream, index, send);
            let shared = ready(upstream, shared).await?;
            Ok((Up::H2(shared.ok_or("the connection ended at once")?), false))
        }
    }
}

/// Waits until an HTTP/2 connection takes a stream, as long as for a new connection; `None` when it has ended.
async fn ready(upstream: &Upstream, mut shared: Shared) -> Result<Option<Shared>, String> {
    let ready = shared.send.clone().ready();
    match tokio::time::timeout(upstream.settings.connect_timeout, ready).await {
        Ok(Ok(send)) => {
            shared.send = send;
            Ok(Some(shared))
        }
        Ok(Err(_)) => Ok(None),
        Err(_) => Err("the server takes no further streams".to_owned()),
    }
}
