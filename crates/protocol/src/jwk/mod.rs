//! Public keys and key sets (RFC 7517, RFC 7518 §6, RFC 8037 §2).
//!
//! Owns: typed verification keys, prepared once and used many times; reading a JWK Set, in which unusable
//! keys are skipped with a reason; the search for the keys that may belong to a token.
//!
//! Never does: hold a symmetric or a private key.
//!
//! Invariant: a [`Key`] is used only with an algorithm that fits both its kind and its `alg` member, so
//! that an algorithm can neither be confused nor downgraded.

mod material;
mod read;
mod roca;
mod set;
mod small_order;
#[cfg(test)]
mod tests;

pub use material::{EcKey, EdKey, P256Key, RsaKey, VerifyingKey};
pub use read::SkipReason;
pub use set::{KeySet, SAME_KID_KEYS, Skipped};

use crate::algorithm::Algorithm;
use crate::json::Object;
use serde_json::Value;

/// A JWK Set could not be read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// The document is not a strict JSON object.
    #[error("the key set is malformed")]
    Json(#[from] crate::json::JsonError),
    /// There is no array `keys` (RFC 7517 §5.1).
    #[error("the key set has no array of keys")]
    NoKeys,
}

/// One usable public key.
#[derive(Debug, Clone)]
pub struct Key {
    id: Option<Box<str>>,
    algorithm: Option<Algorithm>,
    material: VerifyingKey,
    thumbprint: [u8; 32],
}

impl Key {
    /// Reads one JWK.
    ///
    /// # Errors
    /// Why it cannot be used to verify signatures.
    pub fn read(jwk: &Object) -> Result<Self, SkipReason> {
        read::key(jwk)
    }

    /// A key of our own: its `kid` is its thumbprint.
    pub(crate) fn of(material: VerifyingKey, algorithm: Algorithm) -> Self {
        let thumbprint = material.thumbprint();
        let id = Some(crate::b64::encode(thumbprint).into());
        Self { id, algorithm: Some(algorithm), material, thumbprint }
    }

    /// Its `kid`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Its `alg`: the only algorithm it may be used with, where it names one.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// The key itself.
    pub fn material(&self) -> &VerifyingKey {
        &self.material
    }

    /// SHA-256 of its required members (RFC 7638 §3).
    pub fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// Whether it may verify signatures of `algorithm`.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        // RFC 7517 §4.4, RFC 8725 §3.1: a key is used with the algorithm that it names and no other.
        self.algorithm.is_none_or(|own| own == algorithm) && algorithm.fits(&self.material)
    }

    /// The public JWK, for publication.
    pub fn to_json(&self) -> Object {
        let mut jwk = self.material.members();
        jwk.insert("use".to_owned(), Value::from("sig"));
        if let Some(id) = &self.id {
            jwk.insert("kid".to_owned(), Value::from(&**id));
        }
        if let Some(algorithm) = self.algorithm {
            jwk.insert("alg".to_owned(), Value::from(algorithm.as_str()));
        }
        jwk
    }
}

impl Algorithm {
    /// Whether this algorithm can be used with a key of that kind.
    pub fn fits(self, key: &VerifyingKey) -> bool {
        match (self, key) {
            (Self::Es256, VerifyingKey::P256(_))
            | (Self::Es384, VerifyingKey::P384(_))
            | (Self::EdDsa, VerifyingKey::Ed25519(_)) => true,
            (_, VerifyingKey::Rsa(_)) => Self::RSA.contains(&self),
            _ => false,
        }
    }
}
