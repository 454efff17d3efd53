//! What changes while the gate runs: API keys, blocks, run-time address entries.
//!
//! Owns the immutable tables that shards read. The table of keys is cut into parts that successive versions
//! share, so that one changed key among a million costs the copy of one part only.

use base::{Code, Scheme, UnixMs, code};
use foldhash::fast::RandomState;
use protocol::oauth::ScopeSet;
use std::collections::HashMap;
use std::sync::Arc;

use crate::credential::Credential;
use crate::revoked::Revocations;

/// The id of an API key: 12 base62 characters (design: API key format).
pub type KeyId = [u8; 12];

/// Parts that the table of keys is cut into. Changing one key copies one part: of a million keys about a
/// thousand entries, some 50 µs; sharing the other parts costs one reference each.
const PARTS: usize = 1024;

/// An API key as the gate needs it.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// HMAC-SHA-256 of the secret part under the pepper.
    pub mac: [u8; 32],
    /// What it may do.
    pub scopes: ScopeSet,
    /// The routes that it is limited to; `None`: all.
    pub routes: Option<Arc<[Box<str>]>>,
    /// When it ends.
    pub expires_at: Option<UnixMs>,
    /// Whether it was revoked. Kept, so that its holder is told so.
    pub revoked: bool,
    /// Whose it is, where a person made it; who blocks the person stops it.
    pub owner: Option<Arc<str>>,
}

type Table = HashMap<KeyId, StoredKey, RandomState>;

/// All API keys: an immutable table in [`PARTS`] parts, of which successive versions share all that did not
/// change.
#[derive(Debug, Clone)]
pub struct Keys {
    parts: Arc<[Arc<Table>]>,
    len: usize,
}

impl Default for Keys {
    fn default() -> Self {
        let empty = Arc::new(Table::default());
        Self { parts: (0..PARTS).map(|_| empty.clone()).collect(), len: 0 }
    }
}

impl FromIterator<(KeyId, StoredKey)> for Keys {
    fn from_iter<I: IntoIterator<Item = (KeyId, StoredKey)>>(keys: I) -> Self {
        let mut parts: Vec<Table> = (0..PARTS).map(|_| Table::default()).collect();
        for (id, key) in keys {
            if let Some(part) = parts.get_mut(part_of(&id)) {
                part.insert(id, key);
            }
        }
        let len = parts.iter().map(Table::len).sum();
        let parts = parts.into_iter().map(|mut part| {
            part.shrink_to_fit();
            Arc::new(part)
        });
        Self { parts: parts.collect(), len }
    }
}

impl Keys {
    /// The key with this id.
    pub fn find(&self, id: &KeyId) -> Option<&StoredKey> {
        self.parts.get(part_of(id))?.get(id)
    }

    /// The table after one change; `None` removes.
    #[must_use]
    pub fn with(&self, id: KeyId, change: Option<StoredKey>) -> Self {
        let mut parts: Vec<Arc<Table>> = self.parts.to_vec();
        let mut len = self.len;
        if let Some(part) = parts.get_mut(part_of(&id)) {
            let table = Arc::make_mut(part);
            len -= table.len();
            match change {
                Some(key) => drop(table.insert(id, key)),
                None => drop(table.remove(&id)),
            }
            len += table.len();
        }
        Self { parts: parts.into(), len }
    }

    /// How many keys there are, revoked ones included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

fn part_of(id: &KeyId) -> usize {
    let [a, b, ..] = *id;
    ((usize::from(a) << 5) ^ usize::from(b)) % PARTS
}

/// What a block is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockKind {
    /// A subject (`sub`).
    Subject,
    /// A client (`client_id` or `azp`).
    Client,
    /// One token, by its `jti`.
    Token,
}

/// One local block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What it is about.
    pub kind: BlockKind,
    /// Of which issuer; `None`: of any.
    pub issuer: Option<Arc<str>>,
    /// The subject, client or `jti`.
    pub value: Arc<str>,
    /// When it ends by itself.
    pub expires_at: Option<UnixMs>,
}

/// All blocks.
#[derive(Debug, Clone, Default)]
pub struct Blocks {
    by_value: HashMap<(BlockKind, Arc<str>), Vec<Block>, RandomState>,
}

impl FromIterator<Block> for Blocks {
    fn from_iter<I: IntoIterator<Item = Block>>(blocks: I) -> Self {
        let mut by_value: HashMap<_, Vec<Block>, RandomState> = HashMap::default();
        for block in blocks {
            by_value.entry((block.kind, block.value.clone())).or_default().push(block);
        }
        Self { by_value }
    }
}

impl Blocks {
    /// Whether `credential` is blocked now.
    pub fn refuses(&self, credential: &Credential, now: UnixMs) -> Option<BlockKind> {
        // WHY: most installations have no block; the common path costs one branch.
        if self.by_value.is_empty() {
            return None;
        }
        let issuer = credential.issuer.as_deref();
        let hit = |kind, value: &Arc<str>| self.hits((kind, value), issuer, now);
        if hit(BlockKind::Subject, &credential.subject) {
            return Some(BlockKind::Subject);
        }
        let mut clients = credential.client_id.iter().chain(&credential.lineage);
        if clients.any(|client| hit(BlockKind::Client, client)) {
            return Some(BlockKind::Client);
        }
        (credential.id_is_jti && hit(BlockKind::Token, &credential.id)).then_some(BlockKind::Token)
    }

