//! Frames: what a segment file consists of.
//!
//! A frame is a header of [`HEADER`] bytes and a body. The header carries a CRC-32 of itself and one of the
//! body, so that a change of any byte shows, and a frame that was cut off by a crash can be told from one that
//! was changed. What an attacker writes anew with fitting checksums is caught by the tree: the header names
//! the root before the frame, and the roots are signed.
//!
//! Kinds: `Open` begins each segment (the schema message, the state of the tree), `Batch` holds events,
//! `Close` ends a segment whose node stopped in order (the state again).

use crate::error::Malformed;
use crate::hash::Hash;
use crate::tree::Tree;
use base::EventId;

/// Bytes of a frame's header.
pub(crate) const HEADER: usize = 104;
/// Bytes of a body at most. A commit stops taking events at 8 MiB; one administrative append may follow.
pub(crate) const BODY_BYTES: usize = 128 * 1024 * 1024;
/// Ids of administrative events that are remembered, so that one that is appended again after a crash is
/// recognised. The outbox is drained in batches of at most [`APPEND_EVENTS`]; this is four of them.
pub(crate) const REMEMBERED_IDS: usize = 4 * APPEND_EVENTS;
/// Events of one [`append_synced`](crate::Ledger::append_synced) at most.
pub const APPEND_EVENTS: usize = 1024;

const MAGIC: [u8; 4] = *b"PCLF";
const VERSION: u8 = 1;
const FLAG_COMPLETIONS: u16 = 1;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Open = 1,
    Batch = 2,
    Close = 3,
}

/// Bytes on disk by the class that they are charged to, since the ledger began; about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    /// What was let through on normal routes, and errors.
    pub(crate) normal: u64,
    /// Denials.
    pub(crate) denial: u64,
    /// Strict and administrative records, completions, gaps.
    pub(crate) reserve: u64,
}

/// What stands in front of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: FrameKind,
    /// Whether there is a completion among the events.
    pub(crate) completions: bool,
    pub(crate) body_len: u32,
    /// How many events.
    pub(crate) count: u32,
    /// The index of the first.
    pub(crate) first: u64,
    /// The smallest and largest time among the events; of `Open` and `Close`, when that was.
    pub(crate) times: (i64, i64),
    /// After this frame.
    pub(crate) usage: Usage,
    /// Of the tree before this frame.
    pub(crate) root: Hash,
    pub(crate) body_crc: u32,
}

impl Header {
    /// A header for `body`.
    pub(crate) fn new(kind: FrameKind, tree: &Tree, usage: Usage, times: (i64, i64)) -> Self {
        let (first, root) = (tree.size(), tree.root());
        let completions = false;
        Self { kind, completions, body_len: 0, count: 0, first, times, usage, root, body_crc: 0 }
    }

    /// Writes the header for the body that stands behind the first [`HEADER`] bytes of `frame`.
    pub(crate) fn seal(mut self, frame: &mut [u8]) -> Result<(), Malformed> {
        let (head, body) = frame.split_at_mut_checked(HEADER).ok_or(Malformed::Header)?;
        self.body_len = u32::try_from(body.len()).map_err(|_| Malformed::Header)?;
        if body.len() > BODY_BYTES {
            return Err(Malformed::Header);
        }
        self.body_crc = crc32fast::hash(body);
        let mut out = Vec::with_capacity(HEADER);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, self.kind as u8]);
        let flags = if self.completions { FLAG_COMPLETIONS } else { 0 };
        out.extend_from_slice(&flags.to_be_bytes());
        out.extend_from_slice(&self.body_len.to_be_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&self.first.to_be_bytes());
        out.extend_from_slice(&self.times.0.to_be_bytes());
        out.extend_from_slice(&self.times.1.to_be_bytes());
        for bytes in [self.usage.normal, self.usage.denial, self.usage.reserve] {
            out.extend_from_slice(&bytes.to_be_bytes());
        }
        out.extend_from_slice(&self.root);
        out.extend_from_slice(&self.body_crc.to_be_bytes());
        out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
        head.copy_from_slice(&out);
        Ok(())
    }

    /// Reads a header.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes = bytes.get(..HEADER).ok_or(Malformed::Short)?;
        let mut input = Input(bytes);
        let parsed = Self::fields(&mut input).ok_or(Malformed::Header)?;
        let covered = bytes.get(..HEADER - 4).ok_or(Malformed::Header)?;
        let crc = input.u32().ok_or(Malformed::Header)?;
        if crc != crc32fast::hash(covered) || parsed.body_len as usize > BODY_BYTES {
            return Err(Malformed::Header);
        }
        Ok(parsed)
    }

    fn fields(input: &mut Input<'_>) -> Option<Self> {
        if input.take::<4>()? != MAGIC || input.take::<1>()? != [VERSION] {
            return None;
        }
        let kind = match input.take::<1>()? {
            [1] => FrameKind::Open,
            [2] => FrameKind::Batch,
            [3] => FrameKind::Close,
            _ => return None,
        };
        let completions = match u16::from_be_bytes(input.take()?) {
            0 => false,
            FLAG_COMPLETIONS => true,
            _ => return None,
        };
        Some(Self {
            kind,
            completions,
            body_len: input.u32()?,
            count: input.u32()?,
            first: input.u64()?,
            times: (input.i64()?, input.i64()?),
            usage: Usage { normal: input.u64()?, denial: input.u64()?, reserve: input.u64()? },
            root: input.take()?,
            body_crc: input.u32()?,
        })
    }

    /// The length of the whole frame.
    pub(crate) fn frame_len(&self) -> usize {
        HEADER + self.body_len as usize
    }

    /// Checks that `body` is what the header was written for.
    pub(crate) fn check(&self, body: &[u8]) -> Result<(), Malformed> {
        if crc32fast::hash(body) == self.body_crc { Ok(()) } else { Err(Malformed::Checksum) }
    }
}

