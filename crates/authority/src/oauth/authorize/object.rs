//! Requests that come as signed objects (RFC 9101).

use super::Stop;
use crate::oauth::OAuth;
use crate::oauth::records::{ClientRecord, Mac};
use base::UnixMs;
use protocol::oauth::{ErrorCode, OAuthError, Params};

/// What a request object says, and what may happen once because of it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) params: Params,
    /// Its `jti`, and how long it must be remembered.
    pub(crate) once: Option<(Mac, UnixMs)>,
}

impl OAuth {
    /// Verifies a request object of this client as of `seen`.
    pub(crate) async fn opened(
        &self,
        _client: &ClientRecord,
        _object: &str,
        _seen: UnixMs,
    ) -> Result<Opened, OAuthError> {
        Err(OAuthError::new(ErrorCode::RequestNotSupported, "request objects are not taken yet"))
    }
}

/// A refusal of an object is shown: where the client wants its errors stands in what cannot be trusted.
pub(super) fn refused(client: &ClientRecord, error: OAuthError) -> Stop {
    let rule = format!("RFC 9101 §6.2: {error}").into();
    Stop::Page { client: Some(client.id.clone()), error, rule, fix: super::FIX_CLIENT }
}
