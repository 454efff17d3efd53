//! What one sync makes durable: events as columns, their leaves' hashes, and what they are charged to.

use crate::error::LedgerError;
use crate::frame::{FrameKind, HEADER, Header, Usage};
use crate::hash::Hash;
use crate::leaf::{self, LeafEncoder, SALT_BYTES, Salt};
use crate::message::Columns;
use crate::row::{Head, Row};
use crate::tree::Tree;
use aws_lc_rs::rand;
use base::{Event, EventId, Kind};

/// Salts that are drawn at once: one call of the generator for 256 events.
const SALTS: usize = 256;

/// Which part of the disk's quota an event is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Normal,
    Denial,
    Reserve,
}

impl Class {
    /// The class of an event. `strict`: somebody waits for it.
    pub(crate) fn of(event: &Head, strict: bool) -> Self {
        match event.kind {
            _ if strict => Self::Reserve,
            Kind::Completion | Kind::Admin | Kind::System | Kind::Gap => Self::Reserve,
            Kind::Decision if event.outcome == base::Outcome::Deny => Self::Denial,
            Kind::Decision => Self::Normal,
        }
    }
}

/// The events of one commit.
#[derive(Debug)]
pub(crate) struct Batch {
    columns: Columns,
    encoder: LeafEncoder,
    leaves: Vec<Hash>,
    admin_ids: Vec<EventId>,
    salts: Salts,
    usage: Usage,
    times: (i64, i64),
    latest_ms: i64,
    completions: bool,
}

impl Batch {
    pub(crate) fn new() -> Result<Self, LedgerError> {
        Ok(Self {
            columns: Columns::new().map_err(encoding)?,
            encoder: LeafEncoder::default(),
            leaves: Vec::new(),
            admin_ids: Vec::new(),
            salts: Salts { drawn: [0; SALTS * SALT_BYTES], used: SALTS },
            usage: Usage::default(),
            times: (i64::MAX, i64::MIN),
            latest_ms: i64::MIN,
            completions: false,
        })
    }

    /// Adds an event that comes from no ring.
    pub(crate) fn push_event(&mut self, mut event: Event, class: Class) -> Result<(), LedgerError> {
        leaf::bound(&mut event);
        self.push(&Row::from(&event), class)
    }

    /// Adds an event. INVARIANT: none of its texts is longer than [`leaf::TEXT_BYTES`].
    pub(crate) fn push(&mut self, row: &Row<'_>, class: Class) -> Result<(), LedgerError> {
        let salt = self.salts.next()?;
        self.leaves.push(self.encoder.hash(row, &salt));
        let bytes = self.columns.push(row, &salt) as u64;
        let event = &row.head;
        match class {
            Class::Normal => self.usage.normal += bytes,
            Class::Denial => self.usage.denial += bytes,
            Class::Reserve => self.usage.reserve += bytes,
        }
        self.times = (self.times.0.min(event.time.0), self.times.1.max(event.time.0));
        self.latest_ms = self.latest_ms.max(event.latest());
        self.completions |= event.kind == Kind::Completion;
        if event.kind == Kind::Admin {
            self.admin_ids.push(event.id);
        }
        Ok(())
    }

    /// How many events.
    pub(crate) fn len(&self) -> usize {
        self.leaves.len()
    }

    /// About how many bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.columns.bytes()
    }

    /// The latest time that one of the events bears.
    pub(crate) fn latest_ms(&self) -> i64 {
        self.latest_ms
    }

    pub(crate) fn leaves(&self) -> &[Hash] {
        &self.leaves
    }

    pub(crate) fn admin_ids(&self) -> &[EventId] {
        &self.admin_ids
    }

    /// What is charged once this batch is written.
    pub(crate) fn usage_after(&self, before: Usage) -> Usage {
        Usage {
            normal: before.normal.saturating_add(self.usage.normal),
            denial: before.denial.saturating_add(self.usage.denial),
            reserve: before.reserve.saturating_add(self.usage.reserve),
        }
    }

    pub(crate) fn header(&self, tree: &Tree, usage: Usage) -> Header {
        let usage = self.usage_after(usage);
        let header = Header::new(FrameKind::Batch, tree, usage, self.times);
        let count = u32::try_from(self.leaves.len()).unwrap_or(u32::MAX);
        Header { count, completions: self.completions, ..header }
    }

    /// The whole frame. The columns are empty afterwards.
    pub(crate) fn frame(&mut self, header: Header) -> Result<&[u8], LedgerError> {
        let frame = self.columns.finish(HEADER).map_err(encoding)?;
        header.seal(frame).map_err(encoding)?;
        Ok(frame)
    }

    /// Forgets the events; buffers are kept.
    pub(crate) fn clear(&mut self) {
        if self.columns.bytes() > 0 {
            // The commit failed before its frame was built.
            drop(self.columns.finish(0));
        }
        self.leaves.clear();
        self.admin_ids.clear();
        self.usage = Usage::default();
        self.times = (i64::MAX, i64::MIN);
        self.latest_ms = i64::MIN;
        self.completions = false;
    }
}

/// Random salts, drawn ahead.
struct Salts {
    drawn: [u8; SALTS * SALT_BYTES],
    used: usize,
}

impl std::fmt::Debug for Salts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salts")
    }
}

impl Salts {
    fn next(&mut self) -> Result<Salt, LedgerError> {
        if self.used >= SALTS {
            // WHY not the system's: drawing 4 KiB there takes several times as long. This generator is seeded by it,
            // and signatures take their nonces from it too.
            let failed = |_| LedgerError::Encoding("no randomness for salts".to_owned());
            rand::fill(&mut self.drawn).map_err(failed)?;
            self.used = 0;
        }
        let at = self.used;
        self.used += 1;
        let chunks = self.drawn.as_chunks::<SALT_BYTES>().0;
        chunks.get(at).copied().ok_or_else(|| LedgerError::Encoding("no salt".to_owned()))
    }
}

pub(crate) fn encoding(error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Encoding(error.to_string())
}
