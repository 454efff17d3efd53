//! Introspection answers (RFC 7662 §2.2).

use crate::error::JwtError;
use crate::json;
use crate::jwt::Claims;
use base::UnixMs;
use base::limits::DOCUMENT_BYTES;
use serde_json::Value;
use std::time::Duration;

/// An answer says nothing that can be relied on. The token is then neither active nor inactive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntrospectionError {
    /// Not a strict JSON object.
    #[error("the introspection answer is malformed")]
    Json(#[from] json::JsonError),
    /// `active` is missing or not a boolean.
    #[error("the introspection answer has no boolean `active`")]
    NoActive,
    /// A member of an active answer has the wrong type.
    #[error("the member {0} of the introspection answer has the wrong type")]
    Member(&'static str),
}

/// What the issuer says of an opaque token.
#[derive(Debug, Clone, PartialEq)]
pub enum Introspection {
    /// Unknown, expired, revoked, or not for us: RFC 7662 does not say which.
    Inactive,
    /// The token is good, as far as the issuer can tell.
    Active(Box<Introspected>),
}

/// An active token.
#[derive(Debug, Clone, PartialEq)]
pub struct Introspected {
    /// Its claims; none is required. Types are as strict as those of a JWT.
    pub claims: Claims,
    /// `token_type`, as it was written.
    pub token_type: Option<Box<str>>,
    /// `username`.
    pub username: Option<Box<str>>,
}

impl Introspection {
    /// Reads an answer.
    ///
    /// # Errors
    /// See [`IntrospectionError`].
    pub fn parse(document: &[u8]) -> Result<Self, IntrospectionError> {
        let mut answer = json::object(document, DOCUMENT_BYTES)?;
        // RFC 7662 §2.2: `active` is required and a boolean; "true" and 1 are not.
        match answer.remove("active") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return Ok(Self::Inactive),
            _ => return Err(IntrospectionError::NoActive),
        }
        let mut text = |name| match answer.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.chars().any(char::is_control) => {
                Ok(Some(text.into_boxed_str()))
            }
            Some(_) => Err(IntrospectionError::Member(name)),
        };
        let (token_type, username) = (text("token_type")?, text("username")?);
        let claims = Claims::from_object(answer)
            .map_err(|error| IntrospectionError::Member(error.claim().unwrap_or("claims")))?;
        Ok(Self::Active(Box::new(Introspected { claims, token_type, username })))
    }
}

impl Introspected {
    /// Judges what the answer says against us: the issuer where it names one, the audience, the times that
    /// it has. RFC 7662 §4 leaves these checks to whoever asks.
    ///
    /// # Errors
    /// `WrongIssuer`, `WrongAudience`, `Expired`, `NotYetValid`.
    pub fn validate(
        &self,
        issuer: &str,
        audiences: &[String],
        now: UnixMs,
        skew: Duration,
    ) -> Result<(), JwtError> {
        if self.claims.issuer.as_deref().is_some_and(|own| own != issuer) {
            return Err(JwtError::WrongIssuer);
        }
        crate::jwt::audience(&self.claims, audiences)?;
        match self.claims.expires_at {
            Some(_) => crate::jwt::times(&self.claims, now, skew),
            None => {
                let ending = Claims { expires_at: Some(UnixMs(i64::MAX)), ..self.claims.clone() };
                crate::jwt::times(&ending, now, skew)
            }
        }
    }
}
