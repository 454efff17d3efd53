//! CBOR as authenticators write it (CTAP 2.2 §8, the canonical form): definite lengths, no tags, no floats.
//!
//! Invariant: nothing is reserved for a length that the input does not have.

use super::Refused;

/// Levels of nesting that are read. Attestation statements use three.
const DEPTH: usize = 8;

/// One data item.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item<'a> {
    /// An integer; COSE uses small ones only.
    Int(i64),
    /// A byte string.
    Bytes(&'a [u8]),
    /// A text string.
    Text(&'a str),
    /// An array.
    Array(Vec<Item<'a>>),
    /// A map, in its order. Its keys differ.
    Map(Vec<(Item<'a>, Item<'a>)>),
    /// `true`, `false`.
    Bool(bool),
    /// `null`.
    Null,
}

impl<'a> Item<'a> {
    /// The value under a text key.
    pub(super) fn named(&self, name: &str) -> Option<&Item<'a>> {
        self.value(|key| matches!(key, Item::Text(text) if *text == name))
    }

    /// The value under an integer key, as COSE has them.
    pub(super) fn labelled(&self, label: i64) -> Option<&Item<'a>> {
        self.value(|key| *key == Item::Int(label))
    }

    fn value(&self, is: impl Fn(&Item<'a>) -> bool) -> Option<&Item<'a>> {
        let Self::Map(pairs) = self else { return None };
        pairs.iter().find(|(key, _)| is(key)).map(|(_, value)| value)
    }

    pub(super) fn bytes(&self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub(super) fn int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }
}

/// Reads one item, and gives what follows it.
///
/// # Errors
/// When it is not one.
pub(super) fn read(bytes: &[u8]) -> Result<(Item<'_>, &[u8]), Refused> {
    item(bytes, DEPTH).ok_or(Refused::Malformed("CBOR"))
}

/// Reads one item after which nothing follows.
///
/// # Errors
/// When it is not one, or something follows.
pub(super) fn only(bytes: &[u8]) -> Result<Item<'_>, Refused> {
    match read(bytes)? {
        (item, []) => Ok(item),
        _ => Err(Refused::Malformed("CBOR")),
    }
}

fn item(bytes: &[u8], depth: usize) -> Option<(Item<'_>, &[u8])> {
    let depth = depth.checked_sub(1)?;
    let (first, rest) = bytes.split_first()?;
    let (major, info) = (first >> 5, first & 31);
    if major == 7 {
        // RFC 8949 §3.3: 20 false, 21 true, 22 null.
        let simple = match info {
            20 => Item::Bool(false),
            21 => Item::Bool(true),
            22 => Item::Null,
            _ => return None,
        };
        return Some((simple, rest));
    }
    let (argument, rest) = argument(info, rest)?;
    let length = usize::try_from(argument).ok()?;
    match major {
        0 => Some((Item::Int(i64::try_from(argument).ok()?), rest)),
        1 => Some((Item::Int(-1 - i64::try_from(argument).ok()?), rest)),
        2 => rest.split_at_checked(length).map(|(it, rest)| (Item::Bytes(it), rest)),
        3 => {
            let (text, rest) = rest.split_at_checked(length)?;
            Some((Item::Text(std::str::from_utf8(text).ok()?), rest))
        }
        4 => array(length, rest, depth),
        5 => map(length, rest, depth),
        _ => None,
    }
}

/// RFC 8949 §3: the argument of an item's head. §4.2.1: it is as short as it can be.
fn argument(info: u8, rest: &[u8]) -> Option<(u64, &[u8])> {
    let (width, least) = match info {
        0..=23 => return Some((u64::from(info), rest)),
        24 => (1, 24),
        25 => (2, 0x100),
        26 => (4, 0x1_0000),
        27 => (8, 0x1_0000_0000),
        _ => return None,
    };
    let (number, rest) = rest.split_at_checked(width)?;
    let value = number.iter().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
    (value >= least).then_some((value, rest))
}

fn array(length: usize, mut rest: &[u8], depth: usize) -> Option<(Item<'_>, &[u8])> {
    let mut items = Vec::new();
    for _ in 0..length {
        let (next, after) = item(rest, depth)?;
        items.push(next);
        rest = after;
    }
    Some((Item::Array(items), rest))
}

/// Members of a map: attestation statements and COSE keys have fewer than ten. WHY a bound: each new key is compared
/// with all before it.
const MEMBERS: usize = 64;

fn map(length: usize, mut rest: &[u8], depth: usize) -> Option<(Item<'_>, &[u8])> {
    if length > MEMBERS {
        return None;
    }
    let mut pairs: Vec<(Item<'_>, Item<'_>)> = Vec::new();
    for _ in 0..length {
        let (key, after) = item(rest, depth)?;
        let (value, after) = item(after, depth)?;
        // RFC 8949 §5.6: a map with one key twice is not valid.
        if pairs.iter().any(|(other, _)| *other == key) {
            return None;
        }
        pairs.push((key, value));
        rest = after;
    }
    Some((Item::Map(pairs), rest))
}
