//! What changes while the gate runs, kept here in a form that can be changed, and published to the shards as
//! immutable snapshots.

use super::compile::Compiled;
use access::iplist::{IpList, OVERLAY_ENTRIES, Origin, OverlayEntry, Side};
use access::live::{Block, BlockKind, Blocks, Keys, StoredKey};
use access::policy::Policy;
use access::revoked::{Revocations, Revoked, RevokedKind};
use access::snapshot::{NamedList, Snapshot, Snapshots};
use authority::oauth::SelfService;
use authority::oauth::records::{Revocation, RevocationKind};
use authority::{Change, IpEntry, KeyRecord, ShortId, SnapshotSink};
use base::UnixMs;
use gateway::Act;
use protocol::oauth::ScopeSet;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The state of the gate.
pub(super) struct State {
    pub(super) snapshots: Arc<Snapshots<Act>>,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    blocks: HashMap<ShortId, authority::Block>,
    ips: HashMap<ShortId, IpEntry>,
    names: HashMap<Box<str>, Vec<IpAddr>>,
    lists: Vec<(Arc<str>, IpList)>,
    self_service: Vec<SelfService>,
}

/// Collects what the store loads.
#[derive(Default)]
pub(super) struct Loaded {
    keys: Vec<([u8; 12], StoredKey)>,
    blocks: HashMap<ShortId, authority::Block>,
    ips: HashMap<ShortId, IpEntry>,
    revocations: Vec<Revocation>,
    scopes: HashMap<Vec<String>, ScopeSet>,
}

impl SnapshotSink for Loaded {
    fn expect_keys(&mut self, count: usize) {
        self.keys.reserve(count);
    }

    fn key(&mut self, key: KeyRecord) {
        // WHY: a million keys have a handful of scope sets; each is kept once.
        let scopes = match self.scopes.get(&key.scopes) {
            Some(scopes) => scopes.clone(),
            None => {
                let set = scope_set(&key.scopes);
                self.scopes.insert(key.scopes.clone(), set.clone());
                set
            }
        };
        self.keys.push((*key.id.as_bytes(), stored(&key, scopes)));
    }

    fn block(&mut self, block: authority::Block) {
        self.blocks.insert(block.id, block);
    }

    fn ip(&mut self, entry: IpEntry) {
        self.ips.insert(entry.id, entry);
    }

    fn revocation(&mut self, revocation: Revocation) {
        self.revocations.push(revocation);
    }
}

fn scope_set(scopes: &[String]) -> ScopeSet {
    // A scope that cannot be read grants nothing.
    ScopeSet::of(scopes.iter().map(String::as_str)).unwrap_or_default()
}

fn stored(key: &KeyRecord, scopes: ScopeSet) -> StoredKey {
    StoredKey {
        mac: key.mac,
        scopes,
        routes: key
            .routes
            .as_ref()
            .map(|routes| routes.iter().map(|it| it.as_str().into()).collect()),
        expires_at: key.expires_at,
        revoked: key.revoked_at.is_some(),
        owner: key.owner.as_deref().map(Into::into),
    }
}

fn revoked(it: &Revocation) -> (RevokedKind, Arc<str>, Revoked) {
    let kind = match it.kind {
        RevocationKind::Token => RevokedKind::Token,
        RevocationKind::Grant => RevokedKind::Grant,
        RevocationKind::Subject => RevokedKind::Subject,
        RevocationKind::Client => RevokedKind::Client,
        RevocationKind::Session => RevokedKind::Session,
    };
    (kind, it.value.as_str().into(), Revoked { not_before: it.not_before, until: it.until })
}

fn block(it: &authority::Block) -> Block {
    Block {
        kind: match it.kind {
            authority::BlockKind::Subject => BlockKind::Subject,
            authority::BlockKind::Client => BlockKind::Client,
            authority::BlockKind::Token => BlockKind::Token,
        },
        issuer: it.issuer.as_deref().map(Into::into),
        value: it.value.as_str().into(),
        expires_at: it.expires_at,
    }
}

