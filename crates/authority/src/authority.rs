//! What all use cases share: the ports, the clock, and how an act becomes an audit event.

use crate::actor::Actor;
use crate::error::Error;
use crate::ports::Registry;
use crate::sealing::Pepper;
use base::{Clock, Code, Event, NodeId};
use std::sync::Arc;

/// The use cases. One for the whole process.
pub struct Authority {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pepper: Arc<Pepper>,
    node: NodeId,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("node", &self.node).finish_non_exhaustive()
    }
}

/// What an act has made, and its place in the change feed: once the gate has applied that change, the act
/// is in force at this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<T> {
    /// What is now kept (or was, until it was removed).
    pub record: T,
    /// The sequence number of the change.
    pub seq: i64,
}

impl<T> From<(T, i64)> for Done<T> {
    fn from((record, seq): (T, i64)) -> Self {
        Self { record, seq }
    }
}

impl Authority {
    /// The use cases over these ports. Acts are recorded as of `node`.
    pub fn new(
        registry: Arc<dyn Registry>,
        clock: Arc<dyn Clock>,
        pepper: Arc<Pepper>,
        node: NodeId,
    ) -> Self {
        Self { registry, clock, pepper, node }
    }

    /// An event that says: `actor` did `code` to `target`.
    pub(crate) fn event(
        &self,
        actor: &Actor,
        code: Code,
        target: Option<&str>,
        detail: &str,
    ) -> Result<Event, Error> {
        actor.act((self.clock.now(), self.node), code, target, detail)
    }

    /// Records that `act` was refused, and gives the refusal back.
    ///
    /// WHY the store's error wins over the refusal: an act that cannot be recorded must not look handled.
    pub(crate) async fn refused<T>(
        &self,
        actor: &Actor,
        act: Code,
        target: Option<&str>,
        refusal: Error,
    ) -> Result<T, Error> {
        let seen = (self.clock.now(), self.node);
        if let Some(event) = actor.refusal(seen, &act, target, &refusal)? {
            self.registry.record(event).await?;
        }
        Err(refusal)
    }
}
