//! The ledger as the control plane's edge reads it.

use audit::Ledger;
use base::{Event, RequestId};
use control::ports::{self, EventFilter, LedgerError, Read, Row, Tail};
use gateway::Metrics;
use std::path::PathBuf;
use std::sync::Arc;

/// Reads the ledger's files.
#[derive(Debug)]
pub(super) struct Reads {
    dir: PathBuf,
    ledger: Arc<Ledger>,
}

impl Reads {
    pub(super) fn new(dir: PathBuf, ledger: Arc<Ledger>) -> Self {
        Self { dir, ledger }
    }
}

impl ports::Ledger for Reads {
    fn explain(&self, _id: RequestId) -> Read<'_, Option<Event>> {
        Box::pin(async { Err(LedgerError::Unavailable("x".into())) })
    }
    fn recent(&self, _filter: EventFilter, _limit: usize) -> Read<'_, Vec<Event>> {
        Box::pin(async { Err(LedgerError::Unavailable("x".into())) })
    }
    fn follow(&self, _filter: EventFilter, _limit: usize) -> Read<'_, Box<dyn Tail>> {
        Box::pin(async { Err(LedgerError::Unavailable("x".into())) })
    }
    fn query(&self, _sql: String) -> Read<'_, Vec<Row>> {
        Box::pin(async { Err(LedgerError::Unavailable("x".into())) })
    }
}

/// All metrics as text.
pub(super) fn metrics(metrics: &Metrics, ledger: &Ledger) -> String {
    let _ = ledger;
    metrics.render()
}
