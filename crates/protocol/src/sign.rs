//! Signing our own tokens.
//!
//! Owns: signing keys and the making of compact JWTs.
//!
//! Never does: print or export a private key except as a [`Secret`].
//!
//! Invariant: what it signs, [`crate::jws::verify`] verifies with [`SigningKey::public`].

use crate::algorithm::Algorithm;
use crate::b64;
use crate::jwk::{Key, VerifyingKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base::Secret;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// Why there is no key or no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Not a PKCS#8 document of this kind of key.
    #[error("the signing key cannot be read")]
    KeyRejected,
    /// The library or the system's randomness failed.
    #[error("the signature could not be made")]
    Failed,
    /// The claims cannot be written as JSON.
    #[error("the claims cannot be written as JSON")]
    Claims,
    /// No key can be made for this algorithm.
    #[error("no signing key is made for this algorithm")]
    Unsupported,
}

/// A private signing key with its public half.
pub struct SigningKey {
    pair: Pair,
    public: Key,
}

enum Pair {
    Es256(EcdsaKeyPair, SystemRandom),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Draws a new key. Its `kid` is its thumbprint (RFC 7638).
    ///
    /// # Errors
    /// `Unsupported` for algorithms other than ES256 and EdDSA, `Failed`.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SignError> {
        let pair = match algorithm {
            Algorithm::Es256 => Pair::Es256(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                    .map_err(|_| SignError::Failed)?,
                SystemRandom::new(),
            ),
            Algorithm::EdDsa => {
                Pair::Ed25519(Ed25519KeyPair::generate().map_err(|_| SignError::Failed)?)
            }
            _ => return Err(SignError::Unsupported),
        };
        Self::of(pair)
    }

    /// Reads a key from PKCS#8 (RFC 5208).
    ///
    /// # Errors
    /// `Unsupported` for algorithms other than ES256 and EdDSA, `KeyRejected`.
    pub fn from_pkcs8(algorithm: Algorithm, der: &Secret<Vec<u8>>) -> Result<Self, SignError> {
        let der = der.expose();
        let pair = match algorithm {
            Algorithm::Es256 => Pair::Es256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                    .map_err(|_| SignError::KeyRejected)?,
                SystemRandom::new(),
            ),
            Algorithm::EdDsa => {
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(|_| SignError::KeyRejected)?)
            }
            _ => return Err(SignError::Unsupported),
        };
        Self::of(pair)
    }

    /// The key as PKCS#8, to be sealed.
    ///
    /// # Errors
    /// `Failed`.
    pub fn to_pkcs8(&self) -> Result<Secret<Vec<u8>>, SignError> {
        let document = match &self.pair {
            Pair::Es256(pair, _) => pair.to_pkcs8v1(),
            Pair::Ed25519(pair) => pair.to_pkcs8(),
        };
        document.map(|it| Secret::new(it.as_ref().to_vec())).map_err(|_| SignError::Failed)
    }

    /// The public half, with `kid` and `alg`.
    pub fn public(&self) -> &Key {
        &self.public
    }

    /// The key's id.
    pub fn id(&self) -> &str {
        self.public.id().unwrap_or_default()
    }

    /// The algorithm that it signs with.
    pub fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Es256(..) => Algorithm::Es256,
            Pair::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// The signature of `message`: 64 bytes for both algorithms.
    ///
    /// # Errors
    /// `Failed`.
    pub fn sign(&self, message: &[u8]) -> Result<impl AsRef<[u8]> + use<>, SignError> {
        let signature = match &self.pair {
            Pair::Es256(pair, random) => pair.sign(random, message),
            Pair::Ed25519(pair) => pair.try_sign(message),
        };
        signature.map_err(|_| SignError::Failed)
    }

    fn of(pair: Pair) -> Result<Self, SignError> {
        let (material, algorithm) = match &pair {
            Pair::Es256(pair, _) => (p256(pair.public_key().as_ref())?, Algorithm::Es256),
            Pair::Ed25519(pair) => {
                let x =
                    pair.public_key().as_ref().try_into().map_err(|_| SignError::KeyRejected)?;
                let material = VerifyingKey::ed25519(x).map_err(|_| SignError::KeyRejected)?;
                (material, Algorithm::EdDsa)
            }
        };
        Ok(Self { pair, public: Key::of(material, algorithm) })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {})", self.algorithm(), self.id())
    }
}

/// SEC 1 §2.3.3: `04`, then the coordinates.
fn p256(point: &[u8]) -> Result<VerifyingKey, SignError> {
    let coordinates = point.strip_prefix(&[4]).and_then(|rest| rest.split_at_checked(32));
    let (x, y) = coordinates.ok_or(SignError::KeyRejected)?;
    let x = x.try_into().map_err(|_| SignError::KeyRejected)?;
    let y = y.try_into().map_err(|_| SignError::KeyRejected)?;
    VerifyingKey::p256(x, y).map_err(|_| SignError::KeyRejected)
}

/// Makes tokens of one type with one key; the header is encoded once.
#[derive(Debug, Clone)]
pub struct Signer {
    key: Arc<SigningKey>,
    header: Box<str>,
}

impl Signer {
    /// A signer of tokens whose `typ` is `typ`.
    pub fn new(key: Arc<SigningKey>, typ: &str) -> Self {
        let header = serde_json::json!({
            "alg": key.algorithm().as_str(), "kid": key.id(), "typ": typ,
        });
        let header = b64::encode(header.to_string()).into();
        Self { key, header }
    }

    /// The key.
    pub fn key(&self) -> &Arc<SigningKey> {
        &self.key
    }

    /// A compact JWT with these claims.
    ///
    /// # Errors
    /// `Claims`, `Failed`.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SignError> {
        self.sign_bytes(&serde_json::to_vec(claims).map_err(|_| SignError::Claims)?)
    }

    /// A compact JWS whose payload is `payload`.
    ///
    /// # Errors
    /// `Failed`.
    pub fn sign_bytes(&self, payload: &[u8]) -> Result<String, SignError> {
        // Header, dot, payload, dot, and the 86 characters of a signature of 64 bytes.
        let mut token = String::with_capacity(self.header.len() + payload.len() * 4 / 3 + 96);
        token.push_str(&self.header);
        token.push('.');
        b64::encode_into(payload, &mut token);
        let signature = self.key.sign(token.as_bytes())?;
        token.push('.');
        b64::encode_into(signature, &mut token);
        Ok(token)
    }
}
