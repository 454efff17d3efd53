//! What can be wrong with a token.

use crate::algorithm::AlgorithmFault;
use base::{Code, code};

/// Why a token is refused. Each variant has one stable code; none carries bytes of the token, except the
/// name of a registered claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not a compact JWS with a JSON header and JSON claims.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// `exp` has passed.
    #[error("the token is expired")]
    Expired,
    /// `nbf` or `iat` (named) lies in the future.
    #[error("the token is not valid yet: {0} lies in the future")]
    NotYetValid(&'static str),
    /// `aud` names none of ours.
    #[error("the token is for another audience")]
    WrongAudience,
    /// `iss` is another.
    #[error("the token is of another issuer")]
    WrongIssuer,
    /// No key with this `kid` and algorithm.
    #[error("the key set has no key for the token")]
    UnknownKey,
    /// The signature does not belong to the token and the key.
    #[error("the signature is wrong")]
    BadSignature,
    /// `alg` is not one that may be used.
    #[error("the algorithm is refused")]
    AlgorithmRefused(#[source] AlgorithmFault),
    /// `typ` is not that of an access token.
    #[error("the token is of the wrong type")]
    WrongType,
    /// `crit`, or `b64` with another value than `true`.
    #[error("the token has a critical header that is not understood")]
    CriticalHeader,
    /// The named claim is missing, or not of its type.
    #[error("the claim {0} is invalid")]
    ClaimInvalid(&'static str),
}

impl JwtError {
    /// Its stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Malformed(_) => code::TOKEN_MALFORMED,
            Self::Expired => code::TOKEN_EXPIRED,
            Self::NotYetValid(_) => code::TOKEN_NOT_YET_VALID,
            Self::WrongAudience => code::TOKEN_WRONG_AUDIENCE,
            Self::WrongIssuer => code::TOKEN_WRONG_ISSUER,
            Self::UnknownKey => code::TOKEN_UNKNOWN_KEY,
            Self::BadSignature => code::TOKEN_BAD_SIGNATURE,
            Self::AlgorithmRefused(_) => code::TOKEN_ALGORITHM,
            Self::WrongType => code::TOKEN_WRONG_TYPE,
            Self::CriticalHeader => code::TOKEN_CRITICAL,
            Self::ClaimInvalid(_) => code::TOKEN_CLAIM,
        }
    }

    /// The claim at fault, where one is.
    pub fn claim(&self) -> Option<&'static str> {
        match self {
            Self::ClaimInvalid(name) | Self::NotYetValid(name) => Some(name),
            Self::Expired => Some("exp"),
            Self::WrongAudience => Some("aud"),
            Self::WrongIssuer => Some("iss"),
            _ => None,
        }
    }
}
