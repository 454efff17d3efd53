//! `bench-load URL RATE SECONDS CONNECTIONS [HEADER]`: requests at a fixed rate, whatever the answers take.
//!
//! Each request has a moment at which it is due. Its latency counts from that moment, not from when it was
//! sent, so that a proxy that stalls is charged for every request that had to wait (no coordinated
//! omission). Prints one JSON line: requests, errors, and percentiles in microseconds.

use anyhow::{Context, Result, bail};
use base::{Clock, SystemClock};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use testkit::{RawClient, wait};

/// What is asked for.
#[derive(Clone)]
struct Plan {
    /// `http://HOST:PORT/PATH`.
    url: String,
    /// The request, ready to be sent.
    request: Vec<u8>,
    /// Nanoseconds between two requests of one connection.
    every: u64,
    /// Requests of one connection.
    each: u64,
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    /// Nanoseconds from the moment a request was due until its answer was there.
    latencies: Vec<u64>,
    /// Requests that were not answered with 200.
    errors: u64,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, rate, seconds, connections, header @ ..] = args.as_slice() else {
        bail!("usage: bench-load URL RATE SECONDS CONNECTIONS [HEADER]");
    };
    let rate: u64 = rate.parse().context("RATE is a number")?;
    let seconds: u64 = seconds.parse().context("SECONDS is a number")?;
    let connections: u64 = connections.parse().context("CONNECTIONS is a number")?;
    if rate == 0 || connections == 0 {
        bail!("RATE and CONNECTIONS are at least 1");
    }
    let plan = Plan {
        url: url.clone(),
        request: request(url, header.first().map(String::as_str)),
        every: 1_000_000_000 * connections / rate,
        each: rate * seconds / connections,
    };
    let seen = run(&plan, connections)?;
    println!("{}", report(seen));
    Ok(())
}

fn run(plan: &Plan, connections: u64) -> Result<Vec<Seen>> {
    let clock = Arc::new(SystemClock::new());
    // All are connected before the first request is due.
    let start = 200_000_000;
    let threads: Vec<_> = (0..connections)
        .map(|number| {
            let (plan, clock) = (plan.clone(), Arc::clone(&clock));
            let first = start + plan.every * number / connections;
            std::thread::spawn(move || connection(&plan, &clock, first))
        })
        .collect();
    let mut all = Vec::new();
    for thread in threads {
        match thread.join() {
            Ok(seen) => all.push(seen),
            Err(_) => bail!("a connection could not be made"),
        }
    }
    Ok(all)
}

fn connection(plan: &Plan, clock: &SystemClock, first: u64) -> Seen {
    let mut client = RawClient::connect(&plan.url);
    let mut seen = Seen::default();
    for number in 0..plan.each {
        let due = first + plan.every * number;
        loop {
            let now = clock.monotonic().0;
            if now >= due {
                break;
            }
            wait::pause(Duration::from_nanos(due - now));
        }
        let answer = client.try_send(&plan.request).and_then(|()| client.try_response("GET"));
        match answer {
            Ok(response) if response.status == 200 => {
                seen.latencies.push(clock.monotonic().0.saturating_sub(due));
            }
            Ok(_) => seen.errors += 1,
            Err(_) => {
                seen.errors += 1;
                client = RawClient::connect(&plan.url);
            }
        }
    }
    seen
}

fn request(url: &str, header: Option<&str>) -> Vec<u8> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let at = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    let header = header.map(|line| format!("{line}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{header}\r\n").into_bytes()
}

fn report(seen: Vec<Seen>) -> serde_json::Value {
    let errors: u64 = seen.iter().map(|seen| seen.errors).sum();
    let mut all: Vec<u64> = seen.into_iter().flat_map(|seen| seen.latencies).collect();
    all.sort_unstable();
    let at = |share: f64| {
        // The nearest rank; `as` is exact for counts of this size.
        let rank = (all.len() as f64 * share).ceil() as usize;
        all.get(rank.saturating_sub(1)).copied().unwrap_or(0) / 1000
    };
    json!({
        "requests": all.len(),
        "errors": errors,
        "p50_us": at(0.5),
        "p90_us": at(0.9),
        "p99_us": at(0.99),
        "p999_us": at(0.999),
        "max_us": at(1.0),
    })
}
