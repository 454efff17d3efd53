//! Events of the product itself, on their way to the ledger.

use audit::Ledger;
use base::{Clock, Code, Event, EventId, Kind, NodeId};
use std::sync::Arc;

/// Makes and records events of this node.
#[derive(Debug, Clone)]
pub(super) struct Events {
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    node: NodeId,
}

impl Events {
    pub(super) fn new(ledger: Arc<Ledger>, clock: Arc<dyn Clock>, node: NodeId) -> Self {
        Self { ledger, clock, node }
    }

    /// An event of kind System, now.
    pub(super) fn event(&self, code: Code) -> Event {
        // Without randomness the id is zero: better a record with a poor id than none.
        let id = EventId::random().unwrap_or(EventId([0; 16]));
        Event::new(id, self.clock.now(), self.node, Kind::System, code)
    }

    /// Records without waiting.
    pub(super) fn record(&self, event: Event) {
        self.ledger.record(&event);
    }

    /// Records an event that has nothing to add.
    pub(super) fn say(&self, code: Code) {
        self.record(self.event(code));
    }
}
