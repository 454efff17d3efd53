//! The ports: what a store must be able to do. Each mutating method is one whole intention and one
//! transaction: the change, its audit event and its row in the change feed become durable together, and the
//! method answers only then. Each returns the sequence number of its feed row, so that the caller can wait
//! until the gate has applied it.

use crate::error::PortError;
use crate::records::{Block, BlockId, Change, Cursor, IpEntry, IpId, KeyFilter, KeyId, KeyRecord};
use base::{BoxFuture, Event, EventId, NodeId, UnixMs};
use std::time::Duration;

/// What a port answers.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, PortError>>;

/// The most rows that one page of a listing holds: some 200 KB of JSON.
pub const PAGE_ROWS: u32 = 1000;

/// Which part of a listing. Listings are ordered by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Only what comes after this id.
    pub after: Option<crate::records::ShortId>,
    /// At most so many rows; more than [`PAGE_ROWS`] counts as that.
    pub rows: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: None, rows: PAGE_ROWS }
    }
}

/// Keeps API keys.
pub trait KeyStore: Send + Sync {
    /// Keeps a new key.
    ///
    /// # Errors
    /// [`PortError::Conflict`] when the id exists.
    fn create_key(&self, key: KeyRecord, event: Event) -> Answer<'_, i64>;
    /// One key.
    fn key(&self, id: KeyId) -> Answer<'_, Option<KeyRecord>>;
    /// Keys by id.
    fn keys(&self, filter: KeyFilter, page: Page) -> Answer<'_, Vec<KeyRecord>>;
    /// Revokes a key and says what is then kept; `None` when there is none (then nothing is written, the
    /// event neither). A second revocation keeps the first one's time and reason, and is announced again.
    fn revoke_key(
        &self,
        id: KeyId,
        at: UnixMs,
        reason: Option<String>,
        event: Event,
    ) -> Answer<'_, Option<(KeyRecord, i64)>>;
}

/// Keeps blocks.
pub trait BlockStore: Send + Sync {
    /// Sets a block. One with the same kind, issuer and value is replaced and keeps its id; what is then
    /// kept is returned. The event's `credential_id` is set to that id.
    fn put_block(&self, block: Block, event: Event) -> Answer<'_, (Block, i64)>;
    /// Blocks by id; those that have expired at `now` are left out.
    fn blocks(&self, now: UnixMs, page: Page) -> Answer<'_, Vec<Block>>;
    /// Lifts a block; `None` when there is none (then nothing is written).
    fn remove_block(&self, id: BlockId, event: Event) -> Answer<'_, Option<(Block, i64)>>;
}

/// Keeps run-time address entries.
pub trait IpStore: Send + Sync {
    /// Adds an entry. One with the same list and network is replaced and keeps its id.
    fn put_ip(&self, entry: IpEntry, event: Event) -> Answer<'_, (IpEntry, i64)>;
    /// Entries by id; those that have expired at `now` are left out.
    fn ips(&self, list: Option<String>, now: UnixMs, page: Page) -> Answer<'_, Vec<IpEntry>>;
    /// Removes an entry; `None` when there is none (then nothing is written).
    fn remove_ip(&self, id: IpId, event: Event) -> Answer<'_, Option<(IpEntry, i64)>>;
}

/// Takes audit events that come with no change: refused acts, news of the node.
pub trait AuditLog: Send + Sync {
    /// Keeps the event for the ledger; durable when this answers.
    fn record(&self, event: Event) -> Answer<'_, ()>;
}

/// All that the use cases need.
pub trait Registry: KeyStore + BlockStore + IpStore + AuditLog {}
impl<T: KeyStore + BlockStore + IpStore + AuditLog> Registry for T {}

