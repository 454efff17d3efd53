//! `dns:` entries: resolved again when their records allow, the last good answer kept for a grace.

use super::events::Events;
use super::state::State;
use base::{Clock, Monotonic, Outcome, Resolve, code};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Records' lifetimes are clamped to this: shorter would be a burden, longer would keep out who moved.
const TTL: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(300));
/// How soon a name that did not resolve is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// How long the last good answer is kept while a name does not resolve; then it counts for nothing.
const GRACE: Duration = Duration::from_secs(3600);
/// How often the list of names is looked at.
const LOOK: Duration = Duration::from_millis(500);

struct Known {
    due: Monotonic,
    good: Option<Monotonic>,
    failing: bool,
}

/// Keeps all names of all lists resolved.
pub(super) async fn keep(
    state: Arc<State>,
    resolve: Arc<dyn Resolve>,
    clock: Arc<dyn Clock>,
    events: Events,
) {
    let mut known: HashMap<Box<str>, Known> = HashMap::new();
    loop {
        let names = state.names();
        known.retain(|name, _| names.contains(name));
        for name in names {
            let now = clock.monotonic();
            if known.get(&name).is_some_and(|it| now < it.due) {
                continue;
            }
            let before = known.get(&name);
            let (good, was_failing) = before.map_or((None, false), |it| (it.good, it.failing));
            let answer = resolve.resolve(&name).await;
            let now = clock.monotonic();
            let next = match answer {
                Ok(found) => {
                    let wait = found.ttl.clamp(TTL.0, TTL.1);
                    if let Some(before) = state.resolved(&name, found.addresses.clone())
                        && good.is_some()
                    {
                        changed(&events, &name, &before, &found.addresses);
                    }
                    Known { due: later(now, wait), good: Some(now), failing: false }
                }
                Err(error) => {
                    if !was_failing {
                        let mut event = events.event(code::NAME_UNRESOLVED);
                        event.outcome = Outcome::Error;
                        event.detail = Some(format!("{name}: {error}").into());
                        events.record(event);
                        tracing::warn!(%name, %error, "an address list's name did not resolve");
                    }
                    if good.is_some_and(|since| now.since(since) > GRACE) {
                        state.resolved(&name, Vec::new());
                    }
                    Known { due: later(now, AGAIN), good, failing: true }
                }
            };
            known.insert(name, next);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn changed(events: &Events, name: &str, before: &[std::net::IpAddr], after: &[std::net::IpAddr]) {
    let list = |ips: &[std::net::IpAddr]| {
        ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let detail = format!("{name}: from {} to {}", list(before), list(after));
    tracing::warn!(detail, "an address list's name changed");
    let mut event = events.event(code::NAME_CHANGED);
    event.detail = Some(detail.into());
    events.record(event);
}

fn later(now: Monotonic, span: Duration) -> Monotonic {
    Monotonic(now.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
}
