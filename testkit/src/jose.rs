//! Keys and signed tokens straight from the primitives, so that a test can make what no library would.
//!
//! Never does: check anything. The product's own code is not used, so that a mistake in it shows.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// What a key signs with unless it is told otherwise (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// RSA PKCS #1 v1.5 with SHA-256, 2048 bits.
    Rs256,
    /// The same with SHA-384.
    Rs384,
    /// The same with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256, 2048 bits.
    Ps256,
    /// The same with SHA-384.
    Ps384,
    /// The same with SHA-512.
    Ps512,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Its name in a header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::EdDsa => "EdDSA",
        }
    }

    fn rsa(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Rs384 => &signature::RSA_PKCS1_SHA384,
            Self::Rs512 => &signature::RSA_PKCS1_SHA512,
            Self::Ps256 => &signature::RSA_PSS_SHA256,
            Self::Ps384 => &signature::RSA_PSS_SHA384,
            Self::Ps512 => &signature::RSA_PSS_SHA512,
            _ => &signature::RSA_PKCS1_SHA256,
        }
    }
}

enum Pair {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// A signing key with its id.
pub struct Key {
    kid: String,
    algorithm: Algorithm,
    pair: Pair,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}, {})", self.kid, self.algorithm.name())
    }
}

impl Key {
    /// A new key.
    ///
    /// # Panics
    /// When the system has no randomness.
    pub fn generate(algorithm: Algorithm, kid: &str) -> Self {
        let pair = match algorithm {
            Algorithm::Es256 => {
                Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
            }
            Algorithm::Es384 => {
                Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"))
            }
            Algorithm::EdDsa => Pair::Ed(Ed25519KeyPair::generate().expect("a key")),
            _ => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")),
        };
        Self { kid: kid.to_owned(), algorithm, pair }
    }

    /// Its id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its public half as a JWK (RFC 7517 §4) with `kid`, `use` and `alg`.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Ec(pair) => {
                // SEC 1 §2.3.3: an uncompressed point is 4, x, y.
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": b64(x), "y": b64(y) })
            }
            Pair::Rsa(pair) => {
                let (n, e) = rsa_numbers(pair.public_key().as_ref());
                json!({ "kty": "RSA", "n": b64(&n), "e": b64(&e) })
            }
            Pair::Ed(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref()) })
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm.name());
        jwk
    }

    /// Its public half as PEM (RFC 7468 §13); what an attacker of algorithm confusion signs with.
    ///
    /// # Panics
    /// When the library cannot write it.
    pub fn public_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = match &self.pair {
            Pair::Ec(pair) => pair.public_key().as_der().expect("a public key"),
            Pair::Rsa(pair) => pair.public_key().as_der().expect("a public key"),
            Pair::Ed(pair) => pair.public_key().as_der().expect("a public key"),
        };
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).expect("ASCII"))
            .collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// The signature of `message` with the key's own algorithm.
    ///
    /// # Panics
    /// When the library cannot sign.
    pub fn signature(&self, message: &[u8]) -> Vec<u8> {
        self.signature_with(self.algorithm, message)
    }

    /// The same with another algorithm of the same kind of key; for RSA, whose keys fit several.
    ///
    /// # Panics
    /// When the library cannot sign.
    pub fn signature_with(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair) => pair.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(algorithm.rsa(), &random, message, &mut signature).expect("a signature");
                signature
            }
        }
    }

    /// A token of `claims` with the header `{alg, kid, typ: at+jwt}`.
    ///
    /// # Panics
    /// When the library cannot sign.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with(
            &json!({ "alg": self.algorithm.name(), "kid": self.kid, "typ": "at+jwt" }),
            claims,
        )
    }

    /// A token with whatever header a test wants, honestly signed.
    ///
    /// # Panics
    /// When the library cannot sign.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        self.token_of(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    /// A token of these exact bytes as header and claims; JSON or not.
    ///
    /// # Panics
    /// When the library cannot sign.
    pub fn token_of(&self, header: &[u8], claims: &[u8]) -> String {
        let input = format!("{}.{}", b64(header), b64(claims));
        let signature = self.signature(input.as_bytes());
        format!("{input}.{}", b64(&signature))
    }
}

/// A key set (RFC 7517 §5) of the public halves of `keys`.
pub fn key_set<'a>(keys: impl IntoIterator<Item = &'a Key>) -> Value {
    json!({ "keys": keys.into_iter().map(Key::jwk).collect::<Vec<_>>() })
}

/// A token signed with HMAC-SHA-256 under `secret`; with a public key as the secret this is the attack of
/// algorithm confusion.
pub fn hs256(secret: &[u8], header: &Value, claims: &Value) -> String {
    let input = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
    format!("{input}.{}", b64(tag))
}

/// A token with `alg: none` and no signature (RFC 7515, appendix A.5).
pub fn unsigned(claims: &Value) -> String {
    format!("{}.{}.", b64(json!({ "alg": "none" }).to_string()), b64(claims.to_string()))
}

/// Base64url without padding (RFC 7515 §2).
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What `text` stands for in base64url without padding.
///
/// # Panics
/// When it is none.
pub fn unb64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017 §A.1.1): a sequence of two integers.
fn rsa_numbers(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (sequence, _) = element(der);
    let (n, rest) = element(sequence);
    let (e, _) = element(rest);
    let plain = |number: &[u8]| number[usize::from(number[0] == 0)..].to_vec();
    (plain(n), plain(e))
}

/// The contents of the DER element at the front of `der`, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, start) = match der[1] {
        short @ 0..0x80 => (usize::from(short), 2),
        long => {
            let count = usize::from(long & 0x7f);
            let length =
                der[2..2 + count].iter().fold(0, |all, byte| (all << 8) | usize::from(*byte));
            (length, 2 + count)
        }
    };
    der[start..].split_at(length)
}
