//! `authorization_details` (RFC 9396).

use crate::json::{self, Object};
use crate::oauth::error::{ErrorCode, OAuthError};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Entries of one request.
pub const AUTHORIZATION_DETAILS: usize = 16;
/// Bytes of the parameter; what is granted stands in every token.
pub const AUTHORIZATION_DETAILS_BYTES: usize = 8 * 1024;

/// Objects that each have a `type` (RFC 9396 §2).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct AuthorizationDetails(Vec<Object>);

impl AuthorizationDetails {
    /// Reads the parameter.
    ///
    /// # Errors
    /// `invalid_authorization_details`.
    pub fn parse(text: &str) -> Result<Self, OAuthError> {
        let values = json::array(text.as_bytes(), AUTHORIZATION_DETAILS_BYTES)
            .map_err(|_| fault("authorization_details is not a JSON array"))?;
        Self::of(values)
    }

    /// The details of `values`.
    ///
    /// # Errors
    /// `invalid_authorization_details`.
    pub fn of(values: Vec<Value>) -> Result<Self, OAuthError> {
        if values.is_empty() || values.len() > AUTHORIZATION_DETAILS {
            return Err(fault("authorization_details has no entry or too many"));
        }
        let entry = |value| match value {
            // RFC 9396 §2: `type` is a string and required.
            Value::Object(entry) if named(&entry) => Ok(entry),
            _ => Err(fault("an entry of authorization_details is not an object with a type")),
        };
        values.into_iter().map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// The entries.
    pub fn entries(&self) -> &[Object] {
        &self.0
    }

    /// The types that are asked for.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|entry| entry.get("type").and_then(Value::as_str))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether each entry of `wanted` stands here unchanged (RFC 9396 §6: a token request only narrows).
    pub fn contains_all(&self, wanted: &Self) -> bool {
        wanted.0.iter().all(|entry| self.0.contains(entry))
    }
}

impl<'de> Deserialize<'de> for AuthorizationDetails {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = Vec::<Value>::deserialize(deserializer)?;
        if values.is_empty() {
            return Ok(Self::default());
        }
        Self::of(values).map_err(serde::de::Error::custom)
    }
}

fn named(entry: &Object) -> bool {
    let text = |value: &Value| value.as_str().is_some_and(|it| !it.is_empty());
    entry.get("type").is_some_and(text)
}

fn fault(text: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidAuthorizationDetails, text)
}
