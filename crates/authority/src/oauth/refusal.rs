//! How a request ends that is not served.
//!
//! Invariant: every refusal is recorded once, by [`OAuth::settle`]; what the record says of the broken rule, the
//! client is not told.

use super::{OAuth, Origin};
use crate::error::{Error, PortError};
use crate::sealing::SealError;
use base::IdError;
use protocol::oauth::{ErrorCode, OAuthError};
use protocol::sign::SignError;
use std::borrow::Cow;

/// Why a request is not served.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It breaks a rule.
    Refused {
        /// What the client is told.
        error: OAuthError,
        /// What the record says: section, and what was wrong.
        rule: Cow<'static, str>,
    },
    /// Something is wrong on our side.
    Broken(Error),
    /// Something cannot be had just now (the ledger, a key that is being made).
    Busy(&'static str),
}

impl Failed {
    /// A refusal whose public description says nothing that the rule does not.
    pub(crate) fn refused(
        code: ErrorCode,
        description: impl Into<Cow<'static, str>>,
        rule: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Refused { error: OAuthError::new(code, description), rule: rule.into() }
    }

    /// RFC 6749 §5.2 `invalid_client`, always with the same words: which part was wrong is not told.
    pub(crate) fn client(rule: impl Into<Cow<'static, str>>) -> Self {
        Self::refused(ErrorCode::InvalidClient, "client authentication failed", rule)
    }

    /// RFC 6749 §5.2 `invalid_grant`.
    pub(crate) fn grant(
        description: impl Into<Cow<'static, str>>,
        rule: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::refused(ErrorCode::InvalidGrant, description, rule)
    }

    /// RFC 6749 §5.2 `invalid_request`.
    pub(crate) fn request(
        description: impl Into<Cow<'static, str>>,
        rule: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::refused(ErrorCode::InvalidRequest, description, rule)
    }
}

/// A refusal by the readers of messages: its description is all that there is to say.
impl From<OAuthError> for Failed {
    fn from(error: OAuthError) -> Self {
        let rule = error.description().to_owned();
        Self::Refused { error, rule: rule.into() }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl From<PortError> for Failed {
    fn from(error: PortError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<IdError> for Failed {
    fn from(error: IdError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<SealError> for Failed {
    fn from(error: SealError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<SignError> for Failed {
    fn from(_: SignError) -> Self {
        Self::Busy("nothing can be signed at this moment")
    }
}

/// What a client is told when something broke on our side: not what.
pub(crate) fn broken(error: &Error) -> OAuthError {
    match error {
        Error::Store(PortError::Unavailable(_) | PortError::Uncertain(_)) => {
            OAuthError::new(ErrorCode::TemporarilyUnavailable, "the server cannot reach its store")
        }
        Error::Busy(what) => OAuthError::new(ErrorCode::TemporarilyUnavailable, *what),
        _ => OAuthError::new(ErrorCode::ServerError, "something is wrong with the server"),
    }
}

impl OAuth {
    /// Records that a request could not be read, so that no use case heard of it. What the caller is told.
    pub fn unreadable(&self, origin: &Origin, error: OAuthError) -> OAuthError {
        match self.refused(origin, None, &error, error.description()) {
            Ok(()) => error,
            Err(failure) => broken(&failure),
        }
    }

    /// What the client is told; a refusal is recorded.
    pub(crate) async fn settle<T>(
        &self,
        origin: &Origin,
        client: Option<&str>,
        outcome: Result<T, Failed>,
    ) -> Result<T, OAuthError> {
        match outcome {
            Ok(done) => Ok(done),
            Err(Failed::Broken(error)) => Err(broken(&error)),
            Err(Failed::Busy(what)) => {
                Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, what))
            }
            Err(Failed::Refused { error, rule }) => {
                match self.refused(origin, client, &error, &rule) {
                    Ok(()) => Err(error),
                    Err(failure) => Err(broken(&failure)),
                }
            }
        }
    }
}
