//! Client ID metadata documents (draft-ietf-oauth-client-id-metadata-document): a client whose id is the
//! URL of its metadata.

use super::ClientMetadata;
use super::check::{self, METADATA_BYTES, invalid};
use crate::json;
use crate::oauth::client_auth::AuthMethod;
use crate::oauth::error::OAuthError;
use crate::oauth::uri::Uri;
use serde_json::Value;

/// Why a `client_id` is not the URL of a document (§3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdUrlFault {
    /// Not an absolute URI, or without a host.
    #[error("the client id is not a URL")]
    Syntax,
    /// Not `https`.
    #[error("the URL of the client id is not https")]
    NotHttps,
    /// No path, or only `/`: a whole host would be one client.
    #[error("the URL of the client id has no path")]
    NoPath,
    /// A fragment.
    #[error("the URL of the client id has a fragment")]
    Fragment,
    /// A user or password.
    #[error("the URL of the client id names a user")]
    User,
    /// `.` or `..` segments.
    #[error("the URL of the client id has dot segments")]
    DotSegments,
}

/// Whether `client_id` may be the URL of a document. Whether its host may be asked, the fetcher says.
///
/// # Errors
/// The rule that it breaks.
pub fn client_id_url(client_id: &str) -> Result<(), ClientIdUrlFault> {
    let uri = Uri::parse(client_id).ok_or(ClientIdUrlFault::Syntax)?;
    // §3: compared as a text, so the scheme has one spelling.
    if uri.scheme != "https" {
        return Err(ClientIdUrlFault::NotHttps);
    }
    let authority = uri.authority.ok_or(ClientIdUrlFault::Syntax)?;
    if authority.user {
        return Err(ClientIdUrlFault::User);
    }
    if authority.host.is_empty() {
        return Err(ClientIdUrlFault::Syntax);
    }
    if uri.fragment.is_some() {
        return Err(ClientIdUrlFault::Fragment);
    }
    if uri.path.is_empty() || uri.path == "/" {
        return Err(ClientIdUrlFault::NoPath);
    }
    match uri.has_dot_segments() {
        true => Err(ClientIdUrlFault::DotSegments),
        false => Ok(()),
    }
}

/// Reads the document that was fetched from `client_id`.
///
/// # Errors
/// `invalid_client_metadata`, `invalid_redirect_uri`.
pub fn read_document(document: &[u8], client_id: &str) -> Result<ClientMetadata, OAuthError> {
    let object = json::object(document, METADATA_BYTES)
        .map_err(|error| invalid(format!("the client's document cannot be read: {error}")))?;
    // §4.1: the document names the URL that it was fetched from, byte by byte.
    if object.get("client_id").and_then(Value::as_str) != Some(client_id) {
        return Err(invalid("client_id in the document is not its URL"));
    }
    // §4.1: nobody can share a secret with a public document.
    if object.contains_key("client_secret") || object.contains_key("client_secret_expires_at") {
        return Err(invalid("the document holds a client secret"));
    }
    // A document that names no method means a public client: the default of RFC 7591 cannot be meant.
    let metadata = check::read(object, Some(AuthMethod::None))?;
    match metadata.auth_method().is_some_and(|method| !method.is_shared_secret()) {
        true => Ok(metadata),
        false => Err(invalid("the document asks for a method that rests on a shared secret")),
    }
}