/// Reads the frame at `offset` of a segment's bytes; nothing at the end.
pub(crate) fn frame_at(
    segment: &[u8],
    offset: usize,
) -> Result<Option<(Header, &[u8])>, Malformed> {
    let rest = segment.get(offset..).unwrap_or_default();
    if rest.is_empty() {
        return Ok(None);
    }
    let header = Header::parse(rest)?;
    let body = rest.get(HEADER..header.frame_len()).ok_or(Malformed::Short)?;
    header.check(body)?;
    Ok(Some((header, body)))
}

/// Whether a whole header stands somewhere behind `offset`: then what is broken at `offset` is no torn tail.
pub(crate) fn header_after(segment: &[u8], offset: usize) -> bool {
    let from = offset.saturating_add(1);
    let rest = segment.get(from..).unwrap_or_default();
    rest.windows(MAGIC.len())
        .enumerate()
        .filter(|(_, window)| **window == MAGIC)
        .any(|(at, _)| rest.get(at..).is_some_and(|it| Header::parse(it).is_ok()))
}

/// What the next writer has to know: kept in `Open` and `Close` frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) tree: Tree,
    /// The latest administrative events, oldest first.
    pub(crate) ids: Vec<EventId>,
}

impl State {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let edge = self.tree.edge();
        out.extend_from_slice(&self.tree.size().to_be_bytes());
        out.push(u8::try_from(edge.len()).unwrap_or(u8::MAX));
        for hashes in edge {
            out.extend_from_slice(&u16::try_from(hashes.len()).unwrap_or(u16::MAX).to_be_bytes());
            out.extend_from_slice(hashes.as_flattened());
        }
        out.extend_from_slice(&u32::try_from(self.ids.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.ids.iter().for_each(|id| out.extend_from_slice(&id.0));
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::read(&mut Input(bytes)).ok_or(Malformed::State)
    }

    fn read(input: &mut Input<'_>) -> Option<Self> {
        let size = input.u64()?;
        let [levels] = input.take::<1>()?;
        let mut edge = Vec::new();
        for _ in 0..levels {
            let count = u16::from_be_bytes(input.take()?);
            edge.push((0..count).map(|_| input.take()).collect::<Option<Vec<Hash>>>()?);
        }
        let count = input.u32()?;
        if count as usize > REMEMBERED_IDS {
            return None;
        }
        let ids = (0..count).map(|_| input.take().map(EventId)).collect::<Option<Vec<_>>>()?;
        let tree = Tree::from_edge(size, edge)?;
        input.0.is_empty().then_some(Self { tree, ids })
    }
}

/// The body of an `Open` frame: the schema message behind its length, then the state.
pub(crate) fn open_body(schema: &[u8], state: &State, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(schema.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(schema);
    state.encode(out);
}

/// Takes the body of an `Open` frame apart.
pub(crate) fn parse_open(body: &[u8]) -> Result<(&[u8], State), Malformed> {
    let mut input = Input(body);
    let len = input.u32().ok_or(Malformed::State)? as usize;
    let (schema, state) = input.0.split_at_checked(len).ok_or(Malformed::State)?;
    Ok((schema, State::decode(state)?))
}

/// Bytes that are taken from the front.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }
}
