//! IP lists: which addresses a route takes.
//!
//! Owns: reading an entry, the compiled form of a list, its judgement and its explanation.
//!
//! Never does: resolve a name (entries `dns:NAME` are only collected here; their addresses come in through
//! [`IpList::with_overlay`]), read a clock, or fetch anything.
//!
//! Invariants:
//! - Deny wins, whatever the length of the prefixes; on the same side the longest prefix names the rule.
//! - An IPv4 address mapped into IPv6 (`::ffff:a.b.c.d`) is judged as the IPv4 address, in requests and in
//!   entries. `::/0` therefore covers no IPv4 address, and `0.0.0.0/0` no IPv6 address.
//! - A list whose file entry has an `allow` (even an empty one, or one of names that do not resolve) lets in
//!   what it allows and nothing else; one without `allow` lets in all that it does not deny. Only the file
//!   decides which: an entry added at run time never opens or closes a list for others.
//! - The base (entries of the file) is compiled once and shared; an overlay (addresses of names, entries
//!   added at run time) is small and replaced as a whole.

use base::UnixMs;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

mod entry;
mod ranges;
#[cfg(test)]
mod tests;

pub use entry::{Entry, EntryError, Side, parse_net};
use ranges::{NONE, Prefix, Ranges};

/// Entries of the file in one list. A million IPv4 prefixes take 45 MB, IPv6 70; published lists have 100,000.
pub const LIST_ENTRIES: usize = 1_000_000;
/// Entries of one list's overlay. It is compiled anew with each change, which takes about a millisecond at
/// this size; people add dozens.
pub const OVERLAY_ENTRIES: usize = 4_096;

/// Why a list could not be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Neither `allow` nor `deny` was declared; such a list would let everybody in.
    #[error("the list has neither allow nor deny")]
    Empty,
    /// More than [`LIST_ENTRIES`].
    #[error("the list has {0} entries, more than {LIST_ENTRIES}")]
    TooLong(usize),
    /// More than [`OVERLAY_ENTRIES`].
    #[error("the list has {0} named and run-time entries, more than {OVERLAY_ENTRIES}")]
    OverlayFull(usize),
}

/// Where an overlay entry comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An address of a `dns:` entry; the name, without `dns:`.
    Name(Arc<str>),
    /// Added at run time.
    Runtime {
        /// The entry's id, as `ip list` shows it.
        id: Arc<str>,
        /// From this moment on the entry no longer counts.
        expires: UnixMs,
    },
}

/// One entry of an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlayEntry {
    /// Whether it allows or denies.
    pub side: Side,
    /// The addresses, as [`parse_net`] gives them.
    pub net: IpNet,
    /// Where it comes from.
    pub origin: Origin,
}

impl OverlayEntry {
    fn expires(&self) -> UnixMs {
        match self.origin {
            Origin::Name(_) => UnixMs(i64::MAX),
            Origin::Runtime { expires, .. } => expires,
        }
    }
}

/// The entry that decided, or one that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule<'a> {
    /// The addresses of the entry.
    pub net: IpNet,
    /// Where it comes from; `None` for the file.
    pub origin: Option<&'a Origin>,
}

impl std::fmt::Display for Rule<'_> {
    /// `192.0.2.0/24`, `192.0.2.7` for a single address, `dns:NAME (192.0.2.7)`, `192.0.2.7 (run-time ID)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let net = Shown(&self.net);
        match self.origin {
            None => write!(f, "{net}"),
            Some(Origin::Name(name)) => write!(f, "dns:{name} ({net})"),
            Some(Origin::Runtime { id, .. }) => write!(f, "{net} (run-time {id})"),
        }
    }
}

