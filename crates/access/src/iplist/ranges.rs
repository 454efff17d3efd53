//! Prefixes flattened into sorted ranges that do not overlap: a look-up is one binary search over a dense
//! array, and 100,000 IPv4 prefixes take at most 2.4 MB (a trie takes several times that and misses the
//! cache at each level).

use super::Side;
use ipnet::IpNet;
use std::net::IpAddr;

/// No entry.
pub(super) const NONE: u32 = u32::MAX;

/// One prefix on its way into [`Ranges`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Prefix {
    pub(super) side: Side,
    pub(super) net: IpNet,
    /// What the caller calls it; never [`NONE`].
    pub(super) index: u32,
}

impl Prefix {
    pub(super) fn new(side: Side, net: IpNet, index: u32) -> Self {
        Self { side, net, index }
    }
}

/// The longest matching entry of each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) allow: u32,
    pub(super) deny: u32,
}

impl Found {
    const NOTHING: Self = Self { allow: NONE, deny: NONE };

    /// Puts `index` on its side and returns what stood there.
    fn put(&mut self, side: Side, index: u32) -> u32 {
        let slot = match side {
            Side::Allow => &mut self.allow,
            Side::Deny => &mut self.deny,
        };
        std::mem::replace(slot, index)
    }
}

/// Both families.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    v4: Family<u32>,
    v6: Family<u128>,
}

/// For an entry the next shorter one of its side that covers it.
pub(super) type Link = (u32, u32);

impl Ranges {
    /// Flattens prefixes; the links are those of entries that another of the same side covers.
    pub(super) fn compile(prefixes: Vec<Prefix>) -> (Self, Vec<Link>) {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for prefix in prefixes {
            let (side, index) = (prefix.side, prefix.index);
            match prefix.net {
                IpNet::V4(net) => {
                    let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
                    v4.push(Span { first, last, side, index });
                }
                IpNet::V6(net) => {
                    let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
                    v6.push(Span { first, last, side, index });
                }
            }
        }
        let mut links = Vec::new();
        let ranges =
            Self { v4: Family::compile(v4, &mut links), v6: Family::compile(v6, &mut links) };
        (ranges, links)
    }

    /// What covers an address.
    pub(super) fn find(&self, ip: IpAddr) -> Found {
        match ip {
            IpAddr::V4(v4) => self.v4.find(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.find(v6.to_bits()),
        }
    }
}

/// An address as a number.
trait Number: Copy + Ord {
    fn successor(self) -> Option<Self>;
}

impl Number for u32 {
    fn successor(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Number for u128 {
    fn successor(self) -> Option<Self> {
        self.checked_add(1)
    }
}

#[derive(Debug, Clone, Copy)]
struct Span<K> {
    first: K,
    last: K,
    side: Side,
    index: u32,
}

/// INVARIANT: `starts` rises strictly and is as long as `found`; a range reaches to the next start.
#[derive(Debug)]
struct Family<K> {
    starts: Vec<K>,
    found: Vec<Found>,
}

impl<K> Default for Family<K> {
    fn default() -> Self {
        Self { starts: Vec::new(), found: Vec::new() }
    }
}

impl<K: Number> Family<K> {
    fn compile(mut spans: Vec<Span<K>>, links: &mut Vec<Link>) -> Self {
        // Prefixes nest or are apart, so sorted by start, longest reach first, a stack holds those that are
        // open.
        spans.sort_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
        let mut family = Self::default();
        let mut open: Vec<(K, Found)> = Vec::new();
        for span in spans {
            while let Some((last, _)) = open.pop_if(|(last, _)| *last < span.first) {
                family.close(last, &open);
            }
            let mut found = open.last().map_or(Found::NOTHING, |(_, found)| *found);
            let wider = found.put(span.side, span.index);
            if wider != NONE {
                links.push((span.index, wider));
            }
            family.begin(span.first, found);
            open.push((span.last, found));
        }
        while let Some((last, _)) = open.pop() {
            family.close(last, &open);
        }
        family.starts.shrink_to_fit();
        family.found.shrink_to_fit();
        family
    }

    /// After `last` the prefix that is open around it counts again.
    fn close(&mut self, last: K, open: &[(K, Found)]) {
        if let Some(next) = last.successor() {
            self.begin(next, open.last().map_or(Found::NOTHING, |(_, found)| *found));
        }
    }

    fn begin(&mut self, at: K, found: Found) {
        if self.starts.last() == Some(&at) {
            self.starts.pop();
            self.found.pop();
        }
        if self.found.last().copied().unwrap_or(Found::NOTHING) != found {
            self.starts.push(at);
            self.found.push(found);
        }
    }

    fn find(&self, key: K) -> Found {
        let after = self.starts.partition_point(|start| *start <= key);
        after.checked_sub(1).and_then(|i| self.found.get(i)).copied().unwrap_or(Found::NOTHING)
    }
}
