//! `bench-oauth PLAN.json`: calls of an authorization server over kept connections, as fast as they are answered or
//! at a fixed rate.
//!
//! The plan: `{"address", "connections", "seconds", "rate", "work": {"kind": …}}`. Kinds: `same` (one request, sent
//! again and again), `refresh` (each connection uses the token that the last answer gave), `code` (each connection asks
//! for a code in a session where consent is remembered, and redeems it; one of these counts one), `ask` (asks for codes
//! only, and prints them), `redeem` (redeems the codes of the plan, and ends when there are no more). Prints one JSON
//! line: requests, errors, seconds, and percentiles in microseconds, counted from when a request was due.

use anyhow::{Context, Result, bail};
use base::{Clock, SystemClock};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::{RawClient, wait};

/// What is sent.
#[derive(Clone)]
enum Work {
    Same(Vec<u8>),
    /// The client's id, and the token of this connection.
    Refresh(String, String),
    /// The authorization request, the session's cookie, and the rest of the token request.
    Code(Vec<u8>, String),
    /// The authorization request.
    Ask(Vec<u8>),
    /// The codes of this connection, and the rest of the token request.
    Redeem(Vec<String>, String),
}

#[derive(Default)]
struct Seen {
    latencies: Vec<u64>,
    errors: u64,
    last: String,
    codes: Vec<String>,
    /// When the last answer came, in nanoseconds of the clock.
    end: u64,
}

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("usage: bench-oauth PLAN.json")?;
    let plan: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let number = |name: &str| plan.get(name).and_then(Value::as_u64);
    let text = |value: &Value, name: &str| -> Result<String> {
        let found = value.get(name).and_then(Value::as_str);
        Ok(found.with_context(|| format!("the plan has no {name}"))?.to_owned())
    };
    let address = text(&plan, "address")?;
    let connections = number("connections").context("connections")?;
    let seconds = number("seconds").context("seconds")?;
    let rate = number("rate").unwrap_or(0);
    let work = plan.get("work").context("the plan has no work")?;
    let kind = text(work, "kind")?;
    let mut works = Vec::new();
    for index in 0..connections {
        works.push(match kind.as_str() {
            "same" => Work::Same(text(work, "request")?.into_bytes()),
            "refresh" => {
                let tokens = work.get("tokens").and_then(Value::as_array).context("tokens")?;
                let token = tokens.get(usize::try_from(index)?).and_then(Value::as_str);
                let token = token.context("there is a token for each connection")?;
                Work::Refresh(text(work, "client_id")?, token.to_owned())
            }
            "code" => Work::Code(text(work, "request")?.into_bytes(), text(work, "redeem")?),
            "ask" => Work::Ask(text(work, "request")?.into_bytes()),
            "redeem" => {
                let codes = work.get("codes").and_then(Value::as_array).context("codes")?;
                let (own, each) = (usize::try_from(index)?, usize::try_from(connections)?);
                let codes = codes.iter().skip(own).step_by(each).filter_map(Value::as_str);
                Work::Redeem(codes.map(str::to_owned).collect(), text(work, "redeem")?)
            }
            other => bail!("there is no work {other:?}"),
        });
    }
    let clock = Arc::new(SystemClock::new());
    let every = (1_000_000_000 * connections).checked_div(rate).unwrap_or(0);
    let start = clock.monotonic().0 + 200_000_000;
    let end = start + seconds * 1_000_000_000;
    let threads: Vec<_> = (0u64..)
        .zip(works)
        .map(|(index, work)| {
            let (clock, address) = (Arc::clone(&clock), address.clone());
            let first = start + every * index / connections;
            std::thread::spawn(move || connection(&address, work, &clock, (first, every, end)))
        })
        .collect();
    let mut all = Vec::new();
    for thread in threads {
        match thread.join() {
            Ok(seen) => all.push(seen),
            Err(_) => bail!("a connection could not be made"),
        }
    }
    println!("{}", report(all, start));
    Ok(())
}

