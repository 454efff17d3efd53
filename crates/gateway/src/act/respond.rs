//! Bringing an answer back.

use super::talk::Talked;
use super::{Job, SILENCE};
use crate::body::{Patience, Pump, PumpError, Source};
use crate::caller::{Caller, HeadOut};
use crate::cors;
use crate::exchange::NONCE;
use crate::head::{Framing, Known, ResponseHead};
use crate::hygiene;
use crate::live::Live;
use crate::record::Draft;
use base::{Code, code};
use std::task::{Context, Poll};

/// How the bodies ended.
enum Done {
    Complete,
    Upstream(PumpError),
    Caller(PumpError),
    /// The request's own body broke a rule, or off, while the answer was under way.
    Request(PumpError),
    Cut(Code),
}

/// Sends head and body to the caller while the request's body may still be on its way up.
pub(super) async fn run<'a>(
    job: &Job<'_>,
    (mut draft, mut caller): (Draft, Caller<'a>),
    (head, body): (ResponseHead, Source<'_>),
    mut request: Pump<'_, '_>,
    live: &Live,
) -> (Talked<'a>, bool) {
    let framing = head.framing;
    let status = head.status;
    if head.headers.first(Known::ContentType).is_some_and(is_event_stream) {
        draft.decision_now();
    }
    // The body of the request may never be read to its end: then nothing may follow on the connection.
    if !request.is_done() || job.upgrade {
        caller.keep_alive = false;
    }
    let sink = caller.head(status, framing, &mut |out| headers(job, &head, out));
    let sink = match sink {
        Ok(sink) => sink,
        Err(why) => {
            draft.error(code::CALLER_GONE, why);
            draft.finish(status);
            return (Talked::Over(false), false);
        }
    };
    let stall = job.connection.listener.settings().timeouts.body;
    let patience = Patience { source: SILENCE, sink: stall };
    let mut response = Pump::new(body, sink, None, patience);
    let done = std::future::poll_fn(|cx| poll_bodies(cx, &mut request, &mut response, live)).await;
    draft.event.bytes_in = request.moved;
    draft.event.bytes_out = response.moved;
    let complete = matches!(done, Done::Complete);
    match done {
        Done::Complete => {}
        Done::Upstream(error) => draft.error(code::UPSTREAM_BROKEN, error.to_string()),
        Done::Caller(error) => draft.error(code::CALLER_GONE, error.to_string()),
        Done::Request(error @ PumpError::TooLarge(_)) => {
            draft.error(code::BODY_TOO_LARGE, error.to_string());
            draft.event.outcome = base::Outcome::Deny;
        }
        Done::Request(error) => draft.error(code::CALLER_GONE, error.to_string()),
        Done::Cut(why) => {
            draft.error(code::STREAM_CUT, format!("{why}"));
            draft.event.outcome = base::Outcome::Deny;
        }
    }
    if !complete {
        response.sink.abort();
    }
    draft.finish(status);
    if complete && !request.is_done() {
        request.source.linger().await;
    }
    let whole = complete && request.is_done();
    let reusable = whole && head.keep_alive && framing != Framing::UntilClose;
    (Talked::Over(whole && caller.keep_alive), reusable)
}

fn poll_bodies(
    cx: &mut Context<'_>,
    request: &mut Pump<'_, '_>,
    response: &mut Pump<'_, '_>,
    live: &Live,
) -> Poll<Done> {
    // An answer that is there at once never registers with the index of live streams.
    match response.poll(cx) {
        Poll::Ready(Ok(())) => return Poll::Ready(Done::Complete),
        Poll::Ready(Err(error @ PumpError::Sink(_))) => return Poll::Ready(Done::Caller(error)),
        Poll::Ready(Err(error)) => return Poll::Ready(Done::Upstream(error)),
        Poll::Pending => {}
    }
    if !request.is_done() {
        match request.poll(cx) {
            // INVARIANT: a body that is too large, broken or broken off ends the exchange, or it would go on behind
            // its limit and nobody would see the caller leave.
            Poll::Ready(Err(error @ (PumpError::TooLarge(_) | PumpError::Source(_)))) => {
                return Poll::Ready(Done::Request(error));
            }
            // An upstream may answer without reading on, and a caller say nothing while it listens.
            Poll::Ready(_) | Poll::Pending => {}
        }
    } else if response.sink.poll_gone(cx).is_ready() {
        return Poll::Ready(Done::Caller(PumpError::Sink("the caller went away".to_owned())));
    }
    match live.poll_cut(cx) {
        Some(code) => Poll::Ready(Done::Cut(code)),
        None => Poll::Pending,
    }
}

/// The head that the caller sees, without framing.
pub(super) fn headers(job: &Job<'_>, head: &ResponseHead, out: &mut HeadOut<'_>) {
    let act = job.act();
    let rules = &act.response_headers;
    let ruled = !rules.set.is_empty() || !rules.remove.is_empty();
    for field in head.headers.fields() {
        let name = field.name();
        if !hygiene::passes_down(&field) || (ruled && rules.touches(name)) {
            continue;
        }
        // The gate's own is the one that counts.
        if job.nonce.is_some() && name == NONCE.as_bytes() {
            continue;
        }
        if act.cors.is_some() && name.starts_with(b"access-control-") {
            continue;
        }
        if job.forward.cookie.is_some() && caches(name) {
            continue;
        }
        out.field(field);
    }
    for (name, value) in &rules.set {
        if job.forward.cookie.is_some() && caches(name.as_bytes()) {
            continue;
        }
        out.put(name.as_bytes(), value.as_bytes());
    }
    if let Some(cors) = &act.cors {
        for (name, value) in cors::on_answer(cors, job.head) {
            out.put(name.as_bytes(), value.as_bytes());
        }
    }
    if let Some(nonce) = &job.nonce {
        out.put(NONCE.as_bytes(), nonce.as_bytes());
    }
    session(job, out);
    out.put(b"x-request-id", &job.id);
    // A bodyless answer keeps the length that it speaks of (HEAD, 304).
    if head.framing == Framing::None
        && (job.head.method == http::Method::HEAD || head.status == 304)
        && let Some(length) = head.headers.first(Known::ContentLength)
    {
        out.put(b"content-length", length);
    }
}

/// The renewed session, if there is one.
///
/// INVARIANT: an answer with a session in it is kept by nobody, whatever the upstream says (RFC 9111 §7.3): a cache in
/// front would hand it to the next caller.
pub(crate) fn session(job: &Job<'_>, out: &mut HeadOut<'_>) {
    let Some(cookie) = &job.forward.cookie else { return };
    out.put(b"set-cookie", cookie.as_bytes());
    out.put(b"cache-control", b"no-store");
}

/// Whether a header says how an answer may be kept.
fn caches(name: &[u8]) -> bool {
    let whole =
        [&b"expires"[..], b"pragma", b"surrogate-control", b"x-accel-expires", b"edge-control"];
    // RFC 9213 §3.1: caches have fields of their own names, such as `CDN-Cache-Control`.
    name.ends_with(b"cache-control") || whole.contains(&name)
}

fn is_event_stream(value: &[u8]) -> bool {
    value.get(..17).is_some_and(|head| head.eq_ignore_ascii_case(b"text/event-stream"))
}
