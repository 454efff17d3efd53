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
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
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
    Rsa(Box<RsaKeyPair>, RsaScheme, SystemRandom),
}

#[derive(Clone, Copy)]
enum RsaScheme {
    Rs256,
    Ps256,
}

impl RsaScheme {
    fn of(algorithm: Algorithm) -> Result<Self, SignError> {
        match algorithm {
            Algorithm::Rs256 => Ok(Self::Rs256),
            Algorithm::Ps256 => Ok(Self::Ps256),
            _ => Err(SignError::Unsupported),
        }
    }

    fn algorithm(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::Rs256,
            Self::Ps256 => Algorithm::Ps256,
        }
    }

    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Rs256 => &RSA_PKCS1_SHA256,
            Self::Ps256 => &RSA_PSS_SHA256,
        }
    }
}

impl SigningKey {
    /// Draws a new key. Its `kid` is its thumbprint (RFC 7638).
    ///
    /// # Errors
    /// `Unsupported` for algorithms other than ES256, EdDSA, RS256 and PS256, `Failed`.
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
            other => Pair::Rsa(
                RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| SignError::Failed)?.into(),
                RsaScheme::of(other)?,
                SystemRandom::new(),
            ),
        };
        Self::of(pair)
    }

    /// Reads a key from PKCS#8 (RFC 5208).
    ///
    /// # Errors
    /// `Unsupported` for algorithms other than ES256, EdDSA, RS256 and PS256, `KeyRejected`.
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
            other => Pair::Rsa(
                RsaKeyPair::from_pkcs8(der).map_err(|_| SignError::KeyRejected)?.into(),
                RsaScheme::of(other)?,
                SystemRandom::new(),
            ),
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
            Pair::Rsa(pair, ..) => {
                let der = pair.as_der().map_err(|_| SignError::Failed)?;
                return Ok(Secret::new(der.as_ref().to_vec()));
            }
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
            Pair::Rsa(_, scheme, _) => scheme.algorithm(),
        }
    }

    /// The signature of `message`.
    ///
    /// # Errors
    /// `Failed`.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = match &self.pair {
            Pair::Es256(pair, random) => pair.sign(random, message),
            Pair::Ed25519(pair) => pair.try_sign(message),
            Pair::Rsa(pair, scheme, random) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(scheme.encoding(), random, message, &mut out)
                    .map_err(|_| SignError::Failed)?;
                return Ok(out);
            }
        };
        signature.map(|it| it.as_ref().to_vec()).map_err(|_| SignError::Failed)
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
            Pair::Rsa(pair, scheme, _) => {
                let (n, e) =
                    rsa_numbers(pair.public_key().as_ref()).ok_or(SignError::KeyRejected)?;
                let material = VerifyingKey::rsa(n, e, Some(scheme.algorithm()))
                    .map_err(|_| SignError::KeyRejected)?;
                (material, scheme.algorithm())
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

/// RFC 8017 §A.1.1: `RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }`.
fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, &[]) = der_value(der, 0x30)? else { return None };
    let (n, rest) = der_value(sequence, 0x02)?;
    let (e, &[]) = der_value(rest, 0x02)? else { return None };
    // A leading zero only keeps a DER integer positive.
    let bare = |number: &'_ [u8]| number.first() == Some(&0);
    Some((n.get(usize::from(bare(n))..)?, e.get(usize::from(bare(e))..)?))
}

/// The contents of the first DER value, which must have `tag`, and what follows it.
fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let ([found, first], rest) = der.split_first_chunk::<2>()?;
    let (found, first) = (*found, *first);
    if found != tag {
        return None;
    }
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 | 0x82 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |len, byte| len * 256 + usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
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
        // Header, dot, payload, dot, and the 86 characters of a signature of 64 bytes (RSA grows it once).
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::AlgorithmSet;
    use crate::jwk::KeySet;
    use crate::jws::Compact;

    #[test]
    fn what_is_signed_verifies_with_the_published_key() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Ps256] {
            let key = Arc::new(SigningKey::generate(algorithm).unwrap());
            let document = KeySet::new(vec![key.public().clone()]).to_json();
            let document = serde_json::to_vec(&document).unwrap();
            let keys = KeySet::parse(&document).unwrap();
            assert!(keys.skipped().is_empty());

            let kept = SigningKey::from_pkcs8(algorithm, &key.to_pkcs8().unwrap()).unwrap();
            assert_eq!(kept.id(), key.id());
            for key in [key, Arc::new(kept)] {
                let token = Signer::new(key, "JWT").sign(&serde_json::json!({"a": 1})).unwrap();
                let jws = Compact::parse(token.as_bytes(), 4096).unwrap();
                assert_eq!(jws.header().typ.as_deref(), Some("JWT"));
                jws.verify(&keys, AlgorithmSet::of(&[algorithm])).unwrap();
            }
        }
    }

    #[test]
    fn keys_of_another_kind_are_refused() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap().to_pkcs8().unwrap();
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            let read = SigningKey::from_pkcs8(algorithm, &key);
            assert_eq!(read.err(), Some(SignError::KeyRejected));
        }
        assert_eq!(SigningKey::generate(Algorithm::Es384).err(), Some(SignError::Unsupported));
        assert!(
            SigningKey::from_pkcs8(Algorithm::Es256, &Secret::new(b"nonsense".to_vec())).is_err()
        );
    }

    #[test]
    fn debug_shows_no_private_key() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey(ES256, {})", key.id()));
    }
}
