//! Typed ids.

use crate::clock::UnixMs;
use crate::text::{crockford, random_array};
use std::cell::Cell;
use std::fmt;

/// Why an id could not be read or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is not an id of this kind.
    #[error("not a well-formed id")]
    Malformed,
    /// The operating system gave no random bytes.
    #[error("the system has no randomness to give")]
    NoRandomness,
}

/// Which process of an installation: drawn at random once, kept in the data folder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

/// One request: 48 bits of time in milliseconds, 32 bits of node, 48 bits of sequence; written in 26
/// characters of Crockford's base32, so that ids sort by time and any node can tell whose record it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u128);

impl RequestId {
    /// Composes an id; `sequence` keeps its low 48 bits.
    pub fn compose(time: UnixMs, node: NodeId, sequence: u64) -> Self {
        let time = u128::from(u64::try_from(time.0).unwrap_or(0) & 0xffff_ffff_ffff);
        let sequence = u128::from(sequence & 0xffff_ffff_ffff);
        Self((time << 80) | (u128::from(node.0) << 48) | sequence)
    }

    /// From its 16 bytes, most significant first.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// Its 16 bytes, most significant first.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The 26 characters.
    pub fn text(self) -> [u8; 26] {
        crockford::encode(self.0)
    }

    /// When the request came in, by the clock of its node.
    pub fn time(self) -> UnixMs {
        UnixMs(i64::try_from(self.0 >> 80).unwrap_or(0))
    }

    /// Which node took it.
    pub fn node(self) -> NodeId {
        NodeId(u32::try_from((self.0 >> 48) & 0xffff_ffff).unwrap_or(0))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().iter().try_for_each(|c| fmt::Write::write_char(f, char::from(*c)))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for RequestId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        crockford::decode(text).map(Self)
    }
}

/// Makes the request ids of one shard. Ids of different shards differ in the top 8 bits of the sequence,
/// ids of different runs by its random start.
#[derive(Debug)]
pub struct RequestIds {
    node: NodeId,
    next: Cell<u64>,
    shard: u64,
}

impl RequestIds {
    /// A source for shard number `shard`.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn new(node: NodeId, shard: u8) -> Result<Self, IdError> {
        let start = u64::from_be_bytes(random_array::<8>()?) >> 25;
        Ok(Self { node, next: Cell::new(start), shard: u64::from(shard) << 40 })
    }

    /// The next id.
    pub fn next(&self, now: UnixMs) -> RequestId {
        let sequence = self.next.get().wrapping_add(1) & 0xff_ffff_ffff;
        self.next.set(sequence);
        RequestId::compose(now, self.node, self.shard | sequence)
    }
}

/// One audit event, unique across nodes: of a request's decision its request id, of others drawn at random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventId(pub [u8; 16]);

impl EventId {
    /// A random id.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn random() -> Result<Self, IdError> {
        random_array().map(Self)
    }
}

impl From<RequestId> for EventId {
    fn from(id: RequestId) -> Self {
        Self(id.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_id_keeps_its_parts() {
        let id = RequestId::compose(UnixMs(1_764_000_000_123), NodeId(0xdead_beef), 42);
        assert_eq!(id.time(), UnixMs(1_764_000_000_123));
        assert_eq!(id.node(), NodeId(0xdead_beef));
        assert_eq!(id.to_string().parse::<RequestId>().unwrap(), id);
    }

    #[test]
    fn shards_never_share_an_id() {
        let (a, b) =
            (RequestIds::new(NodeId(1), 0).unwrap(), RequestIds::new(NodeId(1), 1).unwrap());
        assert_ne!(a.next(UnixMs(5)), b.next(UnixMs(5)));
        assert_ne!(a.next(UnixMs(5)), a.next(UnixMs(5)));
    }
}