fn connection(
    address: &str,
    mut work: Work,
    clock: &SystemClock,
    (first, every, end): (u64, u64, u64),
) -> Seen {
    let mut client = RawClient::connect(address);
    let mut seen = Seen::default();
    let mut due = first;
    loop {
        let now = clock.monotonic().0;
        if now >= end || due >= end {
            return seen;
        }
        if now < due {
            wait::pause(Duration::from_nanos(due - now));
        }
        let from = if every == 0 { clock.monotonic().0 } else { due };
        match one(&mut client, &mut work, &mut seen.codes) {
            Ok(true) => {
                seen.end = clock.monotonic().0;
                seen.latencies.push(seen.end.saturating_sub(from));
            }
            Ok(false) => return seen,
            Err(why) => {
                seen.errors += 1;
                seen.last = why;
                if seen.errors > 100 {
                    return seen;
                }
                client = RawClient::connect(address);
            }
        }
        due = if every == 0 { 0 } else { due + every };
    }
}

fn exchange(client: &mut RawClient, request: &[u8]) -> Result<testkit::Response, String> {
    client
        .try_send(request)
        .and_then(|()| client.try_response("POST"))
        .map_err(|error| error.to_string())
}

fn form(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Asks for a code.
fn ask(client: &mut RawClient, request: &[u8]) -> Result<String, String> {
    let response = exchange(client, request)?;
    let location = response.header("location").unwrap_or_default();
    let code = location.split(['?', '&']).find_map(|part| part.strip_prefix("code="));
    Ok(code.ok_or_else(|| format!("no code: {} {location}", response.status))?.to_owned())
}

/// Sends a request that is to be answered with 200.
fn good(client: &mut RawClient, request: &[u8]) -> Result<(), String> {
    match exchange(client, request)? {
        response if response.status == 200 => Ok(()),
        response => Err(format!("status {}", response.status)),
    }
}

/// One unit of work; `false` when there is no more.
fn one(client: &mut RawClient, work: &mut Work, codes: &mut Vec<String>) -> Result<bool, String> {
    match work {
        Work::Same(request) => good(client, request)?,
        Work::Refresh(id, token) => {
            let body = format!("grant_type=refresh_token&client_id={id}&refresh_token={token}");
            let response = exchange(client, &form("/oauth/token", &body))?;
            let answer: Value =
                serde_json::from_str(&response.text()).map_err(|error| error.to_string())?;
            let next = answer.get("refresh_token").and_then(Value::as_str);
            *token = next.ok_or_else(|| format!("no token: {answer}"))?.to_owned();
        }
        Work::Code(request, redeem) => {
            let code = ask(client, request)?;
            good(client, &form("/oauth/token", &format!("{redeem}&code={code}")))?;
        }
        Work::Ask(request) => codes.push(ask(client, request)?),
        Work::Redeem(left, redeem) => {
            let Some(code) = left.pop() else { return Ok(false) };
            good(client, &form("/oauth/token", &format!("{redeem}&code={code}")))?;
        }
    }
    Ok(true)
}

fn report(mut seen: Vec<Seen>, start: u64) -> Value {
    let codes: Vec<String> = seen.iter_mut().flat_map(|seen| seen.codes.drain(..)).collect();
    let end = seen.iter().map(|seen| seen.end).max().unwrap_or(start);
    let seconds = end.saturating_sub(start) as f64 / 1e9;
    let errors: u64 = seen.iter().map(|seen| seen.errors).sum();
    let last = seen.iter().map(|seen| seen.last.clone()).find(|it| !it.is_empty());
    let mut all: Vec<u64> = seen.into_iter().flat_map(|seen| seen.latencies).collect();
    all.sort_unstable();
    let at = |share: f64| {
        // The nearest rank; `as` is exact for counts of this size.
        let rank = (all.len() as f64 * share).ceil() as usize;
        all.get(rank.saturating_sub(1)).copied().unwrap_or(0) / 1000
    };
    json!({
        "requests": all.len(), "errors": errors, "error": last, "seconds": seconds, "codes": codes,
        "p50_us": at(0.5), "p99_us": at(0.99),
    })
}