/// A net as people write it: a single address without its length.
struct Shown<'a>(&'a IpNet);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            write!(f, "{}", self.0.addr())
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// What a list says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Let in.
    Allowed {
        /// The entry that allows it; `None` when the list has no `allow` and nothing denies the address.
        rule: Option<Rule<'a>>,
    },
    /// Kept out by an entry.
    Denied {
        /// The entry.
        rule: Rule<'a>,
    },
    /// Kept out, since the list has an `allow` and the address is not in it.
    NotListed,
}

/// One line of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched<'a> {
    /// Whether the entry allows or denies.
    pub side: Side,
    /// The entry.
    pub rule: Rule<'a>,
    /// Whether the entry's time has passed, so that it no longer counts.
    pub expired: bool,
}

/// Collects the entries of the file.
#[derive(Debug, Default)]
pub struct IpListBuilder {
    nets: Vec<(Side, IpNet)>,
    names: Vec<(Side, Box<str>)>,
    allow: bool,
    deny: bool,
}

impl IpListBuilder {
    /// An empty list of which neither side is declared.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that the file has this side, be it empty. Adding an entry says so too.
    pub fn declare(&mut self, side: Side) {
        match side {
            Side::Allow => self.allow = true,
            Side::Deny => self.deny = true,
        }
    }

    /// Adds an entry.
    pub fn add(&mut self, side: Side, entry: Entry) {
        self.declare(side);
        match entry {
            Entry::Net(net) => self.nets.push((side, net)),
            Entry::Name(name) => self.names.push((side, name)),
        }
    }

    /// Compiles the list.
    ///
    /// # Errors
    /// When neither side is declared, or there are too many entries.
    pub fn build(self) -> Result<IpList, ListError> {
        if !self.allow && !self.deny {
            return Err(ListError::Empty);
        }
        if self.nets.len() > LIST_ENTRIES {
            return Err(ListError::TooLong(self.nets.len()));
        }
        let prefixes =
            self.nets.iter().zip(0..).map(|((side, net), index)| Prefix::new(*side, *net, index));
        let (ranges, _) = Ranges::compile(prefixes.collect());
        let base = Base { ranges, nets: self.nets, names: self.names, closed: self.allow };
        Ok(IpList { base: Arc::new(base), overlay: None })
    }
}

#[derive(Debug)]
struct Base {
    ranges: Ranges,
    nets: Vec<(Side, IpNet)>,
    names: Vec<(Side, Box<str>)>,
    /// Whether the file has an `allow`.
    closed: bool,
}

#[derive(Debug)]
struct Overlay {
    ranges: Ranges,
    entries: Vec<OverlayEntry>,
    /// For each entry the next shorter one of its side that covers it, or [`NONE`].
    wider: Vec<u32>,
}

impl Overlay {
    /// The longest entry that still counts, from `head` upward. At most 129 steps: each is shorter.
    fn live(&self, head: u32, now: UnixMs) -> Option<Rule<'_>> {
        let mut at = head;
        while let Some(entry) = self.entries.get(usize::try_from(at).ok()?) {
            if entry.expires() > now {
                return Some(Rule { net: entry.net, origin: Some(&entry.origin) });
            }
            at = self.wider.get(usize::try_from(at).ok()?).copied().unwrap_or(NONE);
        }
        None
    }
}

/// A compiled list. Cloning shares everything.
#[derive(Debug, Clone)]
pub struct IpList {
    base: Arc<Base>,
    overlay: Option<Arc<Overlay>>,
}

impl IpList {
    /// The names of the list's `dns:` entries, for whoever resolves them.
    pub fn names(&self) -> impl Iterator<Item = (Side, &str)> {
        self.base.names.iter().map(|(side, name)| (*side, &**name))
    }

