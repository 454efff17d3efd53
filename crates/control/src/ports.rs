//! What stands behind the edge. The binary wires each; all are object-safe.

use crate::views::{
    BlockView, CreatedKeyView, IpEntryView, IpTestView, KeyView, NewBlock, NewIpEntry, NewKey,
};
use base::{BoxFuture, Event, Outcome, RequestId, Scheme};
use std::net::IpAddr;
use std::sync::Arc;

/// Who asks; stands in the audit event of every act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The subject: at the socket `uid:1000`.
    pub principal: Arc<str>,
    /// How the caller proved itself.
    pub scheme: Scheme,
    /// From where, when it came over the network.
    pub client_ip: Option<IpAddr>,
}

/// Why an act was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// The caller's: an input breaks its rule.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field as the API names it.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The caller's: nothing has this id.
    #[error("no {what} has the id {id}")]
    NotFound {
        /// `key`, `block`, `address entry`.
        what: &'static str,
        /// The id.
        id: String,
    },
    /// The caller's: it exists already.
    #[error("it exists already")]
    Conflict,
    /// The operator's: the store did not answer; nothing was changed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The operator's: the commit broke off; it may or may not have taken effect.
    #[error("it may or may not be done: {0}")]
    Uncertain(String),
    /// Nobody's: as much of this is under way as is allowed; nothing was changed.
    #[error("{0}")]
    Busy(&'static str),
    /// Ours.
    #[error("{0}")]
    Broken(String),
}

/// What an act made, and its place in the change feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<T> {
    /// What is now kept, or was until it was removed.
    pub record: T,
    /// The sequence number of the change.
    pub seq: i64,
}

/// Which part of a listing; listings are ordered by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Only what comes after this id.
    pub after: Option<String>,
    /// At most so many rows, 1 to 1000.
    pub rows: u32,
}

/// What an act answers.
pub type Act<'a, T> = BoxFuture<'a, Result<T, ActError>>;

/// The authority's use cases. Each act is recorded by whoever implements this, a refused one too.
pub trait Admin: Send + Sync + std::fmt::Debug {
    /// Makes a key; its text is in the answer and never again.
    fn create_key(&self, by: Caller, ask: NewKey) -> Act<'_, Done<CreatedKeyView>>;
    /// Keys by id.
    fn keys(&self, page: Page) -> Act<'_, Vec<KeyView>>;
    /// One key.
    fn key(&self, id: String) -> Act<'_, KeyView>;
    /// Revokes a key.
    fn revoke_key(&self, by: Caller, id: String, reason: Option<String>) -> Act<'_, Done<KeyView>>;
    /// Sets a block.
    fn add_block(&self, by: Caller, ask: NewBlock) -> Act<'_, Done<BlockView>>;
    /// Blocks by id.
    fn blocks(&self, page: Page) -> Act<'_, Vec<BlockView>>;
    /// Lifts a block.
    fn remove_block(&self, by: Caller, id: String) -> Act<'_, Done<BlockView>>;
    /// Lets an address into a list for a time.
    fn add_ip(&self, by: Caller, ask: NewIpEntry) -> Act<'_, Done<IpEntryView>>;
    /// Run-time address entries by id, of one list or of all.
    fn ips(&self, list: Option<String>, page: Page) -> Act<'_, Vec<IpEntryView>>;
    /// Removes an address entry before its time.
    fn remove_ip(&self, by: Caller, id: String) -> Act<'_, Done<IpEntryView>>;
}

/// Says when this node's gate has taken up a change.
pub trait Applied: Send + Sync + std::fmt::Debug {
    /// Ends once every shard judges by the change numbered `seq`.
    fn applied(&self, seq: i64) -> BoxFuture<'_, ()>;
}

/// The address lists as the gate holds them now, and the names that acts may speak of.
pub trait IpTest: Send + Sync + std::fmt::Debug {
    /// The names of the lists.
    fn lists(&self) -> Vec<String>;
    /// The configured names of the issuers.
    fn issuers(&self) -> Vec<String>;
    /// Which rules match `address`, in `list` or in every list.
    fn test(&self, address: IpAddr, list: Option<&str>) -> IpTestView;
}

/// Which events are wanted; what is `None` takes any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The route's name.
    pub route: Option<String>,
    /// The stable code.
    pub code: Option<String>,
}

impl EventFilter {
    /// Whether `event` is wanted.
    pub fn wants(&self, event: &Event) -> bool {
        self.outcome.is_none_or(|it| it == event.outcome)
            && self.route.as_deref().is_none_or(|it| event.route.as_deref() == Some(it))
            && self.code.as_deref().is_none_or(|it| event.code.as_str() == it)
    }
}

/// Why the ledger gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The caller's: the query is not one that can be answered.
    #[error("the query cannot be answered: {0}")]
    Query(String),
    /// The operator's: the ledger cannot be read.
    #[error("the ledger cannot be read: {0}")]
    Unavailable(String),
}

/// A row of a query's answer.
pub type Row = serde_json::Map<String, serde_json::Value>;
/// What the ledger answers.
pub type Read<'a, T> = BoxFuture<'a, Result<T, LedgerError>>;

/// Reads the ledger.
pub trait Ledger: Send + Sync + std::fmt::Debug {
    /// The decision of a request, or the counted record that it was folded into.
    fn explain(&self, id: RequestId) -> Read<'_, Option<Event>>;
    /// The newest `limit` events that the filter wants, oldest first.
    fn recent(&self, filter: EventFilter, limit: usize) -> Read<'_, Vec<Event>>;
    /// As [`Ledger::recent`], and then what comes; no event is missed between the two.
    fn follow(&self, filter: EventFilter, limit: usize) -> Read<'_, Box<dyn Tail>>;
    /// Rows of a query over `events`, bounded by whoever implements this.
    fn query(&self, sql: String) -> Read<'_, Vec<Row>>;
}

/// Events as they come.
pub trait Tail: Send {
    /// The next event; `None` when there will be no more.
    fn next(&mut self) -> BoxFuture<'_, Option<Event>>;
}

/// Takes note of what the edge itself sees.
pub trait Witness: Send + Sync + std::fmt::Debug {
    /// Another user of the machine came to the socket and was turned away; to be recorded.
    fn stranger(&self, uid: u32);
    /// An address that holds its share of a control address's connections came with one more; to be recorded.
    fn crowded(&self, client: IpAddr);
    /// A handler panicked; its caller got 500, no other was harmed; to be recorded.
    fn panicked(&self);
}