    /// Whether somebody with an account at the built-in authority is blocked now.
    fn refuse_person(&self, id: &Arc<str>, now: UnixMs) -> bool {
        !self.by_value.is_empty() && self.hits((BlockKind::Subject, id), Some("self"), now)
    }

    fn hits(
        &self,
        (kind, value): (BlockKind, &Arc<str>),
        issuer: Option<&str>,
        now: UnixMs,
    ) -> bool {
        self.by_value.get(&(kind, value.clone())).is_some_and(|blocks| {
            blocks.iter().any(|block| {
                block.expires_at.is_none_or(|end| now < end)
                    && block.issuer.as_deref().is_none_or(|of| Some(of) == issuer)
            })
        })
    }
}

/// What may change while a credential's proof stays good.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The API keys.
    pub keys: &'a Keys,
    /// The blocks.
    pub blocks: &'a Blocks,
    /// The revocations of our own tokens.
    pub revoked: &'a Revocations,
    /// Now.
    pub now: UnixMs,
}

/// Judges again what may have changed since a credential was verified: its end, a block, a revoked key.
/// Used at each cache hit and on live streams.
pub fn still_good(credential: &Credential, now: Standing<'_>) -> Result<(), Code> {
    let Standing { keys, blocks, revoked, now } = now;
    if credential.scheme == Scheme::ApiKey {
        let id = KeyId::try_from(credential.id.as_bytes()).map_err(|_| code::KEY_UNKNOWN)?;
        let key = keys.find(&id).ok_or(code::KEY_UNKNOWN)?;
        if key.revoked {
            return Err(code::KEY_REVOKED);
        }
        if key.expires_at.is_some_and(|end| now >= end) {
            return Err(code::KEY_EXPIRED);
        }
        if key.owner.as_ref().is_some_and(|owner| blocks.refuse_person(owner, now)) {
            return Err(code::KEY_REVOKED);
        }
        // A stream that began with more than the key may do now.
        if !key.scopes.contains_all(&credential.scopes) {
            return Err(code::KEY_REVOKED);
        }
    } else if credential.expires_at.is_some_and(|end| now >= end.plus(base::limits::CLOCK_SKEW)) {
        return Err(code::TOKEN_EXPIRED);
    }
    if revoked.refuses(credential) {
        return Err(code::TOKEN_REVOKED);
    }
    match blocks.refuses(credential, now) {
        Some(_) if credential.scheme == Scheme::ApiKey => Err(code::KEY_REVOKED),
        Some(_) => Err(code::TOKEN_REVOKED),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_a_stream_keeps_no_scope_that_its_key_has_lost() {
        let id: KeyId = *b"abcdefghijkl";
        let stored = |scopes: &str| StoredKey {
            mac: [0; 32],
            scopes: ScopeSet::parse(scopes).unwrap(),
            routes: None,
            expires_at: None,
            revoked: false,
            owner: Some("ada".into()),
        };
        let credential = Credential {
            scheme: Scheme::ApiKey,
            issuer: None,
            subject: "abcdefghijkl".into(),
            client_id: None,
            id: "abcdefghijkl".into(),
            id_is_jti: false,
            scopes: ScopeSet::parse("orders:read orders:write").unwrap(),
            audiences: Vec::new(),
            claims: serde_json::Map::new(),
            issued_at: None,
            not_before: None,
            expires_at: None,
            acr: None,
            authenticated_at: None,
            routes: Vec::new(),
            grant: None,
            lineage: Vec::new(),
            key: None,
        };
        let (blocks, revoked) = (Blocks::default(), Revocations::default());
        let judged = |scopes: &str| {
            let keys: Keys = [(id, stored(scopes))].into_iter().collect();
            let now = Standing { keys: &keys, blocks: &blocks, revoked: &revoked, now: UnixMs(0) };
            still_good(&credential, now)
        };
        assert_eq!(judged("orders:read orders:write more"), Ok(()));
        assert_eq!(judged("orders:read"), Err(code::KEY_REVOKED));
    }

    #[test]
    fn attack_who_is_blocked_has_no_key_either() {
        let owner: Arc<str> = "ada".into();
        let blocked = |issuer: Option<&str>, value: &str| {
            let block = Block {
                kind: BlockKind::Subject,
                value: value.into(),
                issuer: issuer.map(Into::into),
                expires_at: Some(UnixMs(10)),
            };
            let blocks: Blocks = [block].into_iter().collect();
            (blocks.refuse_person(&owner, UnixMs(9)), blocks.refuse_person(&owner, UnixMs(10)))
        };
        assert_eq!(blocked(None, "ada"), (true, false));
        assert_eq!(blocked(Some("self"), "ada"), (true, false));
        assert_eq!(blocked(Some("corp"), "ada"), (false, false), "another issuer's ada");
        assert_eq!(blocked(None, "bob"), (false, false));
    }
}