    /// This list with another overlay, which replaces the one it has; the base is shared, not copied.
    ///
    /// # Errors
    /// When there are more than [`OVERLAY_ENTRIES`]; the caller keeps the list that it has.
    pub fn with_overlay(&self, entries: Vec<OverlayEntry>) -> Result<Self, ListError> {
        if entries.len() > OVERLAY_ENTRIES {
            return Err(ListError::OverlayFull(entries.len()));
        }
        if entries.is_empty() {
            return Ok(Self { base: Arc::clone(&self.base), overlay: None });
        }
        let mut prefixes: Vec<Prefix> =
            entries.iter().zip(0..).map(|(e, index)| Prefix::new(e.side, e.net, index)).collect();
        // INVARIANT: of several entries for the same prefix the one that lasts longest counts, so that a
        // chain of entries has each length at most once.
        let lasts = |p: &Prefix| {
            usize::try_from(p.index).ok().and_then(|i| entries.get(i)).map(OverlayEntry::expires)
        };
        prefixes
            .sort_by(|a, b| (a.side, a.net).cmp(&(b.side, b.net)).then(lasts(b).cmp(&lasts(a))));
        prefixes.dedup_by(|a, b| (a.side, a.net) == (b.side, b.net));
        let (ranges, links) = Ranges::compile(prefixes);
        let mut wider = vec![NONE; entries.len()];
        for (entry, parent) in links {
            if let Some(slot) = usize::try_from(entry).ok().and_then(|i| wider.get_mut(i)) {
                *slot = parent;
            }
        }
        let overlay = Some(Arc::new(Overlay { ranges, entries, wider }));
        Ok(Self { base: Arc::clone(&self.base), overlay })
    }

    /// Judges an address at a moment.
    pub fn judge(&self, ip: IpAddr, now: UnixMs) -> Verdict<'_> {
        let ip = ip.to_canonical();
        let base = self.base.ranges.find(ip);
        if let Some(rule) = self.base_rule(base.deny) {
            return Verdict::Denied { rule };
        }
        let mut allowed = self.base_rule(base.allow);
        if let Some(overlay) = &self.overlay {
            let found = overlay.ranges.find(ip);
            if let Some(rule) = overlay.live(found.deny, now) {
                return Verdict::Denied { rule };
            }
            allowed = allowed.or_else(|| overlay.live(found.allow, now));
        }
        match allowed {
            None if self.base.closed => Verdict::NotListed,
            rule => Verdict::Allowed { rule },
        }
    }

    fn base_rule(&self, index: u32) -> Option<Rule<'_>> {
        let (_, net) = self.base.nets.get(usize::try_from(index).ok()?)?;
        Some(Rule { net: *net, origin: None })
    }

    /// Every entry that matches an address: deny first, then the longest prefix first. Walks the whole list;
    /// for `ip test`, not for requests.
    pub fn explain(&self, ip: IpAddr, now: UnixMs) -> Vec<Matched<'_>> {
        let ip = ip.to_canonical();
        let fixed = self.base.nets.iter().map(|(side, net)| Matched {
            side: *side,
            rule: Rule { net: *net, origin: None },
            expired: false,
        });
        let overlay =
            self.overlay.iter().flat_map(|overlay| &overlay.entries).map(|entry| Matched {
                side: entry.side,
                rule: Rule { net: entry.net, origin: Some(&entry.origin) },
                expired: entry.expires() <= now,
            });
        let mut all: Vec<_> = fixed.chain(overlay).filter(|m| m.rule.net.contains(&ip)).collect();
        all.sort_by_key(|m| (m.side == Side::Allow, std::cmp::Reverse(m.rule.net.prefix_len())));
        all
    }
}

/// A plain set of addresses, for trusted proxies and the like.
#[derive(Debug, Clone, Default)]
pub struct NetSet(Arc<Ranges>);

impl NetSet {
    /// The addresses of these nets; of none, nobody's.
    pub fn new(nets: impl IntoIterator<Item = IpNet>) -> Self {
        let prefixes = nets.into_iter().map(|net| Prefix::new(Side::Allow, net, 0)).collect();
        Self(Arc::new(Ranges::compile(prefixes).0))
    }

    /// Whether the address is in it; mapped IPv4 counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.find(ip.to_canonical()).allow != NONE
    }
}
