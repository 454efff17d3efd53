//! The immutable state that shards judge by, and the cell through which it is replaced.

use crate::iplist::IpList;
use crate::live::{Blocks, Keys, Standing};
use crate::policy::Policy;
use crate::revoked::Revocations;
use arc_swap::ArcSwap;
use base::UnixMs;
use std::sync::Arc;

/// One consistent view. A request loads it once and is judged by it from beginning to end.
#[derive(Debug)]
pub struct Snapshot<A> {
    /// Counts up with each replacement.
    pub version: u64,
    /// The compiled configuration.
    pub policy: Arc<Policy<A>>,
    /// The API keys.
    pub keys: Keys,
    /// The blocks.
    pub blocks: Arc<Blocks>,
    /// The revocations of the authority's own tokens.
    pub revoked: Revocations,
    /// The address lists, in the order that routes refer to.
    pub lists: Arc<[NamedList]>,
    /// The gate cannot follow changes any more and must refuse (design: `stale_limit`).
    pub stale: bool,
}

/// An address list and its name.
#[derive(Debug, Clone)]
pub struct NamedList {
    /// The configured name.
    pub name: Arc<str>,
    /// The list.
    pub list: IpList,
}

impl<A> Clone for Snapshot<A> {
    fn clone(&self) -> Self {
        Self {
            version: self.version,
            policy: self.policy.clone(),
            keys: self.keys.clone(),
            blocks: self.blocks.clone(),
            revoked: self.revoked.clone(),
            lists: self.lists.clone(),
            stale: self.stale,
        }
    }
}

impl<A> Snapshot<A> {
    /// What credentials are judged by again at `now`.
    pub fn standing(&self, now: UnixMs) -> Standing<'_> {
        Standing { keys: &self.keys, blocks: &self.blocks, revoked: &self.revoked, now }
    }
}

/// Holds the current snapshot. Readers never wait.
#[derive(Debug)]
pub struct Snapshots<A> {
    current: ArcSwap<Snapshot<A>>,
    /// Serialises writers, so that two changes at once never lose one.
    writing: std::sync::Mutex<()>,
}

impl<A> Snapshots<A> {
    /// Starts with this snapshot.
    pub fn new(first: Snapshot<A>) -> Self {
        Self { current: ArcSwap::from_pointee(first), writing: std::sync::Mutex::new(()) }
    }

    /// The current one, for a few instructions.
    pub fn load(&self) -> arc_swap::Guard<Arc<Snapshot<A>>> {
        self.current.load()
    }

    /// The current one, to keep.
    pub fn load_full(&self) -> Arc<Snapshot<A>> {
        self.current.load_full()
    }

    /// Replaces the snapshot by what `change` makes of a copy. When this returns, every later request on
    /// every shard is judged by the new one. Returns its version.
    pub fn update(&self, change: impl FnOnce(&mut Snapshot<A>)) -> u64 {
        // WHY: a poisoned lock means that a writer panicked before it stored; the snapshot is whole.
        let _writing = self.writing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.current.load_full());
        change(&mut next);
        next.version = next.version.wrapping_add(1);
        let version = next.version;
        self.current.store(Arc::new(next));
        version
    }
}
