//! What the headers of frames and the kept state say of the events, besides the tree: the latest administrative
//! ids, the quotas' counters, the times.
//!
//! The signed tree does not cover them, and they decide what a reader passes over, what is taken for known and
//! when a quota is used up. So they follow from the events: whoever reads the events checks them.

use crate::batch::Class;
use crate::columns;
use crate::frame::{Header, REMEMBERED_IDS, State, Usage};
use crate::leaf::Salt;
use crate::row::Row;
use base::{Event, EventId, Kind};
use std::collections::{HashSet, VecDeque};

/// What is said and does not follow from the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Untrue {
    #[error("the header does not describe its events")]
    Events,
    #[error("the counters of the quotas are not those of the events")]
    Usage,
    #[error("the known administrative ids are not those of the events")]
    Ids,
    #[error("its time lies before that of events in front of it")]
    Time,
}

/// What follows from all events so far.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) ids: Remembered,
    pub(crate) usage: Usage,
    /// The latest time of an event, in a request's id, or in an `Open` or `Close` frame.
    pub(crate) latest_ms: i64,
}

impl Account {
    /// Before the first event.
    pub(crate) fn nothing() -> Self {
        Self::new(Vec::new(), Usage::default(), i64::MIN)
    }

    pub(crate) fn new(ids: Vec<EventId>, usage: Usage, latest_ms: i64) -> Self {
        Self { ids: Remembered::new(ids), usage, latest_ms }
    }

    /// Checks an `Open` or `Close` frame. Its time is what readers pass over whole segments by: no event in front
    /// of it is later.
    pub(crate) fn state(&mut self, header: &Header, state: &State) -> Result<(), Untrue> {
        let (time, same) = header.times;
        if time != same || time < self.latest_ms {
            return Err(Untrue::Time);
        }
        self.latest_ms = time;
        if header.usage != self.usage {
            return Err(Untrue::Usage);
        }
        if header.completions || header.count != 0 {
            return Err(Untrue::Events);
        }
        if self.ids.order != state.ids { Err(Untrue::Ids) } else { Ok(()) }
    }

    /// Takes a batch in and checks its header.
    pub(crate) fn batch(&mut self, header: &Header, rows: &[(Event, Salt)]) -> Result<(), Untrue> {
        let (mut times, mut completions) = ((i64::MAX, i64::MIN), false);
        for (event, _) in rows {
            times = (times.0.min(event.time.0), times.1.max(event.time.0));
            completions |= event.kind == Kind::Completion;
            self.latest_ms = self.latest_ms.max(Row::from(event).head.latest());
            if event.kind == Kind::Admin {
                self.ids.remember(event.id);
            }
        }
        let charged = charged(self.usage, header.usage, rows);
        self.usage = header.usage;
        if (header.times, header.completions) != (times, completions) {
            return Err(Untrue::Events);
        }
        if charged { Ok(()) } else { Err(Untrue::Usage) }
    }
}

/// Whether the counters grew by what the rows take. Whether somebody waited for a decision does not stand in the
/// ledger; those are charged to the reserve, so of the other two only the most is known, and of all the sum.
fn charged(before: Usage, after: Usage, rows: &[(Event, Salt)]) -> bool {
    let (mut normal, mut denial, mut all) = (0u64, 0u64, 0u64);
    for (event, _) in rows {
        let row = Row::from(event);
        let bytes = columns::row_bytes(&row) as u64;
        all = all.saturating_add(bytes);
        match Class::of(&row.head, false) {
            Class::Normal => normal = normal.saturating_add(bytes),
            Class::Denial => denial = denial.saturating_add(bytes),
            Class::Reserve => {}
        }
    }
    let grown = |of: fn(&Usage) -> u64| of(&after).checked_sub(of(&before));
    let fits = |normal_grown: u64, denial_grown: u64, reserve_grown: u64| {
        let sum = normal_grown.checked_add(denial_grown)?.checked_add(reserve_grown)?;
        Some(normal_grown <= normal && denial_grown <= denial && sum == all)
    };
    let parts = (grown(|it| it.normal), grown(|it| it.denial), grown(|it| it.reserve));
    let (Some(normal_grown), Some(denial_grown), Some(reserve_grown)) = parts else { return false };
    fits(normal_grown, denial_grown, reserve_grown) == Some(true)
}

/// The latest ids, bounded.
#[derive(Debug)]
pub(crate) struct Remembered {
    order: VecDeque<EventId>,
    set: HashSet<EventId>,
}

impl Remembered {
    fn new(ids: Vec<EventId>) -> Self {
        Self { set: ids.iter().copied().collect(), order: ids.into() }
    }

    pub(crate) fn contains(&self, id: &EventId) -> bool {
        self.set.contains(id)
    }

    /// Oldest first.
    pub(crate) fn to_vec(&self) -> Vec<EventId> {
        self.order.iter().copied().collect()
    }

    pub(crate) fn remember(&mut self, id: EventId) {
        if self.set.insert(id) {
            self.order.push_back(id);
        }
        while self.order.len() > REMEMBERED_IDS {
            if let Some(oldest) = self.order.pop_front() {
                self.set.remove(&oldest);
            }
        }
    }
}
