//! The signature algorithms that are taken.
//!
//! Invariant: no symmetric algorithm and no `none` has a value here, so neither can be configured, found in
//! a key or asked of one.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A JWS signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256.
    Es256 = 0,
    /// ECDSA with P-384 and SHA-384.
    Es384 = 1,
    /// RSASSA-PSS with SHA-256.
    Ps256 = 2,
    /// RSASSA-PSS with SHA-384.
    Ps384 = 3,
    /// RSASSA-PSS with SHA-512.
    Ps512 = 4,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256 = 5,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384 = 6,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512 = 7,
    /// Ed25519, spelled `EdDSA` (RFC 8037) or `Ed25519` (RFC 9864).
    EdDsa = 8,
}

/// Why a name is no [`Algorithm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AlgorithmFault {
    /// `none`: the token is not signed (RFC 8725 §3.2).
    #[error("the algorithm is none")]
    None,
    /// `HS256` and its kin: the issuer's key would be ours to forge with (RFC 8725 §2.1).
    #[error("the algorithm is symmetric")]
    Symmetric,
    /// A name that is not known here.
    #[error("the algorithm is not known")]
    Unknown,
    /// Known, but not among those that the issuer is configured with.
    #[error("the algorithm is not allowed for the issuer")]
    NotAllowed,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Es256,
        Self::Es384,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::EdDsa,
    ];

    /// Those of an RSA key.
    pub(crate) const RSA: [Self; 6] =
        [Self::Ps256, Self::Ps384, Self::Ps512, Self::Rs256, Self::Rs384, Self::Rs512];

    /// Its name in `alg`; for Ed25519 the widespread `EdDSA`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl FromStr for Algorithm {
    type Err = AlgorithmFault;

    /// Reads a name; names are case-sensitive (RFC 7515 §4.1.1).
    fn from_str(name: &str) -> Result<Self, AlgorithmFault> {
        if let Some(found) = Self::ALL.into_iter().find(|it| it.as_str() == name) {
            return Ok(found);
        }
        match name {
            "Ed25519" => Ok(Self::EdDsa),
            _ if name.eq_ignore_ascii_case("none") => Err(AlgorithmFault::None),
            "HS256" | "HS384" | "HS512" => Err(AlgorithmFault::Symmetric),
            _ => Err(AlgorithmFault::Unknown),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Which algorithms an issuer may use.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlgorithmSet(u16);

impl AlgorithmSet {
    /// None at all.
    pub const EMPTY: Self = Self(0);
    /// Every one.
    pub const ALL: Self = Self::of(&Algorithm::ALL);
    /// What an issuer gets that is configured without `algorithms`.
    pub const DEFAULT: Self =
        Self::of(&[Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa, Algorithm::Rs256]);

    /// The set of `algorithms`.
    pub const fn of(algorithms: &[Algorithm]) -> Self {
        let mut bits = 0u16;
        let mut rest = algorithms;
        while let [first, more @ ..] = rest {
            bits |= 1 << (*first as u16);
            rest = more;
        }
        Self(bits)
    }

    /// Whether `algorithm` is in it.
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & (1 << (algorithm as u16)) != 0
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Default for AlgorithmSet {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl FromIterator<Algorithm> for AlgorithmSet {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        algorithms.into_iter().fold(Self::EMPTY, |set, it| Self(set.0 | Self::of(&[it]).0))
    }
}

impl fmt::Debug for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Algorithm::ALL.iter().filter(|it| self.contains(**it))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8725_s3_1_names_are_exact_and_none_and_hmac_are_no_algorithms() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
        }
        assert_eq!("Ed25519".parse(), Ok(Algorithm::EdDsa));
        let refused = |name: &str| name.parse::<Algorithm>().unwrap_err();
        assert_eq!(refused("none"), AlgorithmFault::None);
        assert_eq!(refused("NONE"), AlgorithmFault::None);
        assert_eq!(refused("HS256"), AlgorithmFault::Symmetric);
        for name in ["es256", "ES256 ", "", "ES512", "ES256K", "RSA1_5", "dir", "Ed448"] {
            assert_eq!(refused(name), AlgorithmFault::Unknown, "{name}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: AlgorithmSet = [Algorithm::Rs512, Algorithm::EdDsa].into_iter().collect();
        for algorithm in Algorithm::ALL {
            let expect = matches!(algorithm, Algorithm::Rs512 | Algorithm::EdDsa);
            assert_eq!(set.contains(algorithm), expect);
            assert!(AlgorithmSet::ALL.contains(algorithm));
        }
        assert!(AlgorithmSet::EMPTY.is_empty() && !set.is_empty());
    }
}
