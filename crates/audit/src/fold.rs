//! Folds floods of denials: more than [`FOLD_AFTER`] within one second for one route, code and address prefix
//! become one counted record.

use crate::row::Row;
use base::{Event, Kind, Outcome, RequestId, UnixMs};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Denials of one route, code and prefix within a second that get a record each.
pub const FOLD_AFTER: u32 = 100;
/// Request ids that a folded record names.
const NAMED_IDS: usize = 8;
/// Routes, codes and prefixes that are told apart within a second; further ones are folded by route and code,
/// whatever their address. At 250 bytes each this is 1 MB.
const KEYS: usize = 4096;
/// Milliseconds of a window.
const WINDOW_MS: i64 = 1000;

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Key {
    code: String,
    routed: bool,
    /// Empty where there is none.
    route: String,
    /// The network's first address and its prefix length; nothing where the table is full.
    prefix: Option<(IpAddr, u8)>,
}

#[derive(Debug)]
struct Folded {
    seen: u32,
    /// The first denial that was folded: the record is made from it.
    sample: Option<Event>,
    count: u32,
    last: UnixMs,
    ids: Vec<RequestId>,
}

/// The denials of the current second.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    second: i64,
    seen: HashMap<Key, Folded>,
    /// What is looked for; kept, so that looking allocates nothing.
    key: Key,
    /// Denials that went into counted records, ever.
    pub(crate) folded: u64,
}

impl Folder {
    /// One whose first second is that of `now`, so that the first look at the clock ends no flood.
    pub(crate) fn at(now: UnixMs) -> Self {
        Self { second: now.0.div_euclid(WINDOW_MS), ..Self::default() }
    }

    /// Whether [`Folder::flush`] has something to give, now or later.
    pub(crate) fn any(&self) -> bool {
        self.seen.values().any(|it| it.count > 0)
    }

    /// Whether the event is to be recorded by itself; else it is counted.
    pub(crate) fn admit(&mut self, row: &Row<'_>) -> bool {
        let event = &row.head;
        let foldable = event.kind == Kind::Decision && event.outcome == Outcome::Deny;
        if !foldable || event.count != 1 {
            return true;
        }
        let Some(entry) = self.entry(row) else { return true };
        entry.seen = entry.seen.saturating_add(1);
        if entry.seen <= FOLD_AFTER {
            return true;
        }
        entry.count = entry.count.saturating_add(1);
        entry.last = entry.last.max(event.time);
        if entry.ids.len() < NAMED_IDS {
            entry.ids.extend(event.request_id);
        }
        if entry.sample.is_none() {
            entry.sample = Some(row.to_event());
        }
        self.folded += 1;
        false
    }

    /// INVARIANT: there is one, since it is made where there was none.
    fn entry(&mut self, row: &Row<'_>) -> Option<&mut Folded> {
        let [code, route, ..] = row.texts;
        let key = &mut self.key;
        key.code.clear();
        key.code.push_str(code.unwrap_or_default());
        key.routed = route.is_some();
        key.route.clear();
        key.route.push_str(route.unwrap_or_default());
        key.prefix = row.head.client_ip.map(network);
        let mut known = self.seen.contains_key(key);
        if !known && self.seen.len() >= KEYS {
            key.prefix = None;
            known = self.seen.contains_key(key);
        }
        if !known {
            let (sample, count, ids) = (None, 0, Vec::new());
            let new = Folded { seen: 0, sample, count, last: row.head.time, ids };
            self.seen.insert(key.clone(), new);
        }
        self.seen.get_mut(key)
    }

    /// The counted records of a second that is over at `now`, or of the current one if `all`.
    pub(crate) fn flush(&mut self, now: UnixMs, all: bool) -> Vec<Event> {
        let second = now.0.div_euclid(WINDOW_MS);
        if second == self.second && !all {
            return Vec::new();
        }
        self.second = second;
        let seen = std::mem::take(&mut self.seen);
        seen.into_iter().filter_map(|(key, folded)| folded.record(&key)).collect()
    }
}

