//! The built-in upstream: says what an upstream would have been told.

use super::{Job, Open, request};
use crate::body::{Patience, Pump, PumpError, Sink, Source};
use crate::caller::HeadOut;
use crate::exchange::{finish, refuse};
use crate::problem::Answer;
use access::Denial;
use base::{Phase, code};
use bytes::Bytes;

/// Bytes of body that are counted before the request is refused.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Answers with method, path and headers as JSON.
pub(super) async fn answer(job: &Job<'_>, open: Open<'_>) -> bool {
    let Open { mut draft, source, mut caller } = open;
    if job.head.expect_continue {
        caller.go_on();
        let _ = caller.flush().await;
    }
    let stall = job.connection.listener.settings().timeouts.body;
    let patience = Patience { source: stall, sink: stall };
    let max = job.act().max_body.unwrap_or(LARGEST).min(LARGEST);
    let mut pump = Pump::new(source, Sink::Discard, Some(max), patience);
    let read = std::future::poll_fn(|cx| pump.poll(cx)).await;
    draft.event.bytes_in = pump.moved;
    if let Err(error) = read {
        let code = match error {
            PumpError::TooLarge(_) => code::BODY_TOO_LARGE,
            PumpError::Stalled(_) => code::BODY_TIMEOUT,
            _ => code::REQUEST_MALFORMED,
        };
        let denial = Denial::new(code, Phase::Act).detail(error.to_string());
        return refuse(draft, denial, &mut pump.source, &mut caller).await;
    }
    let mut map = http::HeaderMap::new();
    request::fields(job, &mut HeadOut::H2(&mut map));
    let mut headers = serde_json::Map::new();
    for (name, value) in &map {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.insert(name.as_str().to_owned(), value.into());
    }
    let text = serde_json::json!({
        "method": job.head.method.as_str(),
        "path": request::target_text(job),
        "headers": headers,
        "body_bytes": pump.moved,
    });
    let mut text = serde_json::to_string_pretty(&text).unwrap_or_default();
    text.push('\n');
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if let Some(cookie) = &job.forward.cookie {
        headers.push(("set-cookie", cookie.clone()));
        headers.push(("cache-control", "no-store".to_owned()));
    }
    let answer = Answer { status: 200, headers, body: Bytes::from(text) };
    finish(draft, answer, &mut Source::Done, &mut caller).await
}
