//! What is kept: keys, blocks, address entries, and the changes to them.

use base::{IdError, UnixMs, base62};
use ipnet::IpNet;
use std::fmt;
use std::str::FromStr;

/// Twelve base62 characters (71 bits): unique by chance, short enough to type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortId([u8; 12]);

/// The public part of an API key; stands in the key's text.
pub type KeyId = ShortId;
/// The id of a block.
pub type BlockId = ShortId;
/// The id of a run-time address entry.
pub type IpId = ShortId;

impl ShortId {
    /// A random id.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn random() -> Result<Self, IdError> {
        base62::random(12)?.parse()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // INVARIANT: every constructor takes base62 characters only, so this is always text.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The twelve characters.
    pub fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }
}

impl FromStr for ShortId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bytes: [u8; 12] = text.as_bytes().try_into().map_err(|_| IdError::Malformed)?;
        if base62::is(&bytes) { Ok(Self(bytes)) } else { Err(IdError::Malformed) }
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is kept of an API key. Its secret is not among it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The public part.
    pub id: KeyId,
    /// The environment that stands in the key's text.
    pub env: String,
    /// What people call it.
    pub name: String,
    /// HMAC-SHA-256 of the whole text (id, secret and check) under the pepper.
    pub mac: [u8; 32],
    /// What it may ask for, sorted, without repeats.
    pub scopes: Vec<String>,
    /// The routes that it is limited to; `None`: it is not limited.
    pub routes: Option<Vec<String>>,
    /// When it was made.
    pub created_at: UnixMs,
    /// From when on it is refused; `None`: never by age.
    pub expires_at: Option<UnixMs>,
    /// From when on it is refused because somebody said so.
    pub revoked_at: Option<UnixMs>,
    /// Why it was revoked.
    pub revoked_reason: Option<String>,
    /// The principal that made it.
    pub created_by: String,
    /// The person whom it belongs to; `None`: nobody's, an administrator answers for it.
    pub owner: Option<String>,
}

impl fmt::Debug for KeyRecord {
    /// Everything but the MAC: it would let a holder of the pepper test guesses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord")
            .field("id", &self.id)
            .field("env", &self.env)
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .field("routes", &self.routes)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}

/// Which keys a listing shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyFilter {
    /// All of them.
    #[default]
    All,
    /// Those that were neither revoked nor expired at this time.
    LiveAt(UnixMs),
}

/// What a block refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockKind {
    /// Every credential of a subject (`sub`).
    Subject,
    /// Every credential of an OAuth client (`client_id`, `azp`).
    Client,
    /// One token, by its `jti` or, where it has none, its keyed hash.
    Token,
}

impl BlockKind {
    /// Its word on the command line and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Client => "client",
            Self::Token => "token",
        }
    }
}

impl FromStr for BlockKind {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        [Self::Subject, Self::Client, Self::Token]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(IdError::Malformed)
    }
}

/// A local block of foreign credentials. There is at most one for each kind, issuer and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Never used again for another block.
    pub id: BlockId,
    /// What `value` is.
    pub kind: BlockKind,
    /// The configured name of the issuer that it is limited to; `None`: every issuer.
    pub issuer: Option<String>,
    /// The subject, client or token.
    pub value: String,
    /// When it was set (or set again: the later one counts). Credentials issued later are refused too.
    pub created_at: UnixMs,
    /// Until when it holds; `None`: until it is lifted.
    pub expires_at: Option<UnixMs>,
    /// Why.
    pub reason: Option<String>,
    /// The principal that set it.
    pub created_by: String,
}

/// An address that was let into a list at run time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpEntry {
    /// Never used again for another entry.
    pub id: IpId,
    /// The name of the `[[ip_list]]`.
    pub list: String,
    /// The addresses; host bits are zero, IPv4-mapped IPv6 stands as IPv4.
    pub net: IpNet,
    /// When it was added.
    pub created_at: UnixMs,
    /// Until when it holds.
    pub expires_at: UnixMs,
    /// Why.
    pub note: Option<String>,
    /// The principal that added it.
    pub created_by: String,
    /// Whose own address it is, where a person let it in; `None`: an administrator's.
    pub owner: Option<IpOwner>,
}

/// The person who let their own address in. The entry ends with the session at the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpOwner {
    /// The account's id.
    pub user: String,
    /// The id of the session in which it was let in. Not its secret.
    pub session: String,
    /// The group by which the person may.
    pub group: String,
    /// Until when it holds at most, as long as the session is used; until then the entry's end moves with its use.
    pub latest: UnixMs,
}

/// One change, as the gate must know it.
///
/// INVARIANT: a change carries the *present* state of what it names, not the state when it was written, and
/// ids of removed things are never used again. Applying changes twice, or out of order, therefore ends in
/// the same state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A key was made or changed.
    KeyUpserted(KeyRecord),
    /// A key was revoked. It must be refused until it would have expired anyway (`None`: for good).
    KeyRevoked {
        /// Which key.
        id: KeyId,
        /// When the revocation may be forgotten.
        until: Option<UnixMs>,
    },
    /// A block was set or changed.
    BlockUpserted(Block),
    /// A block was lifted.
    BlockRemoved(BlockId),
    /// An address entry was added or changed.
    IpUpserted(IpEntry),
    /// An address entry was removed.
    IpRemoved(IpId),
    /// Tokens of `self` were revoked.
    Revoked(crate::oauth::records::Revocation),
    /// A client was made, changed or removed; its id.
    ClientChanged(String),
    /// An account was made or changed; its id.
    UserChanged(String),
    /// The signing keys have changed.
    SigningKeysChanged,
    /// Trust rules or scopes' words have changed.
    RulesChanged,
}

/// A place in the change feed. Places are ordered; the order is not that of commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cursor {
    /// The database's transaction id (PostgreSQL), 0 where there is only one writer (SQLite).
    pub xid: i64,
    /// The sequence number, unique in the feed.
    pub seq: i64,
}
