//! Sets of methods.

use std::fmt;

/// The methods that have a bit of their own: RFC 9110 §9.3 and RFC 5789.
const KNOWN: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
/// Characters of a method. The longest registered one, `BASELINE-CONTROL`, has 16.
const METHOD_CHARS: usize = 32;

/// Why a method cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// Not a token of upper-case letters, digits, `-` and `_`.
    #[error("`{0}` is not a method; methods are written in upper case, like GET")]
    Malformed(String),
    /// A list without a method would match nothing.
    #[error("the list of methods is empty; leave it out to take any method")]
    Empty,
}

/// A set of methods. They are case-sensitive (RFC 9110 §9.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MethodSet {
    known: u16,
    /// Sorted.
    other: Vec<Box<str>>,
}

fn bit(method: &str) -> Option<u16> {
    // WHY: a match compiles to a comparison of length and words, which a search through the table does not.
    Some(match method {
        "GET" => 1,
        "HEAD" => 1 << 1,
        "POST" => 1 << 2,
        "PUT" => 1 << 3,
        "PATCH" => 1 << 4,
        "DELETE" => 1 << 5,
        "OPTIONS" => 1 << 6,
        "CONNECT" => 1 << 7,
        "TRACE" => 1 << 8,
        _ => return None,
    })
}

impl MethodSet {
    /// A set of the methods named.
    ///
    /// # Errors
    /// When one is not a method in upper case, or there is none.
    pub fn new<'a>(methods: impl IntoIterator<Item = &'a str>) -> Result<Self, MethodError> {
        let mut set = Self::default();
        for method in methods {
            let token =
                |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_');
            if method.is_empty() || method.len() > METHOD_CHARS || !method.bytes().all(token) {
                return Err(MethodError::Malformed(method.chars().take(METHOD_CHARS).collect()));
            }
            set.insert(method);
        }
        if set.is_empty() { Err(MethodError::Empty) } else { Ok(set) }
    }

    fn insert(&mut self, method: &str) {
        match bit(method) {
            Some(bit) => self.known |= bit,
            None => {
                if let Err(at) = self.other.binary_search_by(|have| (**have).cmp(method)) {
                    self.other.insert(at, method.into());
                }
            }
        }
    }

    /// Whether the set has a method.
    pub fn contains(&self, method: &str) -> bool {
        match bit(method) {
            Some(bit) => self.known & bit != 0,
            None => self.other.iter().any(|have| **have == *method),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.known == 0 && self.other.is_empty()
    }

    /// The methods, the usual ones first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let known = KNOWN.into_iter().filter(|method| self.contains(method));
        known.chain(self.other.iter().map(|method| &**method))
    }

    /// Takes in another set.
    pub(super) fn extend(&mut self, other: &Self) {
        other.iter().for_each(|method| self.insert(method));
    }

    /// What both have.
    pub(super) fn common(&self, other: &Self) -> Self {
        let mut common = Self::default();
        self.iter()
            .filter(|method| other.contains(method))
            .for_each(|method| common.insert(method));
        common
    }
}

impl fmt::Display for MethodSet {
    /// As in an `Allow` header: `GET, HEAD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, method) in self.iter().enumerate() {
            write!(f, "{}{method}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
