//! Active health checks, on the control plane's runtime.

use crate::connect::{Connected, connect};
use crate::gate::GateShared;
use crate::h1::{Conn, parse_response};
use crate::head::HeadLimits;
use crate::settings::HealthSettings;
use crate::stream::Stream;
use crate::upstream::Upstream;
use base::{Code, Event, EventId, Kind, Outcome, code};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often the list of upstreams is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Watches over the upstreams of the policy in force.
pub(crate) async fn run(gate: Arc<GateShared>) {
    let mut watched: HashMap<u64, JoinHandle<()>> = HashMap::new();
    loop {
        let policy = gate.snapshots.load_full().policy.clone();
        let mut alive = HashMap::new();
        for route in &policy.routes {
            alive.insert(route.act.upstream.id, route.act.upstream.clone());
        }
        watched.retain(|id, task| {
            let keep = alive.contains_key(id);
            if !keep {
                task.abort();
            }
            keep
        });
        for (id, upstream) in alive {
            if let Some(health) = upstream.settings.health.clone() {
                watched
                    .entry(id)
                    .or_insert_with(|| tokio::spawn(watch(gate.clone(), upstream, health)));
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn watch(gate: Arc<GateShared>, upstream: Arc<Upstream>, health: HealthSettings) {
    let mut streaks: Vec<i64> = vec![0; upstream.settings.servers.len()];
    let mut ticks = tokio::time::interval(health.every);
    loop {
        ticks.tick().await;
        for (index, streak) in streaks.iter_mut().enumerate() {
            let checked =
                tokio::time::timeout(health.timeout, check(&upstream, index, &health.path));
            let good = matches!(checked.await, Ok(Ok(())));
            *streak = match (good, *streak) {
                (true, streak) if streak > 0 => streak.saturating_add(1),
                (true, _) => 1,
                (false, streak) if streak < 0 => streak.saturating_sub(1),
                (false, _) => -1,
            };
            let Some(server) = upstream.server(index) else { continue };
            let healthy = server.healthy.load(Ordering::Relaxed);
            if healthy && *streak <= -i64::from(health.unhealthy) {
                server.healthy.store(false, Ordering::Relaxed);
                tell(&gate, &upstream, index, (code::UPSTREAM_DOWN, Outcome::Error));
            } else if !healthy && *streak >= i64::from(health.healthy) {
                server.healthy.store(true, Ordering::Relaxed);
                tell(&gate, &upstream, index, (code::UPSTREAM_UP, Outcome::Allow));
            }
        }
    }
}

fn tell(gate: &GateShared, upstream: &Upstream, index: usize, (code, outcome): (Code, Outcome)) {
    let server = upstream.server(index).map_or("", |server| &server.authority);
    tracing::warn!(upstream = %upstream.settings.name, server, code = code.as_str(), "health");
    if let Ok(id) = EventId::random() {
        let mut event = Event::new(id, gate.clock.now(), gate.node, Kind::System, code);
        event.outcome = outcome;
        event.detail = Some(format!("{} {server}", upstream.settings.name).into());
        gate.ledger.record(&event);
    }
}

/// One check: a 2xx or 3xx is good.
async fn check(upstream: &Upstream, index: usize, path: &str) -> Result<(), String> {
    let authority =
        upstream.server(index).map(|server| server.authority.clone()).unwrap_or_default();
    match connect(upstream, index).await? {
        Connected::H1(conn) => check_h1(*conn, &authority, path).await,
        Connected::H2(send) => {
            let scheme = if upstream.tls.is_some() { "https" } else { "http" };
            let request = http::Request::get(format!("{scheme}://{authority}{path}"))
                .body(())
                .map_err(|error| error.to_string())?;
            let mut send = send.ready().await.map_err(|error| error.to_string())?;
            let (response, _) =
                send.send_request(request, true).map_err(|error| error.to_string())?;
            judge(response.await.map_err(|error| error.to_string())?.status().as_u16())
        }
    }
}

async fn check_h1(mut conn: Conn<Stream>, authority: &str, path: &str) -> Result<(), String> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: portcullis-health\r\nconnection: close\r\n\r\n"
    );
    conn.wbuf().extend_from_slice(request.as_bytes());
    let status = std::future::poll_fn(|cx| {
        if let Poll::Ready(Err(error)) = conn.poll_flush(cx) {
            return Poll::Ready(Err(error.to_string()));
        }
        loop {
            match parse_response(conn.rbuf(), &http::Method::GET, &HeadLimits::RESPONSE) {
                Ok(Some(head)) => return Poll::Ready(Ok(head.status)),
                Ok(None) => match conn.poll_fill(cx) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err("closed".to_owned())),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.to_string())),
                    Poll::Pending => return Poll::Pending,
                },
                Err(error) => return Poll::Ready(Err(error.to_string())),
            }
        }
    });
    judge(status.await?)
}

fn judge(status: u16) -> Result<(), String> {
    if (200..400).contains(&status) { Ok(()) } else { Err(format!("status {status}")) }
}
