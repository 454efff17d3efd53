//! A set of keys.

use super::material::sha256;
use super::{Key, SkipReason};
use crate::algorithm::Algorithm;
use crate::json::{self, Object};
use crate::jwk::JwkError;
use base::limits::{DOCUMENT_BYTES, KEY_SET_KEYS};
use serde_json::Value;

/// Keys with one `kid` that are tried. A set in rotation has two; more would only cost time.
pub const SAME_KID_KEYS: usize = 4;

/// A key that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its `kid`, where it has one.
    pub id: Option<Box<str>>,
    /// Why.
    pub reason: SkipReason,
}

/// The usable keys of an issuer.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Box<[Key]>,
    skipped: Box<[Skipped]>,
    fingerprint: [u8; 32],
}

impl KeySet {
    /// Reads a JWK Set (RFC 7517 §5). Keys that cannot be used are skipped; see [`KeySet::skipped`].
    ///
    /// # Errors
    /// When the document itself is malformed or longer than `DOCUMENT_BYTES`.
    pub fn parse(document: &[u8]) -> Result<Self, JwkError> {
        let document = json::object(document, DOCUMENT_BYTES)?;
        let Some(Value::Array(entries)) = document.get("keys") else {
            return Err(JwkError::NoKeys);
        };
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for (place, entry) in entries.iter().enumerate() {
            // One entry says that the rest was not read.
            if place == KEY_SET_KEYS {
                skipped.push(Skipped { id: None, reason: SkipReason::TooMany });
                break;
            }
            let read = match entry {
                Value::Object(jwk) => Key::read(jwk),
                _ => Err(SkipReason::Shape),
            };
            match read {
                Ok(key) => keys.push(key),
                Err(reason) => {
                    let id = entry.get("kid").and_then(Value::as_str).map(Into::into);
                    skipped.push(Skipped { id, reason });
                }
            }
        }
        Ok(Self { skipped: skipped.into(), ..Self::new(keys) })
    }

    /// The set of `keys`.
    pub fn new(keys: Vec<Key>) -> Self {
        let fingerprint = fingerprint(&keys);
        Self { keys: keys.into(), skipped: Box::default(), fingerprint }
    }

    /// The usable keys, in their order.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The keys that were left out.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Whether no key is usable.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that may have made a signature of `algorithm`: those with this `kid`, at most
    /// [`SAME_KID_KEYS`]; without a `kid`, the one key that fits, when there is exactly one.
    pub fn find<'a>(
        &'a self,
        kid: Option<&'a str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'a Key> {
        let fitting = move || self.keys.iter().filter(move |key| key.fits(algorithm));
        let possible = kid.is_some() || fitting().nth(1).is_none();
        fitting()
            .filter(move |key| possible && kid.is_none_or(|kid| key.id() == Some(kid)))
            .take(SAME_KID_KEYS)
    }

    /// A hash over all keys with their ids and algorithms, whatever their order: it changes when, and only
    /// when, what the set can verify changes.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The set as a document for publication.
    pub fn to_json(&self) -> Object {
        let keys = self.keys.iter().map(|key| Value::Object(key.to_json())).collect();
        Object::from_iter([("keys".to_owned(), Value::Array(keys))])
    }
}

fn fingerprint(keys: &[Key]) -> [u8; 32] {
    let mut entries: Vec<[u8; 32]> = keys
        .iter()
        .map(|key| {
            // Of fixed length first, so that no two entries have the same bytes.
            let mut entry = key.thumbprint.to_vec();
            entry.push(key.algorithm.map_or(u8::MAX, |algorithm| algorithm as u8));
            entry.push(u8::from(key.id.is_some()));
            entry.extend_from_slice(key.id.as_deref().unwrap_or_default().as_bytes());
            sha256(&entry)
        })
        .collect();
    entries.sort_unstable();
    sha256(&entries.concat())
}
