//! What could not be recorded: counted by reason, and written as signed gap records.
//!
//! INVARIANT: a count leaves this table only into a gap record that is durable.

use crate::error::LedgerError;
use crate::note::Signer;
use crate::recover::Cut;
use base::{Event, EventId, Kind, NodeId, Outcome, UnixMs, code};

/// Why events could not be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A shard's ring was full.
    Ring,
    /// The quota of normal records is used up.
    NormalQuota,
    /// The quota of denials is used up.
    DenialQuota,
    /// The reserve is used up.
    Reserve,
    /// The disk did not take or did not keep them.
    Disk,
}

const REASONS: [(Reason, &str); 5] = [
    (Reason::Ring, "the ring was full"),
    (Reason::NormalQuota, "the quota of normal records is used up"),
    (Reason::DenialQuota, "the quota of denials is used up"),
    (Reason::Reserve, "the reserve is used up"),
    (Reason::Disk, "the disk did not take them"),
];

/// How many were lost, and when the first and the last of them were to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) count: u64,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Loss {
    pub(crate) const NONE: Self = Self { count: 0, first: i64::MAX, last: i64::MIN };

    pub(crate) fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// The losses that no durable gap record tells of yet.
#[derive(Debug)]
pub(crate) struct Gaps {
    open: [Loss; 5],
}

impl Gaps {
    pub(crate) fn new() -> Self {
        Self { open: [Loss::NONE; 5] }
    }

    pub(crate) fn add(&mut self, reason: Reason, loss: Loss) {
        let slots = REASONS.iter().zip(&mut self.open);
        slots.filter(|((of, _), _)| *of == reason).for_each(|(_, slot)| slot.add(loss));
    }

    pub(crate) fn any(&self) -> bool {
        self.open.iter().any(|loss| loss.count > 0)
    }

    /// Gap records for all that is open. The caller calls [`Gaps::settle`] once they are durable.
    pub(crate) fn records(
        &self,
        node: NodeId,
        now: UnixMs,
        signer: &Signer,
    ) -> Result<Vec<Event>, LedgerError> {
        let open = REASONS.iter().zip(&self.open).filter(|(_, loss)| loss.count > 0);
        open.map(|((_, text), loss)| {
            let Loss { count, first, last } = loss;
            let detail = format!("{count} events from {first} to {last} (ms) are missing: {text}");
            let mut event = gap(node, now, code::LEDGER_GAP)?;
            event.count = u32::try_from(*count).unwrap_or(u32::MAX);
            signer.sign_gap(&mut event, &detail);
            Ok(event)
        })
        .collect()
    }

    /// What [`Gaps::records`] gave is durable.
    pub(crate) fn settle(&mut self) {
        self.open = [Loss::NONE; 5];
    }
}

/// The record of a run that did not end in order.
pub(crate) fn cut_record(
    cut: &Cut,
    node: NodeId,
    now: UnixMs,
    signer: &Signer,
) -> Result<Event, LedgerError> {
    let Cut { entries, last_ms, bytes } = cut;
    let detail = format!(
        "known good up to {entries} events, the last at {last_ms} (ms); {bytes} torn bytes were cut; \
         records of normal routes from then until the stop may be missing"
    );
    let mut event = gap(node, now, code::LEDGER_CUT)?;
    signer.sign_gap(&mut event, &detail);
    Ok(event)
}

fn gap(node: NodeId, now: UnixMs, code: base::Code) -> Result<Event, LedgerError> {
    let id = EventId::random().map_err(crate::batch::encoding)?;
    Ok(Event { outcome: Outcome::Error, ..Event::new(id, now, node, Kind::Gap, code) })
}