impl State {
    /// The first state.
    pub(super) fn new(loaded: Loaded, compiled: Compiled) -> Self {
        let tables = Tables {
            blocks: loaded.blocks,
            ips: loaded.ips,
            names: HashMap::new(),
            lists: compiled.lists,
            self_service: compiled.self_service,
        };
        let snapshot = Snapshot {
            version: 0,
            policy: Arc::new(compiled.policy),
            keys: loaded.keys.into_iter().collect(),
            blocks: Arc::new(tables.gate_blocks()),
            lists: tables.gate_lists(),
            revoked: Revocations::default().with(loaded.revocations.iter().map(revoked)),
            stale: false,
        };
        Self { snapshots: Arc::new(Snapshots::new(snapshot)), tables: Mutex::new(tables) }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The policy in force.
    pub(super) fn policy(&self) -> Arc<Policy<Act>> {
        self.snapshots.load_full().policy.clone()
    }

    /// Starts anew from what the store holds, after the feed was lost.
    pub(super) fn reload(&self, loaded: Loaded) {
        let mut tables = self.lock();
        tables.blocks = loaded.blocks;
        tables.ips = loaded.ips;
        let keys: Keys = loaded.keys.into_iter().collect();
        let (blocks, lists) = (Arc::new(tables.gate_blocks()), tables.gate_lists());
        self.snapshots.update(|next| {
            next.keys = keys;
            next.blocks = blocks;
            next.lists = lists;
            // INVARIANT: what is known to be revoked stays so, whatever was loaded.
            next.revoked = next.revoked.with(loaded.revocations.iter().map(revoked));
        });
    }

    /// Puts a new configuration in force.
    pub(super) fn configure(
        &self,
        policy: Policy<Act>,
        lists: Vec<(Arc<str>, IpList)>,
        self_service: Vec<SelfService>,
    ) {
        let mut tables = self.lock();
        (tables.lists, tables.self_service) = (lists, self_service);
        let lists = tables.gate_lists();
        self.snapshots.update(|next| {
            next.policy = Arc::new(policy);
            next.lists = lists;
        });
    }

    /// Applies changes of the feed; when this returns, every later request is judged by them.
    pub(super) fn apply(&self, changes: &[(i64, Change)]) {
        let mut tables = self.lock();
        let mut keys = self.snapshots.load_full().keys.clone();
        let (mut blocks, mut lists) = (false, false);
        let mut revocations = Vec::new();
        for (_, change) in changes {
            match change {
                Change::KeyUpserted(record) => {
                    let id = *record.id.as_bytes();
                    let mut key = stored(record, scope_set(&record.scopes));
                    // INVARIANT: revocation is final. A row that comes late must not undo it.
                    key.revoked |= keys.find(&id).is_some_and(|known| known.revoked);
                    keys = keys.with(id, Some(key));
                }
                Change::KeyRevoked { id, .. } => {
                    if let Some(known) = keys.find(id.as_bytes()) {
                        let key = StoredKey { revoked: true, ..known.clone() };
                        keys = keys.with(*id.as_bytes(), Some(key));
                    }
                }
                Change::BlockUpserted(block) => {
                    tables.blocks.insert(block.id, block.clone());
                    blocks = true;
                }
                Change::BlockRemoved(id) => blocks |= tables.blocks.remove(id).is_some(),
                Change::IpUpserted(entry) => {
                    tables.ips.insert(entry.id, entry.clone());
                    lists = true;
                }
                Change::IpRemoved(id) => lists |= tables.ips.remove(id).is_some(),
                Change::Revoked(it) => revocations.push(revoked(it)),
                // These concern the authority, which hears of them apart.
                Change::ClientChanged(_)
                | Change::UserChanged(_)
                | Change::SigningKeysChanged
                | Change::RulesChanged => {}
            }
        }
        let new_blocks = blocks.then(|| Arc::new(tables.gate_blocks()));
        let new_lists = lists.then(|| tables.gate_lists());
        self.snapshots.update(|next| {
            next.keys = keys;
            if !revocations.is_empty() {
                next.revoked = next.revoked.with(revocations);
            }
            if let Some(blocks) = new_blocks {
                next.blocks = blocks;
            }
            if let Some(lists) = new_lists {
                next.lists = lists;
            }
        });
    }

    /// Lets go of blocks and entries whose time is over.
    pub(super) fn expire(&self, now: UnixMs) {
        let mut tables = self.lock();
        let before = (tables.blocks.len(), tables.ips.len());
        tables.blocks.retain(|_, block| block.expires_at.is_none_or(|end| now < end));
        tables.ips.retain(|_, entry| now < entry.expires_at);
        if before != (tables.blocks.len(), tables.ips.len()) {
            let (blocks, lists) = (Arc::new(tables.gate_blocks()), tables.gate_lists());
            self.snapshots.update(|next| (next.blocks, next.lists) = (blocks, lists));
        }
        drop(tables);
        if let Some(kept) = self.snapshots.load().revoked.expired(now) {
            drop(kept);
            self.snapshots.update(|next| {
                if let Some(kept) = next.revoked.expired(now) {
                    next.revoked = kept;
                }
            });
        }
    }

    /// All names that lists speak of.
    pub(super) fn names(&self) -> HashSet<Box<str>> {
        let tables = self.lock();
        tables
            .lists
            .iter()
            .flat_map(|(_, list)| list.names().map(|(_, name)| name.into()))
            .collect()
    }

    /// Lets go of the addresses of names that no list speaks of any more.
    ///
    /// WHY: one that comes back later must be asked for first; its old addresses may be somebody else's by then.
    pub(super) fn forget_names(&self, names: &HashSet<Box<str>>) {
        self.lock().names.retain(|name, _| names.contains(name));
    }

    /// A name's addresses. Returns those that it had before, when they differ.
    pub(super) fn resolved(&self, name: &str, addresses: Vec<IpAddr>) -> Option<Vec<IpAddr>> {
        let mut tables = self.lock();
        let before = tables.names.get(name).cloned();
        if before.as_ref() == Some(&addresses) {
            return None;
        }
        tables.names.insert(name.into(), addresses);
        let lists = tables.gate_lists();
        self.snapshots.update(|next| next.lists = lists);
        Some(before.unwrap_or_default())
    }

    /// Whether the gate can follow changes.
    pub(super) fn stale(&self, stale: bool) {
        if self.snapshots.load().stale != stale {
            self.snapshots.update(|next| next.stale = stale);
        }
    }
}

fn runtime(entry: &IpEntry, expires: UnixMs) -> OverlayEntry {
    let origin = Origin::Runtime { id: entry.id.as_str().into(), expires };
    OverlayEntry { side: Side::Allow, net: entry.net, origin }
}

impl Tables {
    fn gate_blocks(&self) -> Blocks {
        self.blocks.values().map(block).collect()
    }

