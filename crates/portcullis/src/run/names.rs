//! `dns:` entries: resolved again when their records allow, the last good answer kept for a grace.
//!
//! INVARIANT: an answer counts only while it is kept fresh: a name that left all lists is forgotten, and one that has not
//! resolved for the grace has no address.

use super::events::Events;
use super::state::State;
use base::{Clock, Monotonic, Outcome, Resolve, ResolveError, Resolved, code};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Records' lifetimes are clamped to this: shorter would be a burden, longer would keep out who moved.
const TTL: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(300));
/// How soon a name that did not resolve is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// How long the last good answer is kept while a name does not resolve; then it counts for nothing.
const GRACE: Duration = Duration::from_secs(3600);
/// How often the list of names is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Names that are asked for at the same time: a silent server holds each for seconds, and must not hold the others
/// behind it for minutes; more at once would be a burst that resolvers drop.
const AT_ONCE: usize = 32;

#[derive(Debug, Clone, Copy)]
struct Known {
    due: Monotonic,
    good: Option<Monotonic>,
    failing: bool,
}

/// Keeps all names of all lists resolved, for as long as the gate runs.
pub(super) async fn keep(
    state: Arc<State>,
    resolve: Arc<dyn Resolve>,
    clock: Arc<dyn Clock>,
    events: Events,
) {
    let mut names = Names { state, resolve, clock, events, known: HashMap::new() };
    loop {
        names.look().await;
        tokio::time::sleep(LOOK).await;
    }
}

/// The names, and what is known of each.
struct Names {
    state: Arc<State>,
    resolve: Arc<dyn Resolve>,
    clock: Arc<dyn Clock>,
    events: Events,
    known: HashMap<Box<str>, Known>,
}

impl Names {
    /// Resolves the names whose time has come.
    async fn look(&mut self) {
        let names = self.state.names();
        self.known.retain(|name, _| names.contains(name));
        self.state.forget_names(&names);
        let due = self.due(names);
        for names in due.chunks(AT_ONCE) {
            let mut asked = JoinSet::new();
            for name in names.iter().cloned() {
                let resolve = self.resolve.clone();
                asked.spawn(async move {
                    let answer = resolve.resolve(&name).await;
                    (name, answer)
                });
            }
            while let Some(answered) = asked.join_next().await {
                // A task that panicked leaves its name due: it is asked for again.
                if let Ok((name, answer)) = answered {
                    self.answered(name, answer);
                }
            }
        }
    }

    fn due(&self, names: HashSet<Box<str>>) -> Vec<Box<str>> {
        let now = self.clock.monotonic();
        let waits = |name: &str| self.known.get(name).is_some_and(|it| now < it.due);
        names.into_iter().filter(|name| !waits(name)).collect()
    }

    fn answered(&mut self, name: Box<str>, answer: Result<Resolved, ResolveError>) {
        let before = self.known.get(&name).copied();
        let (good, was_failing) = before.map_or((None, false), |it| (it.good, it.failing));
        let now = self.clock.monotonic();
        let next = match answer {
            Ok(found) => {
                let wait = found.ttl.clamp(TTL.0, TTL.1);
                if let Some(before) = self.state.resolved(&name, found.addresses.clone())
                    && good.is_some()
                {
                    self.changed(&name, &before, &found.addresses);
                }
                Known { due: later(now, wait), good: Some(now), failing: false }
            }
            Err(error) => {
                if !was_failing {
                    self.failed(&name, &error);
                }
                if good.is_some_and(|since| now.since(since) > GRACE) {
                    self.state.resolved(&name, Vec::new());
                }
                Known { due: later(now, AGAIN), good, failing: true }
            }
        };
        self.known.insert(name, next);
    }

    fn changed(&self, name: &str, before: &[IpAddr], after: &[IpAddr]) {
        let list =
            |ips: &[IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let detail = format!("{name}: from {} to {}", list(before), list(after));
        tracing::warn!(detail, "an address list's name changed");
        let mut event = self.events.event(code::NAME_CHANGED);
        event.detail = Some(detail.into());
        self.events.record(event);
    }

    fn failed(&self, name: &str, error: &ResolveError) {
        let mut event = self.events.event(code::NAME_UNRESOLVED);
        event.outcome = Outcome::Error;
        event.detail = Some(format!("{name}: {error}").into());
        self.events.record(event);
        tracing::warn!(%name, %error, "an address list's name did not resolve");
    }
}

fn later(now: Monotonic, span: Duration) -> Monotonic {
    Monotonic(now.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests;
