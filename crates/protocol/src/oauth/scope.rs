//! Scopes (RFC 6749 §3.3).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Scopes of one set. A credential with more is refused; known issuers stay below 100.
pub const SCOPES: usize = 512;

/// A text is not a list of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// A scope is empty or has a character that is not allowed.
    #[error("a scope has a character that is not allowed")]
    Character,
    /// More than [`SCOPES`].
    #[error("there are too many scopes")]
    TooMany,
}

/// Whether `text` is one scope: printable ASCII without space, `"` and `\`.
pub fn is_scope_token(text: &str) -> bool {
    // RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
    !text.is_empty() && text.bytes().all(|c| matches!(c, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// A set of scopes: sorted, each once. Cloning costs a counter.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ScopeSet(Arc<[Box<str>]>);

impl ScopeSet {
    /// Reads scopes separated by single spaces. The empty text is the empty set.
    ///
    /// # Errors
    /// When a scope is empty or has a character that is not allowed, or there are too many.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        Self::of(text.split(' '))
    }

    /// The set of `scopes`.
    ///
    /// # Errors
    /// As [`ScopeSet::parse`].
    pub fn of<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Self, ScopeError> {
        let mut out: Vec<Box<str>> = Vec::new();
        for scope in scopes {
            if !is_scope_token(scope) {
                return Err(ScopeError::Character);
            }
            if out.len() == SCOPES {
                return Err(ScopeError::TooMany);
            }
            out.push(scope.into());
        }
        out.sort_unstable();
        out.dedup();
        Ok(Self(out.into()))
    }

    /// Whether `scope` is in it; compared byte by byte.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.binary_search_by(|own| (**own).cmp(scope)).is_ok()
    }

    /// Whether all of `wanted` are in it.
    pub fn contains_all(&self, wanted: &Self) -> bool {
        wanted.iter().all(|scope| self.contains(scope))
    }

    /// The first of `wanted` that is not in it.
    pub fn missing<'a>(&self, wanted: &'a Self) -> Option<&'a str> {
        wanted.iter().find(|scope| !self.contains(scope))
    }

    /// The scopes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|scope| &**scope)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for ScopeSet {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, scope) in self.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

/// As one string (RFC 6749 §3.3).
impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn rfc6749_s3_3_scope_grammar() {
        let set = ScopeSet::parse("orders:read admin:* orders:read").unwrap();
        assert_eq!(set.to_string(), "admin:* orders:read");
        assert!(set.contains("admin:*") && !set.contains("admin") && !set.contains("ORDERS:READ"));
        assert!(ScopeSet::parse("").unwrap().is_empty());
        for bad in [" ", "a  b", " a", "a ", "a\tb", "a\"b", "a\\b", "ä", "a\nb", "a\0"] {
            assert_eq!(ScopeSet::parse(bad), Err(ScopeError::Character), "{bad:?}");
        }
        let many: Vec<String> = (0..=SCOPES).map(|n| n.to_string()).collect();
        assert_eq!(ScopeSet::parse(&many.join(" ")), Err(ScopeError::TooMany));
    }

    proptest! {
        #[test]
        fn a_set_behaves_as_a_set(a in "[a-d]( [a-d]){0,4}", b in "[a-d]( [a-d]){0,4}") {
            let (left, right) = (ScopeSet::parse(&a).unwrap(), ScopeSet::parse(&b).unwrap());
            let naive = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
            prop_assert_eq!(left.contains_all(&right), naive(&a).is_superset(&naive(&b)));
            prop_assert_eq!(left.missing(&right).is_none(), left.contains_all(&right));
            prop_assert_eq!(left.len(), naive(&a).len());
        }
    }
}
