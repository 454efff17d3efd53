//! What the control plane's edge asks of the gate itself: address tests, what is in force, what was seen.

use super::events::Events;
use super::state::State;
use access::iplist::{Origin, Verdict};
use base::{BoxFuture, Clock, Kind, Outcome, code};
use control::ports::{Applied, IpTest, Witness};
use control::views::{IpTestView, IpVerdict};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The longest that an act waits for the shards; the edge gives up before.
const APPLIED: Duration = Duration::from_secs(30);

/// Tells when a change is in force.
#[derive(Debug)]
pub(super) struct InForce(pub(super) Arc<store::Applied>);

impl Applied for InForce {
    fn applied(&self, seq: i64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.0.wait(seq, APPLIED).await;
        })
    }
}

/// Tests addresses against the lists in force.
pub(super) struct Lists {
    pub(super) state: Arc<State>,
    pub(super) clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Lists {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lists")
    }
}

impl IpTest for Lists {
    fn lists(&self) -> Vec<String> {
        self.state.snapshots.load().lists.iter().map(|it| it.name.to_string()).collect()
    }

    fn issuers(&self) -> Vec<String> {
        let policy = self.state.policy();
        policy.issuers.iter().map(|it| it.settings.name.to_string()).collect()
    }

    fn test(&self, address: IpAddr, list: Option<&str>) -> IpTestView {
        let snapshot = self.state.snapshots.load_full();
        let now = self.clock.now();
        let lists = snapshot.lists.iter().filter(|it| list.is_none_or(|name| *it.name == *name));
        let verdicts = lists.map(|named| {
            let verdict = named.list.judge(address, now);
            let (word, rule) = match verdict {
                Verdict::Allowed { rule } => ("allow", rule),
                Verdict::Denied { rule } => ("deny", Some(rule)),
                Verdict::NotListed => ("none", None),
            };
            IpVerdict {
                list: named.name.to_string(),
                verdict: word,
                rule: rule.as_ref().map(ToString::to_string),
                source: rule.map(|rule| match rule.origin {
                    None => "file",
                    Some(Origin::Name(_)) => "dns",
                    Some(Origin::Runtime { .. }) => "entry",
                }),
            }
        });
        IpTestView { address: address.to_canonical().to_string(), lists: verdicts.collect() }
    }
}

/// Records what the edge sees.
#[derive(Debug)]
pub(super) struct Seen(pub(super) Events);

impl Witness for Seen {
    fn stranger(&self, uid: u32) {
        let mut event = self.0.event(code::ACT_REFUSED);
        event.kind = Kind::Admin;
        event.outcome = Outcome::Deny;
        event.principal = Some(format!("uid:{uid}").into());
        event.detail = Some("another user of this machine came to the control socket".into());
        self.0.record(event);
    }

    fn crowded(&self, client: std::net::IpAddr) {
        let mut event = self.0.event(code::CROWDED);
        event.kind = Kind::Decision;
        event.outcome = Outcome::Deny;
        event.phase = Some(base::Phase::Accept);
        event.client_ip = Some(client);
        event.detail = Some("a control address".into());
        self.0.record(event);
    }

    fn panicked(&self) {
        let mut event = self.0.event(code::PANIC);
        event.outcome = Outcome::Error;
        self.0.record(event);
    }
}