    /// Until when an entry holds that a person made; `None` where the file does not let such people (any more). What the
    /// file takes back counts at once.
    fn own_end(&self, entry: &IpEntry) -> Option<UnixMs> {
        let owner = entry.owner.as_ref()?;
        let may = self.self_service.iter().find(|it| it.list == entry.list)?;
        let admits = may.groups.contains(&owner.group);
        admits.then(|| entry.expires_at.min(entry.created_at.plus(may.longest)))
    }

    fn gate_lists(&self) -> Arc<[NamedList]> {
        self.lists
            .iter()
            .map(|(name, list)| {
                let mut overlay = Vec::new();
                for (side, dns) in list.names() {
                    for ip in self.names.get(dns).into_iter().flatten() {
                        let origin = Origin::Name(dns.into());
                        overlay.push(OverlayEntry { side, net: (*ip).into(), origin });
                    }
                }
                let of_list = self.ips.values().filter(|entry| *entry.list == **name);
                let (own, entries): (Vec<_>, Vec<_>) =
                    of_list.partition(|entry| entry.owner.is_some());
                overlay.extend(entries.into_iter().map(|it| runtime(it, it.expires_at)));
                // INVARIANT: what people let in never crowds out names or what an administrator let in.
                let room = OVERLAY_ENTRIES.saturating_sub(overlay.len());
                let own = own.into_iter().filter_map(|it| Some(runtime(it, self.own_end(it)?)));
                overlay.extend(own.take(room));
                // Where there are too many, the file's own entries stand; the excess lets nobody in.
                let list = list.with_overlay(overlay).unwrap_or_else(|error| {
                    tracing::error!(%error, list = %name, "entries are left out");
                    list.clone()
                });
                NamedList { name: name.clone(), list }
            })
            .collect()
    }
}