impl Folded {
    /// The record: of the fields that may differ among the folded denials only what all share.
    fn record(self, key: &Key) -> Option<Event> {
        let sample = self.sample?;
        let mut event =
            Event::new(sample.id, sample.time, sample.node, Kind::Decision, sample.code);
        let from = key.prefix.map_or_else(
            || "many networks".to_owned(),
            |(network, length)| format!("{network}/{length}"),
        );
        let ids: Vec<String> = self.ids.iter().map(ToString::to_string).collect();
        event.outcome = Outcome::Deny;
        event.phase = sample.phase;
        event.status = sample.status;
        event.client_ip = key.prefix.map(|(network, _)| network);
        event.route = sample.route;
        event.count = self.count;
        event.detail = Some(
            format!(
                "folded: {} denials from {from} between {} and {} (ms), beyond {FOLD_AFTER} recorded \
                 one by one; first requests: {}",
                self.count,
                sample.time.0,
                self.last.0,
                ids.join(" ")
            )
            .into(),
        );
        Some(event)
    }
}

/// The /24 or /48 that an address lies in. IPv4 inside IPv6 counts as IPv4.
fn network(address: IpAddr) -> (IpAddr, u8) {
    match address.to_canonical() {
        IpAddr::V4(ip) => (Ipv4Addr::from_bits(ip.to_bits() & !0xff).into(), 24),
        IpAddr::V6(ip) => (Ipv6Addr::from_bits(ip.to_bits() & (!0u128 << 80)).into(), 48),
    }
}

/// The moments between which the denials lie that a folded record stands for.
pub(crate) fn span(event: &Event) -> Option<(UnixMs, UnixMs)> {
    let detail = event.detail.as_deref()?.strip_prefix("folded: ")?;
    let (_, rest) = detail.split_once(" between ")?;
    let (first, rest) = rest.split_once(" and ")?;
    let (last, _) = rest.split_once(" (ms)")?;
    Some((UnixMs(first.parse().ok()?), UnixMs(last.parse().ok()?)))
}

/// Whether a folded record names this request.
pub(crate) fn names(event: &Event, id: RequestId) -> bool {
    let listed = event.detail.as_deref().and_then(|it| it.rsplit_once("first requests: "));
    listed.is_some_and(|(_, ids)| ids.split(' ').any(|it| it == id.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{NodeId, code};

    fn denial(n: u64, ip: &str) -> Event {
        let id = RequestId::compose(UnixMs(1000), NodeId(1), n);
        let mut event =
            Event::new(id.into(), UnixMs(1000), NodeId(1), Kind::Decision, code::KEY_UNKNOWN);
        event.outcome = Outcome::Deny;
        event.request_id = Some(id);
        event.client_ip = Some(ip.parse().unwrap());
        event
    }

    #[test]
    fn more_than_a_hundred_of_one_prefix_are_folded() {
        let mut folder = Folder::default();
        folder.flush(UnixMs(1000), false);
        let admit = |folder: &mut Folder, n, ip| folder.admit(&Row::from(&denial(n, ip)));
        let kept = (0..250).filter(|n| admit(&mut folder, *n, "192.0.2.7")).count();
        assert_eq!(kept, 100);
        assert!(admit(&mut folder, 900, "192.0.3.7"), "another prefix");
        assert!(folder.flush(UnixMs(1999), false).is_empty());
        let records = folder.flush(UnixMs(2000), false);
        let [record] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!(record.count, 150);
        assert_eq!(record.client_ip, Some("192.0.2.0".parse().unwrap()));
        assert_eq!(span(record), Some((UnixMs(1000), UnixMs(1000))));
        assert!(names(record, RequestId::compose(UnixMs(1000), NodeId(1), 100)));
        assert!(!names(record, RequestId::compose(UnixMs(1000), NodeId(1), 240)));
        assert!(admit(&mut folder, 901, "192.0.2.7"), "a new second");
    }

    #[test]
    fn many_prefixes_do_not_grow_the_table() {
        let mut folder = Folder::default();
        let from = |n: u32| denial(u64::from(n), &Ipv4Addr::from_bits(n << 8).to_string());
        let kept = (0..10_000).filter(|n| folder.admit(&Row::from(&from(*n)))).count();
        assert_eq!(kept, KEYS + FOLD_AFTER as usize);
        assert_eq!(folder.flush(UnixMs(9000), true)[0].count as usize, 10_000 - kept);
    }

    #[test]
    fn an_allow_is_never_folded() {
        let mut folder = Folder::default();
        let mut event = denial(1, "192.0.2.7");
        event.outcome = Outcome::Allow;
        assert_eq!((0..500).filter(|_| folder.admit(&Row::from(&event))).count(), 500);
    }
}