/// Keeps sealed blobs by name.
pub trait SealedStore: Send + Sync {
    /// Whether anything is sealed; then the master key must not be made anew.
    fn any_sealed(&self) -> Answer<'_, bool>;
    /// The blob of that name.
    fn sealed(&self, name: &'static str) -> Answer<'_, Option<Vec<u8>>>;
    /// Keeps `blob` unless there is one of that name; returns the one that is then kept.
    fn put_sealed_if_absent(
        &self,
        name: &'static str,
        blob: Vec<u8>,
        now: UnixMs,
    ) -> Answer<'_, Vec<u8>>;
}

/// One row of the change feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRow {
    /// Its place.
    pub place: Cursor,
    /// Whether every row before it is visible too. A follower's cursor must not pass a row that is not
    /// settled; its change may (and should) be applied at once all the same.
    pub settled: bool,
    /// What changed; `None` when a later row says it better (the thing was removed since).
    pub change: Option<Change>,
}

/// Some rows of the feed, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPage {
    /// The rows after the cursor that was asked for; fewer than the limit when there are no more.
    pub rows: Vec<FeedRow>,
    /// The cursor lies before what the feed still holds (or in another database's time): the follower must
    /// load everything again.
    pub lost: bool,
}

/// The change feed.
pub trait Feed: Send + Sync {
    /// At most `limit` rows after `from`.
    fn changes_since(&self, from: Cursor, limit: u32) -> Answer<'_, FeedPage>;
    /// Waits until something may have changed since this method last returned `seen` (0 at first), at most
    /// `at_most`; returns what to pass the next time.
    fn wait(&self, seen: u64, at_most: Duration) -> BoxFuture<'_, u64>;
}

/// Takes a whole snapshot, one record at a time.
pub trait SnapshotSink: Send {
    /// How many keys are about to come, roughly.
    fn expect_keys(&mut self, count: usize);
    /// One key.
    fn key(&mut self, key: KeyRecord);
    /// One block.
    fn block(&mut self, block: Block);
    /// One address entry.
    fn ip(&mut self, entry: IpEntry);
    /// One revocation of tokens of `self`.
    fn revocation(&mut self, revocation: crate::oauth::records::Revocation);
}

/// Loads everything the gate must know.
pub trait Snapshots: Send + Sync {
    /// Hands every key, block and address entry that had not expired at `since` to `sink`, all of one
    /// moment, and returns the place in the feed from which to go on. Memory stays bounded.
    fn load<'a>(&'a self, since: UnixMs, sink: &'a mut dyn SnapshotSink) -> Answer<'a, Cursor>;
}

/// One audit event that waits for the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxRow {
    /// Its place in the outbox: rows of one node are handed out in this order.
    pub seq: i64,
    /// The event.
    pub event: Event,
}

/// The outbox: audit events on their way to a ledger.
pub trait Outbox: Send + Sync {
    /// The oldest rows that belong to `node` and are not done, at most `limit`.
    fn take(&self, node: NodeId, limit: u32) -> Answer<'_, Vec<OutboxRow>>;
    /// The ledger holds these events durably. Ids that are unknown or done are passed over.
    fn mark_done(&self, ids: Vec<EventId>, now: UnixMs) -> Answer<'_, ()>;
    /// Waits until there may be new rows since this method last returned `seen` (0 at first), at most
    /// `at_most`; returns what to pass the next time.
    fn wait_for_rows(&self, seen: u64, at_most: Duration) -> BoxFuture<'_, u64>;
}

/// A node's sign of life: a number that grows while it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Which node.
    pub node: NodeId,
    /// The number; 0 for a node that left rows and never gave a sign.
    pub beat: i64,
}

/// Nodes: who lives, and what the dead have left.
pub trait NodeStore: Send + Sync {
    /// Gives a sign of life. `now` is kept for people to look at; nothing is decided by it, since clocks of
    /// nodes differ.
    fn beat(&self, node: NodeId, now: UnixMs) -> Answer<'_, ()>;
    /// The beats of the other nodes that have rows in the outbox.
    fn others_with_rows(&self, node: NodeId) -> Answer<'_, Vec<Beat>>;
    /// Takes over the rows of a dead node, unless it has given a sign of life since; how many.
    fn adopt(&self, node: NodeId, dead: Beat) -> Answer<'_, u64>;
}
